import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type UnpackOptions, unpackBaseBackup } from "../../src/basebackup/unpack.ts";
import { ensureNeonSignal } from "../../src/pgdata/signal_files.ts";
import { TAR_END } from "../../src/wire/tar.ts";
import {
  CONTROL_CONTENT,
  gzipMembers,
  sampleTar,
  tarDirectory,
  tarFile,
  tarMember,
} from "../support/sample_base_backup.ts";

let root: string;
let pgdata: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "unpack-"));
  pgdata = join(root, "pgdata");
  mkdirSync(pgdata, { mode: 0o700 });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

async function* chunks(bytes: Buffer, size = 65536): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

function unpack(bytes: Buffer, options: Partial<UnpackOptions> & { chunk?: number } = {}) {
  return unpackBaseBackup(chunks(bytes, options.chunk), { pgdata, gzip: false, ...options });
}

/** Everything below a directory: path to content, or to what it is. */
function tree(directory: string, prefix = ""): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of readdirSync(join(directory, prefix), { withFileTypes: true })) {
    const path = join(prefix, entry.name);
    if (entry.isDirectory()) Object.assign(found, { [path]: "directory" }, tree(directory, path));
    else if (entry.isSymbolicLink()) found[path] = "symlink";
    else found[path] = readFileSync(join(directory, path)).toString("base64");
  }
  return found;
}

/** A program of every Unix. */
const MAKE_FIFO = "mkfifo";

const control = () => join(pgdata, "global/pg_control");
const base64 = (text: string | Buffer) => Buffer.from(text as string).toString("base64");

