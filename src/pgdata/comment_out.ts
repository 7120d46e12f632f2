/** Comments one line out and says why behind it. A line that is a comment or blank already stays as it is. */
export function commentOutLine(line: string, reason: string): string {
  if (/^\s*(#|$)/.test(line)) return line;
  return `# ${line.trim()} # ${oneLine(reason)}`;
}

/**
 * Comments lines out of a configuration file.
 *
 * @param lines numbers from 1, as PostgreSQL counts them; numbers beyond the end are ignored
 */
export function commentOut(text: string, lines: Iterable<number>, reason: string): string {
  const numbers = new Set(lines);
  return text
    .split("\n")
    .map((line, index) => (numbers.has(index + 1) ? commentOutLine(line, reason) : line))
    .join("\n");
}

/** A comment must not reach into the next line. */
export function oneLine(text: string): string {
  return text.replaceAll(/\s*[\r\n]+\s*/g, " ");
}
