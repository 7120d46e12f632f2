import { gzipSync } from "node:zlib";
import {
  encodeCommandComplete,
  encodeCopyData,
  encodeCopyDone,
  encodeCopyOutResponse,
} from "../../src/wire/postgres_protocol.ts";
import { TAR_END, type TarEntry, tarHeader, tarPadding } from "../../src/wire/tar.ts";

export function tarMember(entry: Partial<TarEntry> & { path: string }, content: Buffer | string = ""): Buffer {
  const bytes = Buffer.from(content as string);
  const header = tarHeader({
    type: "file",
    size: bytes.length,
    mode: 0o600,
    mtime: 1_700_000_000,
    linkName: "",
    ...entry,
  });
  return Buffer.concat([header, bytes, Buffer.alloc(tarPadding(bytes.length))]);
}

export function tarFile(path: string, content: Buffer | string): Buffer {
  return tarMember({ path }, content);
}

export function tarDirectory(path: string): Buffer {
  return tarMember({ path, type: "directory", mode: 0o755 });
}

export const CONTROL_CONTENT = Buffer.alloc(8192, 0xc0);

/** A small pageserver tar: `base/1` twice, no entry for `pg_wal`, `PG_VERSION` without newline. */
export function sampleTar(...more: Buffer[]): Buffer {
  return Buffer.concat([
    ...["global", "pg_wal/archive_status", "base", "base/1", "pg_dynshmem"].map(tarDirectory),
    tarFile("pg_hba.conf", "local all all trust\n"),
    tarFile("postgresql.auto.conf", ""),
    tarFile("PG_VERSION", "15"),
    tarDirectory("base/1"),
    tarFile("base/1/PG_VERSION", "15"),
    ...more,
    tarFile("neon.signal", "PREV LSN: none"),
    tarFile("global/pg_control", CONTROL_CONTENT),
    tarFile("pg_wal/000000010000000000000001", Buffer.alloc(1024 * 1024, 3)),
    TAR_END,
  ]);
}

/** A whole answer to `basebackup`: the payload in a few CopyData messages. */
export function copyAnswer(payload: Buffer, pieces = 3): Buffer {
  return Buffer.concat([copyStart(payload, pieces), encodeCopyDone(), encodeCommandComplete("SELECT 1")]);
}

/** The answer up to the last byte of the payload. */
export function copyStart(payload: Buffer, pieces = 3): Buffer {
  const size = Math.ceil(payload.length / pieces);
  const messages: Buffer[] = [encodeCopyOutResponse()];
  for (let at = 0; at < payload.length; at += size) messages.push(encodeCopyData(payload.subarray(at, at + size)));
  return Buffer.concat(messages);
}

/** Gzip members of `size` bytes of input each. */
export function gzipMembers(bytes: Buffer, size = 100_000): Buffer {
  const members: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) members.push(gzipSync(bytes.subarray(at, at + size), { level: 1 }));
  return Buffer.concat(members);
}
