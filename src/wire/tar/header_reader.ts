import { TAR_BLOCK, type TarEntry, type TarEntryType, TarError } from "./entry.ts";
import { EXTENDED_TYPES, type ExtendedHeader } from "./extended_header.ts";

const TYPES: Readonly<Record<string, TarEntryType>> = {
  "0": "file",
  "\0": "file",
  "1": "hardlink",
  "2": "symlink",
  "5": "directory",
};

/**
 * Reads the header block at `offset`; undefined when the block is all zero. Throws `tar_corrupt`, `tar_unsupported`.
 *
 * @param extended headers that only say something about the next entry are understood too
 */
export function readTarHeader(block: Buffer, offset: number, extended: boolean): TarEntry | ExtendedHeader | undefined {
  let sum = 0;
  for (let i = offset, end = offset + TAR_BLOCK; i < end; i++) sum += block[i] ?? 0;
  if (sum === 0) return undefined;
  // The checksum field itself counts as eight blanks.
  for (let i = offset + 148; i < offset + 156; i++) sum += 32 - (block[i] ?? 0);
  if (number(block, offset + 148, 8) !== sum) throw new TarError("tar_corrupt", "tar: a header has a wrong checksum");

  let path = text(block, offset, 100);
  // Only POSIX headers ("ustar", NUL) have a prefix there; GNU ones ("ustar", blank) keep times in these bytes.
  if (block.toString("latin1", offset + 257, offset + 263) === "ustar\0") {
    const prefix = text(block, offset + 345, 155);
    if (prefix !== "") path = `${prefix}/${path}`;
  }
  const flag = String.fromCharCode(block[offset + 156] ?? 0);
  const size = number(block, offset + 124, 12);
  const extendedType = extended ? EXTENDED_TYPES[flag] : undefined;
  if (extendedType !== undefined) return { type: extendedType, path, size };
  const type = TYPES[flag];
  if (type === undefined)
    throw new TarError("tar_unsupported", `tar: entry ${JSON.stringify(path)} is of type ${JSON.stringify(flag)}`);
  if (type !== "file" && size !== 0)
    throw new TarError("tar_corrupt", `tar: ${type} ${JSON.stringify(path)} has ${size} bytes of content`);
  return {
    path,
    type,
    size,
    mode: number(block, offset + 100, 8) & 0o7777,
    mtime: number(block, offset + 136, 12),
    linkName: text(block, offset + 157, 100),
  };
}

function text(block: Buffer, start: number, length: number): string {
  let end = start;
  while (end < start + length && block[end] !== 0) end++;
  return block.toString("utf8", start, end);
}

/** Octal digits between optional blanks, or GNU's base 256 when the top bit is set. */
function number(block: Buffer, start: number, length: number): number {
  const first = block[start] ?? 0;
  if (first & 0x80) {
    // 0xff would be a negative number; sizes and times here never are.
    let value = first & 0x7f;
    for (let i = start + 1; i < start + length; i++) value = value * 256 + (block[i] ?? 0);
    if (!Number.isSafeInteger(value)) throw new TarError("tar_corrupt", "tar: a number in a header is out of range");
    return value;
  }
  let value = 0;
  let i = start;
  const end = start + length;
  while (i < end && block[i] === 32) i++;
  for (; i < end; i++) {
    const digit = (block[i] ?? 0) - 48;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  for (; i < end; i++)
    if (block[i] !== 0 && block[i] !== 32) throw new TarError("tar_corrupt", "tar: a number in a header is malformed");
  return value;
}
