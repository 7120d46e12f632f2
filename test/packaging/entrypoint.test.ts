/** The image's entry point, run by this machine's own shell over stand-ins that print what they got. */
import { chmod, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { searchPath } from "../../src/postgres/installation.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temp_directory.ts";

const ENTRYPOINT = "deploy/image/entrypoint.sh";
const CONNSTR = "postgresql://cloud_admin@localhost:5432/postgres";
const FULL = { COMPUTE_ID: "c", CONNSTR, SPEC_FILE: "/c.json" };

let bin: TemporaryDirectory;

beforeAll(async () => {
  bin = await temporaryDirectory();
  for (const name of ["compute_ctl", "neon-store", "neon-local"]) {
    const file = join(bin.path, name);
    // One word a line, so that words with blanks are told apart.
    await writeFile(
      file,
      `#!/bin/sh
if [ "$1" = validate ]; then grep -q spec "$2" && exit 0; printf 'invalid config file %s\\nno spec\\n' "$2" >&2; exit 1; fi
printf '%s\\n' "${name}" "$@"
[ -z "\${SPEC_JSON-}" ] || echo SPEC_JSON is left
`,
    );
    await chmod(file, 0o755);
  }
});
afterAll(async () => {
  await bin[Symbol.asyncDispose]();
});

/** What was executed, word by word, or what was complained about. */
async function run(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { exitCode, stdout, stderr } = await execa("sh", [ENTRYPOINT, ...words], {
    env: { PATH: `${bin.path}:/usr/bin:/bin`, TMPDIR: bin.path, ...env },
    extendEnv: false,
    reject: false,
  });
  return { exitCode, words: stdout.split("\n"), stderr };
}

test("nothing given: neon-local serve, whatever else is in the environment", async () => {
  for (const env of [{}, { PGDATA: "/p", COMPUTE_ID: "", SPEC_JSON: "" }])
    expect(await run([], env)).toEqual({ exitCode: 0, words: ["neon-local", "serve"], stderr: "" });
});

test("a value that looks like a flag is none", async () => {
  const words = ["--filecache-connstr", "-c", "--cgroup", "--config", "-b", "-p", "-Cx"];
  expect((await run(words, { SPEC_FILE: "/c.json" })).words).toEqual(["compute_ctl", "--config", "/c.json", ...words]);
});

test("a program and its words pass unchanged, whatever the environment says", async () => {
  for (const words of [
    ["neon-store", "--dir", "/a b"],
    ["compute_ctl", "-D", "x", ""],
    [join("/bin", "echo"), "hello"],
  ]) {
    const { words: got } = await run(words, FULL);
    expect(got).toEqual(words[0]?.startsWith("/") ? ["hello"] : words);
  }
});

test("flags go to compute_ctl unchanged", async () => {
  const words = ["-D", "/a  b", `--connstr=${CONNSTR}`, "-ic", "--config", "/c d.json", "--dev"];
  expect((await run(words)).words).toEqual(["compute_ctl", ...words]);
});

test("variables become flags", async () => {
  const { words } = await run([], {
    ...FULL,
    PGDATA: "/p q",
    EXTERNAL_HTTP_PORT: "1",
    INTERNAL_HTTP_PORT: "2",
    INTERNAL_HTTP_ADDR: "::1",
    REMOTE_EXT_BASE_URL: "http://e/$(x)",
    PRIVILEGED_ROLE_NAME: "boss",
  });
  const [program, ...rest] = words;
  expect(program).toBe("compute_ctl");
  const pairs = rest.flatMap((word, index) => (index % 2 === 0 ? [[word, rest[index + 1]]] : []));
  expect(Object.fromEntries(pairs)).toEqual({
    "--compute-id": "c",
    "--connstr": CONNSTR,
    "--config": "/c.json",
    "--pgdata": "/p q",
    "--external-http-port": "1",
    "--internal-http-port": "2",
    "--internal-http-addr": "::1",
    "--remote-ext-base-url": "http://e/$(x)",
    "--privileged-role-name": "boss",
  });
});

test("PGDATA has a default, a control plane is a source of specs", async () => {
  const { words } = await run([], { COMPUTE_ID: "c", CONNSTR, CONTROL_PLANE_URI: "http://cp" });
  expect(words).toEqual(
    expect.arrayContaining(["--pgdata", "/var/db/postgres/compute", "--control-plane-uri", "http://cp"]),
  );
});

test("flags and variables complete each other; the same said twice is no contradiction", async () => {
  const { words } = await run(["-D/p", "--compute-id=c"], { ...FULL, PGDATA: "/p" });
  expect(words).toEqual(["compute_ctl", "--config", "/c.json", "--connstr", CONNSTR, "-D/p", "--compute-id=c"]);
  expect((await run(["-c", "/c.json"], FULL)).exitCode).toBe(0);
});

test("SPEC_JSON becomes a file that nobody else reads, and leaves the environment", async () => {
  const json = '{"spec": null, "compute_ctl_config": {"jwks": {"keys": []}}}';
  const files = new Set<string>();
  for (const _start of [1, 2]) {
    const { words } = await run([], { COMPUTE_ID: "c", CONNSTR, SPEC_JSON: json });
    expect(words).not.toContain("SPEC_JSON is left");
    files.add(words[words.indexOf("--config") + 1] ?? "");
  }
  // Starting again and again leaves no copies.
  expect(files.size).toBe(1);
  for (const file of files) {
    expect(await readFile(file, "utf8")).toBe(`${json}\n`);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(dirname(file))).toEqual(["config.json"]);
  }
});

