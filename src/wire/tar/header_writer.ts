import { TAR_BLOCK, type TarEntry, type TarEntryType, TarError } from "./entry.ts";

/** What ends an archive: two zero blocks. */
export const TAR_END: Buffer = Buffer.alloc(2 * TAR_BLOCK);

const FLAGS: Readonly<Record<TarEntryType, string>> = { file: "0", hardlink: "1", symlink: "2", directory: "5" };

/** Number of zero bytes that follow `size` bytes of content. */
export function tarPadding(size: number): number {
  return (TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK;
}

/**
 * The 512-byte GNU header of an entry, owner 0:0. Throws `tar_unsupported` for names above 100 bytes: base backups have
 * none, and PostgreSQL's own tools refuse them too.
 */
export function tarHeader(entry: TarEntry): Buffer {
  const block = Buffer.alloc(TAR_BLOCK);
  writeText(block, 0, 100, entry.path);
  writeNumber(block, 100, 8, entry.mode);
  writeNumber(block, 108, 8, 0);
  writeNumber(block, 116, 8, 0);
  writeNumber(block, 124, 12, entry.size);
  writeNumber(block, 136, 12, entry.mtime);
  block.write("        ", 148, "latin1");
  block.write(FLAGS[entry.type], 156, "latin1");
  writeText(block, 157, 100, entry.linkName);
  block.write("ustar  \0", 257, "latin1");
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

function writeText(block: Buffer, offset: number, length: number, text: string): void {
  const bytes = Buffer.from(text, "utf8");
  if (bytes.length > length)
    throw new TarError("tar_unsupported", `tar: name longer than ${length} bytes: ${JSON.stringify(text)}`);
  if (bytes.includes(0)) throw new TarError("tar_unsupported", `tar: name with a NUL: ${JSON.stringify(text)}`);
  bytes.copy(block, offset);
}

function writeNumber(block: Buffer, offset: number, length: number, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new TarError("tar_unsupported", `tar: cannot write the number ${value}`);
  const octal = value.toString(8);
  if (octal.length < length) {
    block.write(octal.padStart(length - 1, "0"), offset, "latin1");
    return;
  }
  for (let i = offset + length - 1; i > offset; i--) {
    block[i] = value % 256;
    value = Math.floor(value / 256);
  }
  block[offset] = 0x80;
}
