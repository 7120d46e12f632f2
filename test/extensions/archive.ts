import { zstdCompressSync } from "node:zlib";
import { TAR_END, type TarEntry, tarHeader, tarPadding } from "../../src/wire/tar.ts";

export interface Member {
  readonly entry: TarEntry;
  readonly content: Buffer;
}

export function file(path: string, content: string | Buffer = "", mode = 0o600): Member {
  const bytes = Buffer.from(content as string);
  return { entry: { path, type: "file", size: bytes.length, mode, mtime: 0, linkName: "" }, content: bytes };
}

export function other(type: "directory" | "symlink" | "hardlink", path: string, linkName = ""): Member {
  return { entry: { path, type, size: 0, mode: 0o700, mtime: 0, linkName }, content: Buffer.alloc(0) };
}

export function tar(members: readonly Member[]): Buffer {
  return Buffer.concat([
    ...members.flatMap(({ entry, content }) => [tarHeader(entry), content, Buffer.alloc(tarPadding(content.length))]),
    TAR_END,
  ]);
}

/** A gateway's archive: `.tar.zst`. */
export function archive(members: readonly Member[]): Buffer {
  return zstdCompressSync(tar(members));
}

/** What an extension called `anon` would bring. */
export function sampleArchive(): Buffer {
  return archive([
    other("directory", "share/extension/"),
    file("share/extension/anon.control", "default_version = '1.0'\n"),
    file("share/extension/anon--1.0.sql", "SELECT 1;\n"),
    file("share/extension/anon/data.csv", "a,b\n"),
    file("lib/anon.so", Buffer.alloc(300_000, "elf"), 0o755),
  ]);
}
