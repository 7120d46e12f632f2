/**
 * Whether an SPDX licence expression is satisfied by allowed licences alone: `MIT`, `(MIT OR GPL-2.0-only)`,
 * `Apache-2.0 AND BSD-3-Clause`. What is no expression, such as `SEE LICENSE IN x`, is not; neither is an exception
 * (`WITH`): somebody has to read it first.
 */
export function isAllowed(expression: string, allowed: ReadonlySet<string>): boolean {
  const words = expression.match(/[()]|[^\s()]+/g) ?? [];
  const anyOf = (): boolean => {
    let result = allOf();
    // Both sides are always read: the position must move on.
    while (words[0] === "OR" && words.shift()) result = allOf() || result;
    return result;
  };
  const allOf = (): boolean => {
    let result = one();
    while (words[0] === "AND" && words.shift()) result = one() && result;
    return result;
  };
  const one = (): boolean => {
    const word = words.shift();
    if (word !== "(") return word !== undefined && allowed.has(word);
    const result = anyOf();
    return words.shift() === ")" && result;
  };
  return anyOf() && words.length === 0;
}
