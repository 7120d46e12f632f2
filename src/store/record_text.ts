import { crc32c } from "../wire/crc32c.ts";

/** Format that this program writes, the newest that it reads. */
export const STORE_FORMAT = 1;

/**
 * JSON with a checksum as its last member, so that a flipped bit is seen even where the text still parses. `value` must
 * be a non-empty plain object.
 */
export function encodeRecord(value: object): string {
  const body = JSON.stringify(value, undefined, 1).slice(0, -2);
  return `${body},\n "crc32c": "${recordChecksum(body)}"\n}\n`;
}

/** Of a record's text without its last member. */
export function recordChecksum(body: string): string {
  return crc32c(Buffer.from(body, "utf8")).toString(16).padStart(8, "0");
}
