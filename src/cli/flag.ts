import { InvalidArgumentError, Option } from "commander";

/** One row of a program's flag table: the source of its parser, its help text and its table in the README. */
export interface Flag {
  /** As commander writes it: `-b, --pgbin <path>`. */
  readonly flags: string;
  readonly help: string;
  readonly required?: true;
  readonly default?: string | number | boolean;
  /** How the default reads in the help text, where the value alone says too little. */
  readonly defaultText?: string;
  /** Environment variable that stands in when the flag is absent. */
  readonly env?: string;
  /** Gets the value of the same flag before it, where it may be given several times. */
  readonly parse?: (value: string, previous?: unknown) => unknown;
  /** Long names (camel case) that may not be given together with this one. */
  readonly conflicts?: readonly string[];
  /** Accepted, but not shown: names of earlier releases. */
  readonly hidden?: true;
}

/** The commander option of a row. */
export function optionOf(flag: Flag): Option {
  const option = new Option(flag.flags, flag.help);
  if (flag.required) option.makeOptionMandatory();
  if (flag.default !== undefined) option.default(flag.default, flag.defaultText);
  if (flag.env !== undefined) option.env(flag.env);
  if (flag.parse) option.argParser(flag.parse);
  if (flag.conflicts) option.conflicts([...flag.conflicts]);
  if (flag.hidden) option.hideHelp();
  return option;
}

/** A flag table as the rows of a Markdown table, hidden rows left out. */
export function flagsAsMarkdown(flags: readonly Flag[]): string {
  const rows = flags
    .filter((flag) => !flag.hidden)
    .map((flag) => {
      const fallback = flag.required
        ? "required"
        : flag.default === undefined
          ? ""
          : `\`${flag.defaultText ?? String(flag.default)}\``;
      return `| \`${flag.flags.replaceAll("|", "\\|")}\` | ${fallback} | ${flag.env ? `\`${flag.env}\`` : ""} | ${flag.help} |`;
    });
  return ["| flag | default | environment | meaning |", "|---|---|---|---|", ...rows].join("\n");
}

/** Parses a TCP port, 0 to 65535. */
export function parsePort(value: string): number {
  return parseInteger(value, 65_535n, "a port number from 0 to 65535");
}

/** Parses a whole number of seconds. */
export function parseSeconds(value: string): number {
  return parseInteger(value, BigInt(Number.MAX_SAFE_INTEGER), "a whole number of seconds");
}

function parseInteger(value: string, max: bigint, what: string): number {
  if (!/^\d{1,20}$/.test(value) || BigInt(value) > max) throw new InvalidArgumentError(`expected ${what}.`);
  return Number(value);
}

/** Parses the word `true` or `false` of a switch that takes a value. */
export function parseBoolean(value: string): boolean {
  if (value === "true") return true;
  if (value === "false") return false;
  throw new InvalidArgumentError("expected true or false.");
}
