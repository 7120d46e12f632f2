import { execFileSync } from "node:child_process";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { TAR_END, type TarEntry, TarReader, tarHeader, tarPadding } from "../../src/wire/tar.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

interface Seen {
  readonly entry: TarEntry;
  content: string;
}

function read(chunks: readonly Buffer[]): Seen[] {
  const seen: Seen[] = [];
  const reader = new TarReader(
    {
      entry: (entry) => void seen.push({ entry, content: "" }),
      data: (chunk) => {
        const last = seen.at(-1);
        if (last) last.content += chunk.toString();
      },
      endEntry: () => {},
    },
    { extendedHeaders: true },
  );
  for (const chunk of chunks) reader.push(chunk);
  reader.finish();
  return seen;
}

function member(flag: string, path: string, content: string): Buffer {
  const bytes = Buffer.from(content);
  const header = tarHeader({ path, type: "file", size: bytes.length, mode: 0o644, mtime: 0, linkName: "" });
  header.write(flag, 156, "latin1");
  header.write("        ", 148, "latin1");
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return Buffer.concat([header, bytes, Buffer.alloc(tarPadding(bytes.length))]);
}

const archive = (...members: Buffer[]): Buffer => Buffer.concat([...members, TAR_END]);

describe("extended headers", () => {
  test.each(["gnu", "pax"])("of a real tar, %s format, wherever the input is split", async (format) => {
    await using directory = await temporaryDirectory();
    const deep = join("a".repeat(90), "b".repeat(90));
    const name = join(deep, `${"ü".repeat(60)}.txt`);
    await mkdir(join(directory.path, "root", deep), { recursive: true });
    await writeFile(join(directory.path, "root", name), "content");
    await symlink("x".repeat(150), join(directory.path, "root", "link"));
    const bytes = execFileSync("tar", ["-cf", "-", `--format=${format}`, "-C", directory.path, "root"]);
    const whole = read([bytes]);
    expect(whole.find(({ content }) => content === "content")?.entry.path).toBe(`root/${name}`);
    expect(whole.find(({ entry }) => entry.type === "symlink")?.entry.linkName).toBe("x".repeat(150));
    for (let at = 1; at < bytes.length; at += 37)
      expect(read([bytes.subarray(0, at), bytes.subarray(at)]), `split at ${at}`).toEqual(whole);
  });

  test("pax: path, link and size are taken, everything else is ignored", () => {
    const bytes = archive(
      member("g", "pax_global_header", "24 path=not this one ok\n"),
      member("x", "p", "18 path=über.sql\n25 SCHILY.xattr.user.a=b\n9 size=4\n"),
      member("0", "short", "abcd"),
      member("0", "next", "e"),
    );
    expect(read([bytes]).map(({ entry, content }) => [entry.path, entry.size, content])).toEqual([
      ["über.sql", 4, "abcd"],
      ["next", 1, "e"],
    ]);
  });

  test.each([
    "x",
    "5 a=b\n",
    "9 path=ab",
    "-1 a=b\n",
    "99 a=b\n",
    "0 a=b\n",
    "6 path\n",
    "10 size=x\n\n",
    "11 size=-1\n",
  ])("a malformed record %j is an error", (content) => {
    expect(() => read([archive(member("x", "p", content), member("0", "a", ""))])).toThrow(
      expect.objectContaining({ code: "tar_corrupt" }),
    );
  });

  test("sparse files and huge headers are refused", () => {
    expect(() => read([archive(member("x", "p", "22 GNU.sparse.major=1\n"), member("0", "a", ""))])).toThrow(
      expect.objectContaining({ code: "tar_unsupported" }),
    );
    expect(() => read([member("L", "p", "x".repeat(1024 * 1024 + 1))])).toThrow(/too large/);
  });

  test("an archive that ends inside one is cut off", () => {
    const bytes = archive(member("L", "p", `${"n".repeat(150)}\0`), member("0", "a", "1"));
    for (let at = 0; at < bytes.length; at += 13)
      expect(() => read([bytes.subarray(0, at)]), `cut at ${at}`).toThrow(
        expect.objectContaining({ code: "tar_truncated" }),
      );
  });
});
