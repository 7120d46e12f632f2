/** Microseconds between 1970 and PostgreSQL's epoch, 2000-01-01 UTC. */
const POSTGRES_EPOCH = 946_684_800_000_000n;
const RFC_3339 = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/;

/** Reads an RFC 3339 time as microseconds since 2000-01-01 UTC; undefined for anything else. */
export function parseTimestamp(text: string): bigint | undefined {
  // A plus sign in a URL's query that was not escaped.
  const match = RFC_3339.exec(text.replace(/ (\d\d:\d\d)$/, "+$1"));
  if (!match) return undefined;
  const [, date, time, fraction = "", zone = ""] = match;
  const millis = Date.parse(`${date}T${time}${zone.toUpperCase()}`);
  if (Number.isNaN(millis)) return undefined;
  return BigInt(millis) * 1000n + BigInt(fraction.padEnd(6, "0").slice(0, 6)) - POSTGRES_EPOCH;
}

/** Writes microseconds since 2000-01-01 UTC as RFC 3339 with six digits. */
export function formatTimestamp(micros: bigint): string {
  const since1970 = micros + POSTGRES_EPOCH;
  const rest = ((since1970 % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const seconds = new Date(Number((since1970 - rest) / 1000n)).toISOString().slice(0, 19);
  return `${seconds}.${String(rest).padStart(6, "0")}Z`;
}
