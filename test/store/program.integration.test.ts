import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { parseListenAddress } from "../../src/store/listen_address.ts";
import type { Template } from "../../src/store/template_record.ts";
import { freePort } from "../support/free_port.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";
import { RawClient } from "./raw_client.ts";
import { TENANT, TIMELINE } from "./running_store.ts";

const PROGRAM = join(import.meta.dirname, "../../src/neon_store.ts");
const FREE = ["pageserver", "grpc", "safekeeper", "http"].flatMap((name) => [`--${name}-addr`, "127.0.0.1:0"]);

class Program implements AsyncDisposable {
  readonly child: ChildProcess;
  stderr = "";
  readonly exit: Promise<[number | null, NodeJS.Signals | null]>;

  constructor(argv: readonly string[], options: { supervised?: boolean } = {}) {
    this.child = spawn(process.execPath, [PROGRAM, ...argv], {
      stdio: ["ignore", "ignore", "pipe", options.supervised ? "pipe" : "ignore"],
      env: { ...process.env, ...(options.supervised && { NEON_LOCAL_SUPERVISOR_FD: "3" }) },
    });
    this.child.stderr?.on("data", (text) => (this.stderr += String(text)));
    this.exit = once(this.child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  }

  /** Settles when a line with this text was written. */
  async says(text: string): Promise<void> {
    while (!this.stderr.includes(text)) {
      if (this.child.exitCode !== null) throw new Error(`neon-store ended: ${this.stderr}`);
      await Promise.race([once(this.child.stderr ?? this.child, "data"), this.exit]);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.exit;
  }
}

async function endpoints(dir: string): Promise<Record<string, string>> {
  return JSON.parse(await readFile(join(dir, "store_endpoints.json"), "utf8")) as Record<string, string>;
}

test("a life: ready, used, killed, started again, stopped", async () => {
  await using directory = await temporaryDirectory();
  const dir = join(directory.path, "store");
  const argv = ["--dir", dir, "--template-dir", join(directory.path, "templates"), ...FREE];
  {
    await using program = new Program(argv);
    await program.says("ready");
    for (const name of ["pageserver", "grpc", "safekeeper", "http"])
      expect(program.stderr).toMatch(new RegExp(`listening name=${name} address=127\\.0\\.0\\.1:\\d+`));
    const { http } = await endpoints(dir);
    await fetch(`http://${http}/v1/tenant/${TENANT}/location_config`, {
      method: "PUT",
      body: JSON.stringify({ mode: "AttachedSingle", generation: 1, tenant_conf: {} }),
    });
    const created = await fetch(`http://${http}/v1/tenant/${TENANT}/timeline`, {
      method: "POST",
      body: JSON.stringify({ new_timeline_id: TIMELINE, pg_version: 17 }),
    });
    expect(created.status, program.stderr).toBe(201);
    const second = new Program(argv);
    expect(await second.exit).toEqual([4, null]);
    expect(second.stderr).toContain(`store directory ${dir} is in use by another process`);
  }
  await using program = new Program(argv);
  await program.says("ready");
  const { pageserver = "", pid } = await endpoints(dir);
  expect(pid).toBe(program.child.pid);
  const address = parseListenAddress(pageserver) ?? { host: "", port: 0 };
  await using client = await RawClient.connect(address);
  const backup = await client.query(`basebackup ${TENANT} ${TIMELINE} --gzip`);
  expect(backup.tag).toBe("SELECT 1");
  program.child.kill("SIGTERM");
  expect(await program.exit).toEqual([0, null]);
  await expect(stat(join(dir, "store_endpoints.json"))).rejects.toThrow("ENOENT");
});

test("a second signal does not wait for a client that does not read", async () => {
  await using directory = await temporaryDirectory();
  await using program = new Program(["--dir", directory.path, ...FREE]);
  await program.says("ready");
  program.child.kill("SIGINT");
  await program.says("stopping");
  program.child.kill("SIGINT");
  expect(await program.exit).toEqual([0, null]);
});

test("the end of the supervisor is the end of the store", async () => {
  await using directory = await temporaryDirectory();
  await using program = new Program(["--dir", directory.path, ...FREE], { supervised: true });
  await program.says("ready");
  const pipe = program.child.stdio[3];
  (pipe as unknown as { destroy(): void }).destroy();
  expect(await program.exit).toEqual([0, null]);
  expect(program.stderr).toContain("the supervisor is gone");
});

test.each([
  ["an unknown flag", ["--dir", "x", "--nonsense"], "unknown option"],
  ["no directory", [], "--dir <dir>"],
  ["an address without a port", ["--dir", "x", "--http-addr", "127.0.0.1"], "expected host:port"],
  ["a word too many", ["--dir", "x", "y"], "too many arguments"],
])("exit 2: %s", async (_what, argv, text) => {
  await using program = new Program(argv);
  expect(await program.exit).toEqual([2, null]);
  expect(program.stderr).toContain(text);
});

test("exit 4: a directory that cannot be one", async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, "file");
  await writeFile(file, "");
  const foreign = join(directory.path, "foreign");
  await mkdir(foreign);
  await writeFile(join(foreign, "thesis.doc"), "");
  for (const [dir, text] of [
    [file, `cannot use ${file} as store directory`],
    [join(file, "below"), "cannot use"],
    [foreign, `${foreign} is not empty and holds no store (found "thesis.doc")`],
  ] as const) {
    await using program = new Program(["--dir", dir, ...FREE]);
    expect(await program.exit).toEqual([4, null]);
    expect(program.stderr).toContain(text);
  }
});