describe("unpackBaseBackup", () => {
  test("storage-protocols.md case 4: duplicate base/1, no pg_wal entry, PG_VERSION without newline; postgresql.conf and PGDATA's mode stay", async () => {
    writeFileSync(join(pgdata, "postgresql.conf"), "ours");
    const tar = sampleTar(tarFile("postgresql.conf", "theirs"), tarDirectory("."));
    const { paths, bytes, compressedBytes } = await unpack(gzipMembers(tar), { gzip: true });
    expect(readFileSync(join(pgdata, "postgresql.conf"), "utf8")).toBe("ours");
    expect(readFileSync(join(pgdata, "PG_VERSION"), "utf8")).toBe("15");
    expect(statSync(pgdata).mode & 0o7777).toBe(0o700);
    expect(statSync(join(pgdata, "pg_wal")).mode & 0o7777).toBe(0o700);
    expect(statSync(join(pgdata, "base/1")).mode & 0o7777).toBe(0o755);
    expect(statSync(control()).mode & 0o7777).toBe(0o600);
    expect(readFileSync(control())).toEqual(CONTROL_CONTENT);
    expect(statSync(join(pgdata, "pg_wal/000000010000000000000001")).size).toBe(1024 * 1024);
    expect(bytes).toBe(tar.length);
    expect(compressedBytes).toBe(gzipMembers(tar).length);
    expect([...paths].sort()).toEqual(
      Object.keys(tree(pgdata))
        .filter((path) => path !== "postgresql.conf")
        .sort(),
    );
  });

  test("storage-protocols.md case 5: only zenith.signal in the tar, neon.signal gets its text", async () => {
    writeFileSync(join(pgdata, "neon.signal"), "of an earlier start");
    const tar = Buffer.concat([
      tarFile("zenith.signal", "PREV LSN: 0/1"),
      tarFile("global/pg_control", CONTROL_CONTENT),
      TAR_END,
    ]);
    await unpack(tar, {
      beforeControlFile: async (paths) => {
        if (!paths.has("neon.signal")) rmSync(join(pgdata, "neon.signal"));
      },
    });
    await ensureNeonSignal(pgdata, undefined);
    expect(readFileSync(join(pgdata, "neon.signal"), "utf8")).toBe("PREV LSN: 0/1");
  });

  test("the same files wherever the input is split", async () => {
    const tar = Buffer.concat([
      tarDirectory("global"),
      tarFile("a", "x".repeat(700)),
      tarFile("global/pg_control", CONTROL_CONTENT),
      TAR_END,
    ]);
    await unpack(tar);
    const expected = tree(pgdata);
    for (const bytes of [tar, gzipMembers(tar, 3000)])
      for (const chunk of [1, 7, 511, 513, 10_000]) {
        rmSync(pgdata, { recursive: true });
        mkdirSync(pgdata);
        await unpack(bytes, { chunk, gzip: bytes !== tar });
        expect(tree(pgdata)).toEqual(expected);
      }
  });

  test("files are overwritten in place, cut when they were longer", async () => {
    await unpack(sampleTar(tarFile("longer", "x".repeat(5000)), tarFile("large", Buffer.alloc(700_000, 1))));
    const inodes = ["longer", "large", "PG_VERSION"].map((name) => statSync(join(pgdata, name)).ino);
    writeFileSync(join(pgdata, "stale"), "");
    const { paths } = await unpack(sampleTar(tarFile("longer", "short"), tarFile("large", Buffer.alloc(600_000, 2))));
    expect(readFileSync(join(pgdata, "longer"), "utf8")).toBe("short");
    expect(readFileSync(join(pgdata, "large"))).toEqual(Buffer.alloc(600_000, 2));
    expect(["longer", "large", "PG_VERSION"].map((name) => statSync(join(pgdata, name)).ino)).toEqual(inodes);
    expect(paths.has("stale")).toBe(false);
  });

  test("a file that comes twice has its last content", async () => {
    const tar = sampleTar(tarFile("rel", Buffer.alloc(900_000, 1)), tarFile("rel", Buffer.alloc(800_000, 2)));
    await unpack(tar, { chunk: tar.length });
    expect(readFileSync(join(pgdata, "rel"))).toEqual(Buffer.alloc(800_000, 2));
  });

  test("files above the small size with every kind of rest", async () => {
    const members = [262_144, 262_145, 1024 * 1024, 1024 * 1024 + 1, 5_000_000].map((size) =>
      tarFile(`f${size}`, Buffer.alloc(size, size % 251)),
    );
    await unpack(gzipMembers(sampleTar(...members)), { gzip: true });
    for (const name of readdirSync(pgdata).filter((entry) => /^f\d/.test(entry)))
      expect(readFileSync(join(pgdata, name))).toEqual(
        Buffer.alloc(Number(name.slice(1)), Number(name.slice(1)) % 251),
      );
  });

  test.runIf(process.getuid?.() === 0)("everything belongs to the owner", async () => {
    const owner = { uid: 65534, gid: 65534 };
    writeFileSync(join(pgdata, "PG_VERSION"), "old");
    await unpack(sampleTar(), { owner });
    for (const path of Object.keys(tree(pgdata))) expect(lstatSync(join(pgdata, path)), path).toMatchObject(owner);
  });

  test("modes: never setuid, never writable for others", async () => {
    await unpack(
      sampleTar(tarMember({ path: "odd", mode: 0o6777 }, "x"), tarMember({ path: "read", mode: 0o400 }, "x")),
    );
    expect(statSync(join(pgdata, "odd")).mode & 0o7777).toBe(0o750);
    expect(statSync(join(pgdata, "read")).mode & 0o7777).toBe(0o600);
  });
});

describe("what stands in PGDATA cannot lead out of it", () => {
  test("planted symlinks to files and directories, and hard links, are replaced", async () => {
    const outside = join(root, "outside");
    mkdirSync(outside);
    writeFileSync(join(outside, "file"), "precious");
    symlinkSync(join(outside, "file"), join(pgdata, "PG_VERSION"));
    linkSync(join(outside, "file"), join(pgdata, "pg_hba.conf"));
    for (const name of ["base", "global", "pg_wal", "pg_dynshmem"]) symlinkSync(outside, join(pgdata, name));
    await unpack(sampleTar());
    expect(readdirSync(outside)).toEqual(["file"]);
    expect(readFileSync(join(outside, "file"), "utf8")).toBe("precious");
    expect(Object.values(tree(pgdata))).not.toContain("symlink");
    expect(readFileSync(join(pgdata, "base/1/PG_VERSION"), "utf8")).toBe("15");
  });

  test("a symlink below the last parent, too", async () => {
    const outside = join(root, "outside");
    mkdirSync(outside);
    mkdirSync(join(pgdata, "base"));
    symlinkSync(outside, join(pgdata, "base/1"));
    await unpack(sampleTar());
    expect(readdirSync(outside)).toEqual([]);
  });

  test("FIFOs, directories in the place of files, files in the place of directories, files without write permission", async () => {
    execFileSync(MAKE_FIFO, [join(pgdata, "PG_VERSION")]);
    mkdirSync(join(pgdata, "neon.signal/sub"), { recursive: true });
    writeFileSync(join(pgdata, "base"), "file");
    writeFileSync(join(pgdata, "pg_hba.conf"), "old");
    chmodSync(join(pgdata, "pg_hba.conf"), 0o400);
    await unpack(sampleTar());
    expect(readFileSync(join(pgdata, "neon.signal"), "utf8")).toBe("PREV LSN: none");
    expect(readFileSync(join(pgdata, "PG_VERSION"), "utf8")).toBe("15");
    expect(readFileSync(join(pgdata, "pg_hba.conf"), "utf8")).toBe("local all all trust\n");
  });

  test("PGDATA must be a real directory", async () => {
    symlinkSync(pgdata, join(root, "link"));
    await expect(unpack(sampleTar(), { pgdata: join(root, "link") })).rejects.toMatchObject({
      code: "not_a_directory",
    });
  });
});

