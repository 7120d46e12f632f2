import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TAR_END, type TarEntry, TarReader, tarHeader, tarPadding } from "../../src/wire/tar.ts";

interface Member {
  readonly entry: TarEntry;
  readonly content: Buffer;
}

function archive(members: readonly Member[]): Buffer {
  return Buffer.concat([
    ...members.flatMap(({ entry, content }) => [tarHeader(entry), content, Buffer.alloc(tarPadding(content.length))]),
    TAR_END,
  ]);
}

function file(path: string, content: string | Buffer): Member {
  const bytes = Buffer.from(content as string);
  return {
    entry: { path, type: "file", size: bytes.length, mode: 0o600, mtime: 1_700_000_000, linkName: "" },
    content: bytes,
  };
}

function directory(path: string): Member {
  const entry: TarEntry = { path, type: "directory", size: 0, mode: 0o755, mtime: 0, linkName: "" };
  return { entry, content: Buffer.alloc(0) };
}

function read(chunks: readonly Buffer[]): Member[] {
  const members: { entry: TarEntry; parts: Buffer[]; ended: boolean }[] = [];
  const reader = new TarReader({
    entry: (entry) => void members.push({ entry, parts: [], ended: false }),
    data: (chunk) => void members.at(-1)?.parts.push(chunk),
    endEntry: () => {
      const member = members.at(-1);
      if (!member || member.ended) throw new Error("endEntry without entry");
      member.ended = true;
    },
  });
  for (const chunk of chunks) reader.push(chunk);
  reader.finish();
  expect(members.every((member) => member.ended)).toBe(true);
  return members.map(({ entry, parts }) => ({ entry, content: Buffer.concat(parts) }));
}

const SAMPLE = [directory("base"), file("PG_VERSION", "15"), file("empty", ""), file("base/1", Buffer.alloc(1537, 7))];

