import { CodedError } from "../errors/coded_error.ts";
import { commentOutLine, oneLine } from "./comment_out.ts";
import { parseConfLine } from "./conf_line.ts";
import { effectiveSettingValue, quoteString, renderSettingValue, requireSettingName } from "./quoting.ts";
import type { ServerStrategy } from "./server_strategy.ts";

/** One element of `cluster.settings` (contract: spec.md 4.4). */
export interface ConfSetting {
  readonly name: string;
  readonly value: string | null;
  /** Only `string` matters: such a value is quoted, every other one is a word or a number. */
  readonly vartype: string;
}

/**
 * One `name = value` line, or what the server's strategy makes of it. Throws `invalid_setting` (400) for a setting
 * without a value and for a name or value that the file cannot hold.
 *
 * @param warn called once for each thing that was dropped
 */
export function renderSetting(setting: ConfSetting, strategy: ServerStrategy, warn: (text: string) => void): string {
  const { name, value, vartype } = setting;
  requireSettingName(name);
  if (value === null) {
    throw new CodedError("invalid_setting", `setting ${name} has no value: give it one or leave it out of the spec`, {
      status: 400,
    });
  }
  const line = `${name} = ${renderSettingValue(value, vartype)}`;
  return renderJudged(line, name, effectiveSettingValue(value, vartype), strategy, warn);
}

/** `cluster.postgresql_conf` as it is, but for the lines that the server's strategy objects to. */
export function renderVerbatim(text: string, strategy: ServerStrategy, warn: (text: string) => void): string {
  return text
    .split("\n")
    .map((line) => {
      const assignment = parseConfLine(line);
      return assignment ? renderJudged(line, assignment.name, assignment.value, strategy, warn) : line;
    })
    .join("\n");
}

/** `line`, which sets `name` to `value`, as the server's strategy wants it. */
export function renderJudged(
  line: string,
  name: string,
  value: string,
  strategy: ServerStrategy,
  warn: (text: string) => void,
): string {
  const verdict = strategy.judge(name.toLowerCase(), value);
  if (verdict.action === "keep") return line;
  for (const warning of verdict.warnings) warn(warning);
  return verdict.action === "leave_out"
    ? commentOutLine(line, verdict.reason)
    : `${name} = ${quoteString(verdict.value)} # ${oneLine(verdict.reason)}`;
}
