import { type FileHandle, open } from "node:fs/promises";

/**
 * Names of the shared libraries a program was linked with, as they stand in the file. Reads a few pages, not the program:
 * this lies on the way to every start. Empty for scripts and for formats other than 64-bit ELF and Mach-O.
 */
export async function linkedLibraries(path: string): Promise<string[]> {
  const file = await open(path, "r");
  try {
    const head = await readAt(file, 0n, 32 * 1024);
    if (head.length >= 64 && head.readUInt32BE(0) === 0x7f454c46 && head[4] === 2 && head[5] === 1) {
      return await elfNeeded(file, head);
    }
    // 64-bit Mach-O: the load commands, names included, follow the header.
    if (head.length >= 32 && head.readUInt32LE(0) === 0xfeedfacf) {
      return [...head.toString("latin1").matchAll(/[\w@/.+-]+\.dylib/g)].map((match) => match[0]);
    }
    return [];
  } finally {
    await file.close();
  }
}

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const DT_NEEDED = 1n;
const DT_STRTAB = 5n;
const DT_STRSZ = 10n;
const LONGEST_TABLE = 16 * 1024 * 1024;

interface Segment {
  readonly type: number;
  readonly offset: bigint;
  readonly address: bigint;
  readonly size: bigint;
}

/** The dynamic section names its strings by offset into a table, which tools like patchelf move anywhere in the file. */
async function elfNeeded(file: FileHandle, head: Buffer): Promise<string[]> {
  const segments = programHeaders(head);
  const dynamic = segments.find((segment) => segment.type === PT_DYNAMIC);
  if (!dynamic) return [];
  const section = await readAt(file, dynamic.offset, Number(dynamic.size));
  const needed: bigint[] = [];
  let table: bigint | undefined;
  let tableSize = 0n;
  for (let at = 0; at + 16 <= section.length; at += 16) {
    const tag = section.readBigUInt64LE(at);
    const value = section.readBigUInt64LE(at + 8);
    if (tag === DT_NEEDED) needed.push(value);
    else if (tag === DT_STRTAB) table = value;
    else if (tag === DT_STRSZ) tableSize = value;
  }
  const offset = table === undefined ? undefined : fileOffset(segments, table);
  if (offset === undefined || tableSize > LONGEST_TABLE) return [];
  const strings = await readAt(file, offset, Number(tableSize));
  return needed.map((at) => {
    const start = Number(at);
    const end = strings.indexOf(0, start);
    return strings.toString("latin1", start, end < 0 ? undefined : end);
  });
}

function programHeaders(head: Buffer): Segment[] {
  const start = Number(head.readBigUInt64LE(32));
  const entrySize = head.readUInt16LE(54);
  const count = head.readUInt16LE(56);
  const segments: Segment[] = [];
  for (let index = 0; index < count; index++) {
    const at = start + index * entrySize;
    if (at + 56 > head.length) break;
    segments.push({
      type: head.readUInt32LE(at),
      offset: head.readBigUInt64LE(at + 8),
      address: head.readBigUInt64LE(at + 16),
      size: head.readBigUInt64LE(at + 32),
    });
  }
  return segments;
}

function fileOffset(segments: readonly Segment[], address: bigint): bigint | undefined {
  const segment = segments.find(
    (each) => each.type === PT_LOAD && address >= each.address && address < each.address + each.size,
  );
  return segment === undefined ? undefined : segment.offset + (address - segment.address);
}

async function readAt(file: FileHandle, offset: bigint, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, Number(offset) + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}
