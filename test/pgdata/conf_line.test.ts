import { describe, expect, test } from "vitest";
import { commentOut, commentOutLine } from "../../src/pgdata/comment_out.ts";
import { lastAssignment, linesThatSet, parseConfLine } from "../../src/pgdata/conf_line.ts";

describe("a line of a configuration file", () => {
  test.each([
    ["work_mem=5MB", "work_mem", "5MB"],
    ["  Work_Mem  5MB\r", "work_mem", "5MB"],
    ["a.b = 'it''s \\'so\\'' # why", "a.b", "it's 'so'"],
    ["x='a#b'", "x", "a#b"],
    ["x'y'", "x", "y"],
    ["include_if_exists 'a.conf'", "include_if_exists", "a.conf"],
    ["x = 1#two", "x", "1"],
  ])("%j", (line, name, value) => {
    expect(parseConfLine(line)).toEqual({ name, value });
  });

  test.each(["", "# x = 1", "x", "x =", "x = 'open", "x = 1 2", "= 1", "x = a=b"])("%j sets nothing", (line) => {
    expect(parseConfLine(line)).toBeUndefined();
  });

  test("the last line wins, whatever the case of its name", () => {
    expect(lastAssignment("a=1\nA=2\n#a=3", "a")).toBe("2");
    expect(lastAssignment("b=1", "a")).toBeUndefined();
    expect(linesThatSet("a=1\nb=1\nA 2\n# a=3", "a")).toEqual([1, 3]);
  });
});

describe("commenting out", () => {
  test("lines by number, with the reason behind", () => {
    expect(commentOut("a=1\nb=2\nc=3\n", [2, 9], "no\nsuch")).toBe("a=1\n# b=2 # no such\nc=3\n");
  });

  test("comments and blank lines stay", () => {
    expect(commentOutLine("# x", "y")).toBe("# x");
    expect(commentOut("a\n", [2], "y")).toBe("a\n");
  });
});