test.each(["pageserver", "grpc", "safekeeper", "http"])("exit 5: the port of %s is taken", async (name) => {
  await using directory = await temporaryDirectory();
  const port = await freePort();
  const taken = createServer().listen(port, "127.0.0.1");
  await once(taken, "listening");
  try {
    await using program = new Program(["--dir", directory.path, ...FREE, `--${name}-addr`, `127.0.0.1:${port}`]);
    expect(await program.exit).toEqual([5, null]);
    const errors = program.stderr.split("\n").filter((line) => line.includes("ERROR"));
    expect(errors).toHaveLength(1);
    expect(errors[0]).toContain(`port ${port} is in use: the ${name} listener cannot have 127.0.0.1:${port}`);
  } finally {
    taken.close();
  }
});

test("timelines that must exist are there before anybody is served, also where only shipped templates can be had", async () => {
  await using directory = await temporaryDirectory();
  const shipped = join(directory.path, "shipped");
  {
    await using program = new Program(["--dir", directory.path, "--template-dir", shipped, "template"]);
    expect(await program.exit).toEqual([0, null]);
  }
  const [template = ""] = await readdir(shipped);
  const { pg_version } = (JSON.parse(await readFile(join(shipped, template, "template.json"), "utf8")) as Template)
    .image;
  const dir = join(directory.path, "store");
  const wanted = ["--ensure-timeline", `${TENANT}/${TIMELINE}:${pg_version}`];
  const argv = ["--dir", dir, "--shipped-template-dir", shipped, ...wanted, ...FREE];
  for (const _start of ["the first", "the next"]) {
    await using program = new Program(argv);
    await program.says("ready");
    const { http } = await endpoints(dir);
    const timeline = await fetch(`http://${http}/v1/tenant/${TENANT}/timeline/${TIMELINE}`);
    expect(await timeline.json()).toMatchObject({ timeline_id: TIMELINE, pg_version });
    expect(program.stderr).not.toContain("made a template");
    program.child.kill("SIGTERM");
    await program.exit;
  }
  expect(await readdir(join(dir, "templates"))).toEqual([]);
  const other = pg_version === 14 ? 15 : 14;
  await using conflicting = new Program([...argv, "--ensure-timeline", `${TENANT}/${TIMELINE}:${other}`]);
  expect(await conflicting.exit).toEqual([1, null]);
  expect(conflicting.stderr).toContain(`is of PostgreSQL ${pg_version}, not ${other}`);
});

test("a signal while it starts ends it at once: nothing is made, nobody is served", async () => {
  await using directory = await temporaryDirectory();
  const dir = join(directory.path, "store");
  const templates = ["--template-dir", join(directory.path, "templates")];
  await using program = new Program([
    "--dir",
    dir,
    ...templates,
    ...FREE,
    "--ensure-timeline",
    `${TENANT}/${TIMELINE}:17`,
  ]);
  // The tenant is attached right before initdb begins.
  while (!existsSync(join(dir, "tenants", TENANT))) await delay(1);
  program.child.kill("SIGTERM");
  expect(await program.exit).toEqual([0, null]);
  expect(program.stderr).toContain("not ready yet");
  expect(program.stderr).not.toContain("listening");
  expect(existsSync(join(dir, "tenants", TENANT, TIMELINE))).toBe(false);
});
