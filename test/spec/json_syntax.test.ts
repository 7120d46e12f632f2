import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findSyntaxFault } from "../../src/spec/json_syntax.ts";

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe("findSyntaxFault", () => {
  test.each([
    ["", "unexpected end of JSON", 1, 1],
    ["{", "unexpected end of JSON", 1, 2],
    ['{"a"', "unexpected end of JSON", 1, 5],
    ['{"a" 1}', "expected `:`", 1, 6],
    ['{"a":1,}', 'expected a string in double quotes (")', 1, 8],
    ["[1 2]", "expected `,` or `]`", 1, 4],
    ["[1,\n\n  tru]", "expected a value", 3, 3],
    ["[1}", "expected `,` or `]`", 1, 3],
    ['{"a":1]', "expected `,` or `}`", 1, 7],
    ["{} {}", "unexpected text behind the end of the document", 1, 4],
    ['"a\nb"', "control character in a string", 1, 3],
    ['"a\\x"', "invalid escape in a string", 1, 3],
    ['"abc', "unexpected end of JSON", 1, 5],
    ["01", "unexpected text behind the end of the document", 1, 2],
    ["\ufeff{}", "expected a value", 1, 1],
    ["{'a':1}", 'expected a string in double quotes (")', 1, 2],
  ])("%j: %s", (text, message, line, column) => {
    expect(parses(text)).toBe(false);
    expect(findSyntaxFault(text)).toEqual({ message, line, column });
  });

  test("finds a fault exactly when JSON.parse does, also in valid JSON with one character changed", () => {
    const changed = fc
      .tuple(fc.json(), fc.nat(), fc.constantFrom("", " ", ",", "]", "}", '"', "\\", "0", "\n", "e", "-", "."))
      .map(([json, at, replacement]) => {
        const position = at % (json.length + 1);
        return json.slice(0, position) + replacement + json.slice(position + 1);
      });
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string(), changed), (text) => {
        expect(findSyntaxFault(text) === undefined).toBe(parses(text));
      }),
      { numRuns: 2000 },
    );
  });

  test("deep nesting and long strings do not use up the stack", () => {
    expect(findSyntaxFault("[".repeat(1_000_000))?.column).toBe(1_000_001);
    expect(findSyntaxFault(`["${"x\\n".repeat(1_000_000)}"`)?.message).toBe("unexpected end of JSON");
  });
});
