import { decodeValue } from "./quoting.ts";

/** One `name = value` line of a configuration file. */
export interface ConfAssignment {
  /** In lower case: PostgreSQL ignores the case of names. */
  readonly name: string;
  /** Decoded. */
  readonly value: string;
}

const ASSIGNMENT =
  /^[ \t\r]*([A-Za-z_][\w.]*)(?:[ \t\r]*=[ \t\r]*|[ \t\r]+|(?='))('(?:[^'\\]|\\.|'')*'|[^\s'#=]+)[ \t\r]*(?:#.*)?$/s;

/**
 * Reads one line (without its newline) as PostgreSQL does: the `=` is optional, a comment may follow, a value never
 * spans lines. Undefined for blank lines, comments and what is no assignment.
 */
export function parseConfLine(line: string): ConfAssignment | undefined {
  const match = ASSIGNMENT.exec(line);
  if (!match?.[1] || match[2] === undefined) return undefined;
  return { name: match[1].toLowerCase(), value: decodeValue(match[2]) };
}

/** The value of the last line that sets `name` (any case); PostgreSQL lets the last one win. */
export function lastAssignment(text: string, name: string): string | undefined {
  const wanted = name.toLowerCase();
  return text
    .split("\n")
    .map(parseConfLine)
    .findLast((assignment) => assignment?.name === wanted)?.value;
}

/** Numbers (from 1) of the lines that set `name` (any case): for complaints that name no line. */
export function linesThatSet(text: string, name: string): number[] {
  const wanted = name.toLowerCase();
  return text.split("\n").flatMap((line, index) => (parseConfLine(line)?.name === wanted ? [index + 1] : []));
}