describe("hostile archives", () => {
  test.each<[string, Buffer]>([
    ["an absolute path", tarFile("/etc/passwd", "x")],
    ["a parent", tarFile("../outside", "x")],
    ["a parent in the middle", tarFile("base/../../outside", "x")],
    ["a parent as directory", tarDirectory("..")],
    ["an empty name", tarFile("", "x")],
    ["an empty directory name", tarDirectory("")],
    ["an empty component", tarFile("base//1", "x")],
    ["a dot inside", tarFile("base/./1", "x")],
    ["a file that ends with a slash", tarFile("base/1/", "x")],
    ["the root as a file", tarFile(".", "x")],
    ["a symlink", tarMember({ path: "pg_wal2", type: "symlink", linkName: "/tmp" })],
    ["a symlink in pg_tblspc", tarMember({ path: "pg_tblspc/1", type: "symlink", linkName: "/tmp" })],
    ["a hard link", tarMember({ path: "copy", type: "hardlink", linkName: "PG_VERSION" })],
    ["a directory where a file was", tarDirectory("PG_VERSION")],
    ["a file where a directory was", tarFile("base", "x")],
    ["a file below a file", tarFile("PG_VERSION/x", "x")],
    ["a file far below a file", tarFile("PG_VERSION/x/y", "x")],
  ])("%s is refused", async (_, member) => {
    await expect(unpack(sampleTar(member))).rejects.toMatchObject({ code: "unsafe_entry" });
    expect(existsSync(control())).toBe(false);
    expect(readdirSync(root)).toEqual(["pgdata"]);
  });

  test("a leading ./ is harmless", async () => {
    await unpack(sampleTar(tarDirectory("./"), tarFile("./here", "x"), tarDirectory("./sub/")));
    expect(tree(pgdata)).toMatchObject({ here: base64("x"), sub: "directory" });
  });

  test("no pg_control, or one that is none", async () => {
    await expect(unpack(Buffer.concat([tarFile("PG_VERSION", "15"), TAR_END]))).rejects.toMatchObject({
      code: "incomplete_base_backup",
    });
    await expect(unpack(sampleTar(tarFile("global/pg_control", Buffer.alloc(100_000))))).rejects.toMatchObject({
      code: "incomplete_base_backup",
    });
  });
});