describe("TarReader", () => {
  test("gives the same members wherever the input is split", () => {
    const bytes = archive(SAMPLE);
    for (let at = 0; at <= bytes.length; at++)
      expect(read([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(SAMPLE);
    expect(read([...bytes].map((byte) => Buffer.from([byte])))).toEqual(SAMPLE);
  });

  test("round-trips any members in any chunking", () => {
    const member = fc.oneof(
      fc
        .tuple(fc.stringMatching(/^[a-z0-9_]{1,20}(\/[a-z]{1,9}){0,3}$/), fc.uint8Array({ maxLength: 3000 }))
        .map(([path, content]) => file(path, Buffer.from(content))),
      fc.stringMatching(/^[a-zäß]{1,40}$/).map(directory),
    );
    fc.assert(
      fc.property(fc.array(member), fc.array(fc.integer({ min: 1, max: 1500 }), { minLength: 1 }), (members, sizes) => {
        const bytes = archive(members);
        const chunks: Buffer[] = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = sizes[i % sizes.length] ?? 1;
          chunks.push(bytes.subarray(at, at + size));
          at += size;
        }
        expect(read(chunks)).toEqual(members);
      }),
    );
  });

  test("hands content on as views on the pushed chunk", () => {
    const bytes = archive([file("a", Buffer.alloc(100_000, 1))]);
    const chunks: Buffer[] = [];
    new TarReader({ entry: () => {}, data: (chunk) => void chunks.push(chunk), endEntry: () => {} }).push(bytes);
    expect(chunks).toHaveLength(1);
    expect(chunks[0]?.buffer).toBe(bytes.buffer);
  });

  test("every cut is found, wherever it is", () => {
    const bytes = archive(SAMPLE);
    for (let at = 0; at < bytes.length; at++)
      expect(() => read([bytes.subarray(0, at)]), `cut at ${at}`).toThrow(
        expect.objectContaining({ code: "tar_truncated" }),
      );
  });

  test("zeros may follow the end, anything else may not", () => {
    const bytes = archive(SAMPLE);
    expect(read([bytes, Buffer.alloc(9000)])).toEqual(SAMPLE);
    expect(() => read([bytes, Buffer.from("x")])).toThrow(expect.objectContaining({ code: "tar_corrupt" }));
    expect(() => read([bytes, Buffer.alloc(511), Buffer.from([1])])).toThrow(/after the end/);
  });

  test("a lone zero block is an error", () => {
    expect(() => read([Buffer.concat([Buffer.alloc(512), archive(SAMPLE)])])).toThrow(/lone zero block/);
  });

  test("every changed bit of a header is found", () => {
    const bytes = archive([file("PG_VERSION", "15")]);
    for (let bit = 0; bit < 512 * 8; bit++) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      // The checksum field is terminated by NUL and blank: only a swap of those two cannot be told.
      let same = false;
      try {
        same = JSON.stringify(read([changed])) === JSON.stringify(read([bytes]));
      } catch {
        continue;
      }
      expect(same, `bit ${bit}`).toBe(true);
    }
  });

  test.each(["L", "K", "x", "g", "3", "4", "6", "7", "S"])("type %s is not supported", (flag) => {
    const header = tarHeader(file("a", "").entry);
    header.write(flag, 156, "latin1");
    header.write("        ", 148, "latin1");
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
    expect(() => read([header, TAR_END])).toThrow(expect.objectContaining({ code: "tar_unsupported" }));
  });

  test("links are named with their targets", () => {
    const entry: TarEntry = { path: "l", type: "symlink", size: 0, mode: 0o777, mtime: 1, linkName: "/etc" };
    expect(read([tarHeader(entry), TAR_END])[0]?.entry).toEqual(entry);
    expect(read([tarHeader({ ...entry, type: "hardlink" }), TAR_END])[0]?.entry.type).toBe("hardlink");
  });

  test("a directory with content is an error", () => {
    expect(() => read([tarHeader({ ...directory("a").entry, size: 512 }), Buffer.alloc(512), TAR_END])).toThrow(
      /content/,
    );
  });

  test("sizes above 8 GiB", () => {
    const entry = { ...file("big", "").entry, size: 9 * 1024 ** 3 };
    const seen: TarEntry[] = [];
    const sink = { entry: (header: TarEntry) => void seen.push(header), data: () => {}, endEntry: () => {} };
    const reader = new TarReader(sink);
    reader.push(tarHeader(entry));
    expect(seen).toEqual([entry]);
    expect(() => reader.finish()).toThrow(/"big"/);
  });

  test("reads what GNU tar and its ustar format write, GNU tar reads ours", () => {
    const listing = execFileSync("tar", ["-tvf", "-"], { input: archive(SAMPLE), encoding: "utf8" });
    expect(listing.split("\n").map((line) => line.split(" ").at(-1))).toEqual([
      "base",
      "PG_VERSION",
      "empty",
      "base/1",
      "",
    ]);
    for (const format of ["gnu", "ustar"]) {
      const bytes = execFileSync("tar", ["-cf", "-", `--format=${format}`, "-C", import.meta.dirname, "tar.test.ts"]);
      const [member] = read([bytes]);
      expect(member?.entry.path).toBe("tar.test.ts");
      expect(member?.content.toString()).toContain("reads what GNU tar");
    }
  });

  test("a long name in a ustar prefix", () => {
    const header = tarHeader(file("name", "").entry);
    header.write("ustar\0", 257, "latin1");
    header.write("00", 263, "latin1");
    header.write("some/prefix", 345, "latin1");
    header.write("        ", 148, "latin1");
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
    expect(read([header, TAR_END])[0]?.entry.path).toBe("some/prefix/name");
  });
});

describe("tarHeader", () => {
  test("refuses what the format cannot hold", () => {
    expect(() => tarHeader(file("x".repeat(101), "").entry)).toThrow(
      expect.objectContaining({ code: "tar_unsupported" }),
    );
    expect(() => tarHeader(file("a\0b", "").entry)).toThrow(/NUL/);
    expect(() => tarHeader({ ...file("a", "").entry, size: -1 })).toThrow(/-1/);
    expect(tarHeader(file("x".repeat(100), "").entry)).toHaveLength(512);
  });
});
