import { expect, test } from "vitest";
import { parseNeonLocalArguments } from "../../src/cli/neon_local_arguments.ts";

function parse(...argv: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const command = parseNeonLocalArguments(argv, { out: (text) => out.push(text), err: (text) => err.push(text) });
  return { command, out: out.join(""), err: err.join("") };
}

test("serve has defaults, and takes every flag", () => {
  expect(parse("serve").command).toEqual({ kind: "serve", flags: { pgPort: 55432, pgHost: "127.0.0.1" } });
  const all = parse(
    "serve",
    "--dir",
    "d",
    "--pg-port",
    "0",
    "--pg-version",
    "15",
    "--pg-bin",
    "/b",
    "--user",
    "u",
    "--pg-host",
    "*",
  );
  expect(all.command).toEqual({
    kind: "serve",
    flags: { dir: "d", pgPort: 0, pgVersion: 15, pgBin: "/b", user: "u", pgHost: "*" },
  });
});

test("healthcheck takes a URL or a directory", () => {
  expect(parse("healthcheck").command).toEqual({ kind: "healthcheck", flags: {} });
  expect(parse("healthcheck", "--url", "http://127.0.0.1:1/x", "--dir", "d").command).toEqual({
    kind: "healthcheck",
    flags: { url: "http://127.0.0.1:1/x", dir: "d" },
  });
});

test.each([["--help"], ["serve", "--help"]])("help is no error: %s", (...argv) => {
  const { command, out } = parse(...argv);
  expect(command).toEqual({ kind: "exit", code: 0 });
  expect(out).toContain("Usage: neon-local");
});

test.each([
  [[]],
  [["sevre"]],
  [["serve", "--what"]],
  [["serve", "extra"]],
  [["serve", "--pg-port", "65536"]],
  [["serve", "--pg-port", "x"]],
  [["serve", "--pg-version", "13"]],
  [["serve", "--dir"]],
  [["healthcheck", "--url", "ftp://x"]],
])("a wrong command line ends as 2: %j", (argv) => {
  const { command, err } = parse(...argv);
  expect(command).toEqual({ kind: "exit", code: 2 });
  expect(err).not.toBe("");
});