describe("a failed try leaves nothing that could be started", () => {
  const tar = Buffer.concat([
    tarDirectory("global"),
    tarFile("PG_VERSION", "15"),
    tarFile("global/pg_control", CONTROL_CONTENT),
    tarFile("pg_wal/1", Buffer.alloc(3000, 5)),
    TAR_END,
  ]);

  /** Also the control file of an earlier start must be gone. */
  async function fails(bytes: Buffer, gzip: boolean): Promise<void> {
    mkdirSync(join(pgdata, "global"), { recursive: true });
    writeFileSync(control(), "of an earlier start");
    await expect(unpack(bytes, { gzip })).rejects.toThrow();
    expect(existsSync(control())).toBe(false);
  }

  test("cut anywhere", async () => {
    for (const [bytes, gzip] of [
      [tar, false],
      [gzipSync(tar), true],
      [gzipMembers(tar, 3000), true],
    ] as const) {
      const step = gzip ? 1 : 97;
      for (let at = 0; at < bytes.length; at += step) await fails(bytes.subarray(0, at), gzip);
      await unpack(bytes, { gzip });
      expect(readFileSync(control())).toEqual(CONTROL_CONTENT);
    }
  });

  test("a flipped bit in the gzip stream is found, or changes nothing", async () => {
    await unpack(tar);
    const expected = tree(pgdata);
    const bytes = gzipSync(tar);
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length * 8 - 1), async (bit) => {
        rmSync(pgdata, { recursive: true });
        mkdirSync(pgdata);
        const damaged = Buffer.from(bytes);
        damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        try {
          await unpack(damaged, { gzip: true });
        } catch {
          expect(existsSync(control())).toBe(false);
          return;
        }
        // Time stamp, operating system and flags of the gzip header mean nothing.
        expect(tree(pgdata)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  test.each<[string, Buffer]>([
    ["garbage", Buffer.from("garbage")],
    ["one zero", Buffer.alloc(1)],
    ["a block of zeros", Buffer.alloc(1024)],
    ["another archive", gzipSync(tar)],
    ["the start of a member", gzipSync("x").subarray(0, 1)],
  ])("%s after the gzip stream", async (_, rest) => {
    await fails(Buffer.concat([gzipSync(tar), rest]), true);
    mkdirSync(join(pgdata, "global"), { recursive: true });
    writeFileSync(control(), "old");
    const pieces = async function* (): AsyncGenerator<Buffer> {
      yield gzipSync(tar);
      yield rest;
    };
    await expect(unpackBaseBackup(pieces(), { pgdata, gzip: true })).rejects.toThrow();
    expect(existsSync(control())).toBe(false);
  });

  test("an empty member at the end is part of the stream", async () => {
    await unpack(Buffer.concat([gzipSync(tar), gzipSync("")]), { gzip: true });
  });

  test("plain where gzip was asked for, gzip where plain was", async () => {
    await fails(tar, true);
    await fails(gzipSync(tar), false);
  });

  test("an error of the source after the last byte is passed on", async () => {
    for (const [bytes, gzip] of [
      [tar, false],
      [gzipSync(tar), true],
    ] as const) {
      const failing = async function* (): AsyncGenerator<Buffer> {
        yield bytes;
        throw new Error("server says no");
      };
      await expect(unpackBaseBackup(failing(), { pgdata, gzip })).rejects.toThrow("server says no");
      expect(existsSync(control())).toBe(false);
    }
  });

  test("an error before the control file", async () => {
    const beforeControlFile = () => Promise.reject(new Error("no"));
    await expect(unpack(tar, { beforeControlFile })).rejects.toThrow("no");
    expect(existsSync(control())).toBe(false);
  });

  test("the source is closed and no file stays open", async () => {
    const descriptors = () => readdirSync("/proc/self/fd").length;
    await unpack(sampleTar(tarFile("large", Buffer.alloc(3_000_000))));
    const before = descriptors();
    for (const gzip of [false, true]) {
      let closed = false;
      const whole = sampleTar(tarFile("large", Buffer.alloc(3_000_000)), tarFile("../x", ""));
      const bytes = gzip ? gzipSync(whole) : whole;
      const source = async function* (): AsyncGenerator<Buffer> {
        try {
          yield* chunks(bytes);
        } finally {
          closed = true;
        }
      };
      await expect(unpackBaseBackup(source(), { pgdata, gzip })).rejects.toThrow(/plain/);
      await expect.poll(() => closed).toBe(true);
    }
    expect(descriptors()).toBeLessThanOrEqual(before);
  });
});

test("what is not on disk yet is bounded", async () => {
  const size = 64 * 1024 * 1024;
  const piece = Buffer.alloc(65536, 1);
  let ahead = 0;
  const source = async function* (): AsyncGenerator<Buffer> {
    yield tarMember({ path: "big", size }).subarray(0, 512);
    for (let at = 0; at < size; at += piece.length) {
      if (at > 0) ahead = Math.max(ahead, at - statSync(join(pgdata, "big")).size);
      yield piece;
    }
    yield tarFile("global/pg_control", CONTROL_CONTENT);
    yield TAR_END;
  };
  await unpackBaseBackup(source(), { pgdata, gzip: false });
  expect(statSync(join(pgdata, "big")).size).toBe(size);
  expect(ahead).toBeLessThan(8 * 1024 * 1024);
});
