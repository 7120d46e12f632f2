import { redactSecrets } from "./redact.ts";

/** The label that Postgres puts behind the line prefix; the first one counts, a message may quote others. */
const LABEL =
  /(?:^|\s)((FATAL|PANIC|ERROR|DETAIL|HINT|LOG|WARNING|NOTICE|INFO|DEBUG\d?|STATEMENT|CONTEXT|QUERY|LOCATION):\s\s.*)$/s;
const ERRORS = new Set(["FATAL", "PANIC", "ERROR"]);
const REMARKS = new Set(["DETAIL", "HINT"]);
/** Why a start fails often stands in messages below FATAL: a bad setting, a port in use. */
const REASONS = new Set(["LOG", "WARNING"]);
const REASONS_KEPT = 3;
const LONGEST = 2000;

/**
 * Remembers the last errors in Postgres' log, so that a failed start can say why (contract: lifecycle.md 10.3); of a FATAL
 * or PANIC also the messages right before it, which name the setting or the port that it only sums up. Postgres
 * logs DETAIL and HINT behind the message, each with the line prefix again: as records of their own when the prefix has a
 * time, else inside the record of the message.
 */
export class RecentErrors {
  private readonly errors: string[][] = [];
  private readonly kept: number;
  private readonly secrets: readonly string[];
  /** Messages since the last error that may turn out to be the reason of the next. */
  private reasons: string[][] = [];
  /** What the record before belonged to, so that a DETAIL belongs to it too. */
  private open: string[] | undefined;

  constructor(options: { readonly kept?: number; readonly secrets?: readonly (string | undefined)[] } = {}) {
    this.kept = options.kept ?? 4;
    this.secrets = (options.secrets ?? []).filter((secret) => secret !== undefined);
  }

  add(record: string): void {
    const [head = "", ...rest] = record.split("\u200b");
    const [, text = "", label = ""] = LABEL.exec(head) ?? [];
    const parts = [tidy([text, ...rest])];
    if (ERRORS.has(label)) {
      if (label !== "ERROR") parts.unshift(...this.reasons.flat());
      this.errors.push(parts);
      if (this.errors.length > this.kept) this.errors.shift();
      this.reasons = [];
      this.open = parts;
    } else if (REASONS.has(label)) {
      this.reasons.push(parts);
      if (this.reasons.length > REASONS_KEPT) this.reasons.shift();
      this.open = parts;
    } else if (REMARKS.has(label)) {
      this.open?.push(...parts);
    } else {
      this.open = undefined;
    }
  }

  /** `FATAL:  message DETAIL:  why HINT:  what to do; ...`; empty when there was no error. Known secrets are left out. */
  toString(): string {
    return redactSecrets(this.errors.map((parts) => parts.join(" ")).join("; "), this.secrets);
  }
}

function tidy(lines: readonly string[]): string {
  const text = lines.map((line) => line.trim()).join(" ");
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