test.each<[string, string[], Record<string, string>, string]>([
  ["no such program", ["sevre"], {}, "'sevre' is no program here"],
  ["two sources", [], { ...FULL, SPEC_JSON: "{}" }, "SPEC_FILE and SPEC_JSON are set"],
  ["three sources", [], { ...FULL, SPEC_JSON: "{}", CONTROL_PLANE_URI: "x" }, "and CONTROL_PLANE_URI are set"],
  ["a source twice", ["--config", "/other"], FULL, "SPEC_FILE is set and --config is given"],
  ["a file and a control plane", ["-p", "http://x"], FULL, "SPEC_FILE is set and --control-plane-uri is given"],
  ["another id", ["-i", "other"], FULL, "COMPUTE_ID is set and --compute-id says something else"],
  ["another PGDATA", ["--pgdata=/x"], { PGDATA: "/y" }, "PGDATA is set and --pgdata says something else"],
  ["a directory", ["/tmp"], {}, "'/tmp' is no program here"],
  ["a word of the shell", ["cd"], {}, "'cd' is no program here"],
  ["a variable that nobody reads", [], { EXTERNAL_HTTP_PORT: "1" }, "EXTERNAL_HTTP_PORT is for compute_ctl"],
  ["a port that is none", [], { ...FULL, EXTERNAL_HTTP_PORT: "http" }, "EXTERNAL_HTTP_PORT=http is not a port"],
  ["a wrong spec", [], { COMPUTE_ID: "c", CONNSTR, SPEC_JSON: "{}" }, "invalid config file SPEC_JSON no spec"],
  [
    "nowhere to write",
    [],
    { COMPUTE_ID: "c", CONNSTR, SPEC_JSON: "{}", TMPDIR: "/nonexistent" },
    "SPEC_JSON needs a directory",
  ],
  ["no id", [], { CONNSTR, SPEC_FILE: "/c" }, "COMPUTE_ID is not set"],
  ["no connection string", [], { COMPUTE_ID: "c", SPEC_FILE: "/c" }, "CONNSTR is not set"],
  ["no spec", [], { COMPUTE_ID: "c", CONNSTR }, "none of SPEC_FILE, SPEC_JSON and CONTROL_PLANE_URI"],
])("one line and exit code 2: %s", async (_what, words, env, text) => {
  const result = await run(words, env);
  expect(result).toMatchObject({ exitCode: 2, words: [""] });
  expect(result.stderr).toMatch(/^entrypoint: [^\n]*$/);
  expect(result.stderr).toContain(text);
});

test("no password is printed", async () => {
  const { stderr } = await run(["-C", "postgresql://a:pw2@h/d"], { ...FULL, CONNSTR: "postgresql://a:pw1@h/d" });
  expect(stderr).toContain("CONNSTR is set and --connstr says something else");
  expect(stderr).not.toMatch(/pw[12]/);
});

const shellcheck = await searchPath("shellcheck", process.env);
if (shellcheck === undefined) console.log("the entry point is not looked over: shellcheck is not installed");

test.skipIf(shellcheck === undefined)("shellcheck has no complaint", async () => {
  const { stdout } = await execa("shellcheck", [ENTRYPOINT], { reject: false });
  expect(stdout).toBe("");
});
