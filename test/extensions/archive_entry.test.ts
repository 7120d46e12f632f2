import { describe, expect, test } from "vitest";
import { archivePlace } from "../../src/extensions/archive_entry.ts";
import { file, other } from "./archive.ts";

const place = (member: ReturnType<typeof file>) => archivePlace(member.entry);

describe("where an entry belongs", () => {
  test.each([
    ["lib/a.so", { root: "lib", path: "a.so" }],
    ["./lib/bitcode/a.bc", { root: "lib", path: "bitcode/a.bc" }],
    ["share/extension/a.control", { root: "extension", path: "a.control" }],
    ["share/doc/a", undefined],
    ["README", undefined],
    ["library/a", undefined],
  ])("%s", (path, expected) => {
    expect(place(file(path))).toEqual(expected);
  });

  test("directories, with or without a slash at the end; the roots themselves need nothing", () => {
    expect(place(other("directory", "lib/sub/"))).toEqual({ root: "lib", path: "sub" });
    for (const path of ["./", ".", "share", "share/", "share/extension/", "lib/", "./lib"])
      expect(place(other("directory", path)), path).toBeUndefined();
  });
});

describe("what is refused", () => {
  test.each([
    ...["../evil", "lib/../../evil", "/etc/passwd", "lib//x", "lib/./x", "lib/..", "share/extension/../../x", ""],
    ...["..", "share/../lib/x", "elsewhere/../../x", "lib/", "lib", "share"],
  ])("a file named %j", (path) => {
    expect(() => place(file(path))).toThrow(expect.objectContaining({ code: "unsafe_entry" }));
  });

  test.each([
    ["lib/a", "/etc/passwd"],
    ["lib/a", ".."],
    ["lib/a", "."],
    ["lib/a", ""],
    ["lib/a", "../share/extension/b"],
    ["lib/sub/a", "../../etc"],
    ["lib/a", "b/../../.."],
    ["lib/a", "b/../c"],
    ["share/extension/a", "../../lib/b"],
    ["lib", "elsewhere"],
    ["share", "/etc"],
  ])("a symlink %s to %j", (path, target) => {
    expect(() => place(other("symlink", path, target))).toThrow(expect.objectContaining({ code: "unsafe_entry" }));
  });

  test("symlinks within their tree are fine", () => {
    for (const [path, target] of [
      ["lib/liba.so", "liba.so.1"],
      ["lib/sub/a", "../a"],
      ["share/extension/x/a", "../y/b"],
    ] as const)
      expect(place(other("symlink", path, target)), path).toBeDefined();
  });
});
