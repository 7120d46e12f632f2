import { afterEach, describe, expect, test } from "vitest";
import { parseComputeCtlArguments } from "../../src/cli/compute_ctl_arguments.ts";

const REQUIRED = ["-D", "/d", "-C", "postgresql://cloud_admin@localhost/postgres", "-i", "c1"];

function parse(...argv: string[]) {
  let err = "";
  let out = "";
  const command = parseComputeCtlArguments(argv, { out: (text) => (out += text), err: (text) => (err += text) });
  return { command, err, out };
}

function flagsOf(...argv: string[]) {
  const { command, err } = parse(...argv);
  if (command.kind !== "run") throw new Error(`not accepted: ${err}`);
  return command.flags;
}

afterEach(() => {
  delete process.env.POSTGRES_PATH;
});

test("lifecycle.md case 1: a missing required flag is exit 2 with the usage on stderr", () => {
  for (const flag of ["-D", "-C", "-i"]) {
    const argv = REQUIRED.flatMap((word, index) => (word === flag || REQUIRED[index - 1] === flag ? [] : [word]));
    const { command, err } = parse(...argv, "-c", "x");
    expect(command).toEqual({ kind: "exit", code: 2 });
    expect(err).toMatch(/required option .*not specified[\s\S]*--help/);
  }
});

test("lifecycle.md case 2: --config and --control-plane-uri exclude each other, and one of them is needed", () => {
  expect(parse(...REQUIRED, "-c", "x", "-p", "http://y").command).toEqual({ kind: "exit", code: 2 });
  const neither = parse(...REQUIRED);
  expect(neither.command).toEqual({ kind: "exit", code: 2 });
  expect(neither.err).toContain("--config");
  expect(neither.err).toContain("--control-plane-uri");
});

test.each(["NeonSuperuser", "x1", "$'x", ""])("lifecycle.md case 3: --privileged-role-name %j is exit 2", (name) => {
  const { command, err } = parse(...REQUIRED, "-c", "x", "--privileged-role-name", name);
  expect(command).toEqual({ kind: "exit", code: 2 });
  expect(err).toContain("--privileged-role-name can only contain lowercase letters and underscores");
});

test("lifecycle.md case 3: my_superuser is accepted", () => {
  expect(flagsOf(...REQUIRED, "-c", "x", "--privileged-role-name", "my_superuser").privilegedRoleName).toBe(
    "my_superuser",
  );
});

test("lifecycle.md case 4: the extension base URL ends in exactly one slash and has no parameters", () => {
  expect(flagsOf(...REQUIRED, "-c", "x", "-r", "https://e/sub").remoteExtBaseUrl).toBe("https://e/sub/");
  expect(flagsOf(...REQUIRED, "-c", "x", "-r", "https://e//").remoteExtBaseUrl).toBe("https://e/");
  const { command, err } = parse(...REQUIRED, "-c", "x", "-r", "https://e?h=w");
  expect(command).toEqual({ kind: "exit", code: 2 });
  expect(err).toContain("parameters detected in remote extensions base URL");
});

test("lifecycle.md case 5: -b beats POSTGRES_PATH, which beats the default", () => {
  process.env.POSTGRES_PATH = "/a/postgres";
  expect(flagsOf(...REQUIRED, "-c", "x").pgbin).toBe("/a/postgres");
  expect(flagsOf(...REQUIRED, "-c", "x", "-b", "/b/postgres").pgbin).toBe("/b/postgres");
  delete process.env.POSTGRES_PATH;
  expect(flagsOf(...REQUIRED, "-c", "x").pgbin).toBe("postgres");
});

test("lifecycle.md case 6: --http-port excludes the two port flags and is parsed alone", () => {
  expect(parse(...REQUIRED, "-c", "x", "--http-port", "4000", "--external-http-port", "4001").command).toEqual({
    kind: "exit",
    code: 2,
  });
  const flags = flagsOf(...REQUIRED, "-c", "x", "--http-port", "4000");
  expect([flags.httpPort, flags.externalHttpPort, flags.internalHttpPort]).toEqual([4000, 3080, 3081]);
});

describe("forms and values", () => {
  test("short flags take their value attached or apart, long ones with = or apart", () => {
    expect(flagsOf("-D/d", "--connstr=postgresql://h/p", "-i", "c", "-cx").pgdata).toBe("/d");
  });

  test.each([
    ["--external-http-port", "70000"],
    ["--external-http-port", "x"],
    ["--lakebase-mode", "yes"],
    ["--pg-init-timeout", "-1"],
    ["--unknown", "1"],
  ])("%s %s is exit 2", (flag, value) => {
    expect(parse(...REQUIRED, "-c", "x", flag, value).command).toEqual({ kind: "exit", code: 2 });
  });

  test("--help prints every visible flag and is exit 0", () => {
    const { command, out } = parse("--help");
    expect(command).toEqual({ kind: "exit", code: 0 });
    expect(out).toContain("--set-disk-quota-for-fs");
    expect(out).not.toContain("--spec-path");
  });

  test("flags of earlier releases are accepted with a warning each", () => {
    const { command } = parse(...REQUIRED, "-S", "/tmp/spec.json", "--remote-ext-config", "{}");
    if (command.kind !== "run") throw new Error("not accepted");
    expect(command.flags.config).toBe("/tmp/spec.json");
    expect(command.flags.remoteExtBaseUrl).toBe("http://pg-ext-s3-gateway/");
    expect(command.warnings).toHaveLength(2);
  });

  test("the original's usual invocations are accepted word for word", () => {
    flagsOf(
      ...["--external-http-port", "55101", "--internal-http-port", "55102", "--pgdata", "/e/pgdata"],
      ...["--connstr", "postgresql://cloud_admin@127.0.0.1:55100/postgres", "--config", "/e/config.json"],
      ...["--pgbin", "/opt/pg/v16/bin/postgres", "--compute-id", "ep-main", "--dev", "--privileged-role-name", "r"],
    );
    flagsOf(
      "-D",
      "d",
      "-C",
      "postgresql://h/p",
      "-b",
      "p",
      "-i",
      "compute-x",
      "-p",
      "http://cplane:9095",
      "-r",
      "http://pg-ext-s3-gateway",
    );
  });

  test("subcommands of ours", () => {
    expect(parse("validate", "f.json").command).toEqual({ kind: "validate", file: "f.json" });
    expect(parse("validate").command).toEqual({ kind: "exit", code: 2 });
    expect(parse("postgres-path", "17").command).toEqual({ kind: "postgres-path", major: 17 });
    expect(parse("postgres-path", "13").command).toEqual({ kind: "exit", code: 2 });
  });
});
