import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ensureLibraryLinks } from "../../src/postgres/embedded_links.ts";
import { embeddedDirectories } from "../../src/postgres/embedded_packages.ts";
import { tokenMaker } from "../support/compute_ctl.ts";
import { computeSpec } from "../support/compute_spec.ts";
import { until } from "../support/until.ts";
import { missingTool } from "./support/missing_tool.ts";
import { debianRootfs } from "./support/rootfs.ts";
import { CONTAINER_TOOLS, SystemdContainer } from "./support/systemd_container.ts";

const UNITS = ["compute_ctl@.service", "neon-store.service", "neon-local.service"];
const PROGRAMS = { compute_ctl: "compute_ctl", "neon-store": "neon_store", "neon-local": "neon_local" };
const INSTALLED = "/usr/local/lib/node_modules/neon-local";
const POSTGRES = "/usr/lib/postgresql/17";
const STORE = "http://127.0.0.1:9898/v1/tenant";
const TENANT = "a".repeat(32);
const TIMELINE = "b".repeat(32);

const tokens = tokenMaker();
const root = join(import.meta.dirname, "../..");
const units = join(root, "deploy/systemd");

const noContainer = await missingTool(CONTAINER_TOOLS);
const noAnalyze = await missingTool(["systemd-analyze"]);
for (const reason of new Set([noContainer, noAnalyze])) if (reason !== undefined) console.log(`skipped: ${reason}`);

describe.skipIf(noAnalyze !== undefined)("the units, looked at", () => {
  test.each(UNITS)("%s exposes less than 3.0 of 10", async (unit) => {
    const { exitCode, stdout } = await execa(
      "systemd-analyze",
      ["security", "--offline=true", "--threshold=29", "--no-pager", join(units, unit)],
      { reject: false },
    );
    expect(exitCode, stdout).toBe(0);
  });
});

describe.skipIf(noContainer !== undefined)("under a real systemd", () => {
  let container: SystemdContainer;

  beforeAll(async () => {
    const [native] = await embeddedDirectories(17, import.meta.dirname);
    if (native === undefined) throw new Error("there is no PostgreSQL 17 among the packages: run npm ci");
    await ensureLibraryLinks(native);
    const rootfs = await debianRootfs(["systemd", "systemd-sysv", "dbus", "libnss-systemd"]);
    container = await SystemdContainer.boot(rootfs, {
      [process.execPath]: "/usr/local/bin/node",
      [join(root, "dist")]: `${INSTALLED}/dist`,
      [join(root, "specs")]: `${INSTALLED}/specs`,
      [units]: `${INSTALLED}/deploy/systemd`,
      [native]: POSTGRES,
    });
    // The steps of deploy/systemd/README.md.
    for (const [name, file] of Object.entries(PROGRAMS))
      await container.run(["ln", "-s", `${INSTALLED}/dist/${file}.js`, `/usr/local/bin/${name}`]);
    await container.run([
      "useradd",
      "--system",
      "--home-dir",
      "/var/lib/postgresql",
      "--shell",
      "/bin/false",
      "postgres",
    ]);
    const files = UNITS.map((unit) => `${INSTALLED}/deploy/systemd/${unit}`);
    await container.run(["install", "-m", "0644", "-t", "/etc/systemd/system", ...files]);
    await container.run(["mkdir", "-p", "/etc/neon-local"]);
    await container.run(["systemctl", "daemon-reload"]);
  }, 600_000);

  afterAll(async () => {
    await container?.[Symbol.asyncDispose]();
  }, 120_000);

  async function systemctl(...argv: string[]): Promise<string> {
    return (await container.run(["systemctl", ...argv])).stdout;
  }

  /** One property of a unit. */
  async function property(unit: string, name: string): Promise<string> {
    return await systemctl("show", "--value", "--property", name, unit);
  }

  async function states(unit: string): Promise<string[]> {
    return [await property(unit, "ActiveState"), await property(unit, "SubState"), await property(unit, "Result")];
  }

  const STOPPED = ["inactive", "dead", "success"];

  async function write(path: string, text: string): Promise<void> {
    await container.run(["tee", path], { input: text });
  }

  async function journal(unit: string): Promise<string> {
    return (await container.run(["journalctl", "--no-pager", "--output=cat", "--unit", unit])).stdout;
  }

  /** The first column of the first row. */
  async function query(port: number, text: string): Promise<unknown> {
    const url = `postgresql://cloud_admin@127.0.0.1:${port}/postgres`;
    const answer = await container.script(`
      import pg from "pg";
      const client = new pg.Client(${JSON.stringify(url)});
      await client.connect();
      const { rows } = await client.query({ text: ${JSON.stringify(text)}, rowMode: "array" });
      console.log(JSON.stringify(rows?.[0]?.[0] ?? null));
      await client.end();`);
    return JSON.parse(answer) as unknown;
  }

  async function request(method: string, url: string, body: object, token = ""): Promise<void> {
    await container.script(`
      const headers = { "content-type": "application/json", authorization: "Bearer ${token}" };
      const body = ${JSON.stringify(JSON.stringify(body))};
      const response = await fetch(${JSON.stringify(url)}, { method: ${JSON.stringify(method)}, headers, body });
      if (!response.ok) throw new Error(response.status + " " + (await response.text()));`);
  }

  /** A compute's two files; they differ in ports only. */
  async function configure(id: string, port: number, http: number, spec: object | null): Promise<string> {
    const config = `/etc/neon-local/compute_ctl@${id}`;
    await write(`${config}.json`, JSON.stringify({ spec, compute_ctl_config: { jwks: tokens.jwks } }));
    const env = [
      `CONNSTR=postgresql://cloud_admin@127.0.0.1:${port}/postgres`,
      `POSTGRES_PATH=${POSTGRES}/bin/postgres`,
      `EXTRA_ARGS=--external-http-port ${http} --internal-http-port ${http + 1}`,
    ];
    await write(`${config}.env`, `${env.join("\n")}\n`);
    return `compute_ctl@${id}`;
  }

  function specOf(id: string, port: number): object {
    const storage = {
      tenantId: TENANT,
      timelineId: TIMELINE,
      pageserver: { libpq_url: "postgresql://no_user@127.0.0.1:6400" },
      safekeepers: ["127.0.0.1:5454"],
    };
    return computeSpec({ storage, port, socketDirectory: `/run/compute_ctl/${id}` });
  }

  test("the units are understood", async () => {
    // A key that it does not know is only a warning.
    const { stdout, stderr } = await container.run([
      ...["systemd-analyze", "verify", "--man=no", "--recursive-errors=no"],
      ...["/etc/systemd/system/compute_ctl@c1.service", "neon-store.service", "neon-local.service"],
    ]);
    expect(stdout + stderr).toBe("");
  });

  test("storage and compute: active when they answer, stopped in order, started again after SIGKILL", async () => {
    await systemctl("start", "neon-store");
    expect(await states("neon-store")).toEqual(["active", "running", "success"]);
    // At once: active means that it answers.
    await request("PUT", `${STORE}/${TENANT}/location_config`, { mode: "AttachedSingle", generation: 1 });
    await request("POST", `${STORE}/${TENANT}/timeline`, { new_timeline_id: TIMELINE, pg_version: 17 });

    const c1 = await configure("c1", 5432, 3080, specOf("c1", 5432));
    // Also: what is wanted by a target is remembered when it is down, with its exit code and the count of its starts.
    await systemctl("enable", c1);
    await systemctl("start", c1);
    expect(await query(5432, "SELECT pg_is_in_recovery()")).toBe(false);
    expect(await property(c1, "StatusText")).toBe("running");
    await query(5432, "CREATE TABLE t AS SELECT generate_series(1, 1000)");

    const postmaster = await container.run(["cat", "/var/lib/compute_ctl/c1/pgdata/postmaster.pid"]);
    await systemctl("kill", "--signal=KILL", "--kill-who=main", c1);
    await until(async () => (await property(c1, "NRestarts")) === "1" && (await states(c1))[0] === "active");
    expect(await query(5432, "SELECT count(*)::int FROM t")).toBe(1000);
    // systemd killed what the dead compute_ctl had left.
    const before = postmaster.stdout.split("\n")[0];
    const { stdout: now } = await container.run(["cat", "/var/lib/compute_ctl/c1/pgdata/postmaster.pid"]);
    expect(now.split("\n")[0]).not.toBe(before);
    expect((await container.run(["cat", `/proc/${before}/comm`], { reject: false })).stdout).toBe("");

    await systemctl("stop", c1);
    expect(await states(c1)).toEqual(STOPPED);
    expect(await property(c1, "ExecMainStatus")).toBe("1");
    expect(await journal(c1)).toMatch(/database system is shut down[\s\S]*Deactivated successfully/);
  });

  async function stopPostgres(): Promise<void> {
    const { stdout } = await container.run(["cat", "/var/lib/compute_ctl/c1/pgdata/postmaster.pid"]);
    await container.run(["sh", "-c", `kill -INT ${stdout.split("\n")[0]}`]);
  }

  async function terminate(): Promise<void> {
    const admin = await tokens.sign({ compute_id: null, scope: "compute_ctl:admin", aud: ["compute"] });
    await request("POST", "http://127.0.0.1:3080/terminate?mode=immediate", {}, admin);
  }

  test.each([
    ["by hand", stopPostgres],
    ["through /terminate", terminate],
  ])("Postgres that is stopped %s stays stopped", async (_how, stop) => {
    await systemctl("start", "compute_ctl@c1");
    expect(await query(5432, "SELECT count(*)::int FROM t")).toBe(1000);
    const restarts = await property("compute_ctl@c1", "NRestarts");
    await stop();
    await until(async () => !["active", "deactivating"].includes((await states("compute_ctl@c1"))[0] ?? ""));
    expect(await states("compute_ctl@c1")).toEqual(STOPPED);
    expect(await property("compute_ctl@c1", "ExecMainStatus")).toBe("0");
    expect(await property("compute_ctl@c1", "NRestarts")).toBe(restarts);
  });

  test("a compute whose timeline another one took over is not started again", async () => {
    await systemctl("start", "compute_ctl@c1");
    const c2 = await configure("c2", 5433, 3082, specOf("c2", 5433));
    await systemctl("start", c2);
    await until(async () => (await states("compute_ctl@c1"))[0] === "failed");
    expect(await states("compute_ctl@c1")).toEqual(["failed", "failed", "exit-code"]);
    expect(await property("compute_ctl@c1", "ExecMainStatus")).toBe("4");
    expect(await query(5433, "SELECT count(*)::int FROM t")).toBe(1000);
    await systemctl("stop", c2);
    expect(await states(c2)).toEqual(STOPPED);
  });

  test("a compute without a spec waits, is not active, and can be stopped", async () => {
    const waiting = await configure("waiting", 5434, 3084, null);
    await systemctl("start", "--no-block", waiting);
    await until(async () => (await property(waiting, "StatusText")) === "empty");
    expect((await states(waiting)).slice(0, 2)).toEqual(["activating", "start"]);
    await systemctl("stop", waiting);
    expect(await states(waiting)).toEqual(STOPPED);
  });

  test("a start that fails is tried again, a wrong command line is not", async () => {
    const broken = await configure("broken", 5435, 3086, specOf("broken", 5435));
    await container.run(["rm", "/etc/neon-local/compute_ctl@broken.json"]);
    await systemctl("start", "--no-block", broken);
    await until(async () => Number(await property(broken, "NRestarts")) >= 2);
    await systemctl("stop", broken);

    await write("/etc/neon-local/compute_ctl@broken.env", "EXTRA_ARGS=--no-such-flag\n");
    await systemctl("start", "--no-block", broken);
    await until(async () => (await states(broken))[0] === "failed");
    expect(await property(broken, "ExecMainStatus")).toBe("2");
  });

  test("a storage that no longer turns is killed and started again; a stop of it is clean", async () => {
    await container.run(["mkdir", "-p", "/run/systemd/system/neon-store.service.d"]);
    await write("/run/systemd/system/neon-store.service.d/watchdog.conf", "[Service]\nWatchdogSec=5\n");
    await systemctl("daemon-reload");
    await systemctl("restart", "neon-store");
    await systemctl("kill", "--signal=STOP", "--kill-who=main", "neon-store");
    await until(async () => (await property("neon-store", "NRestarts")) === "1");
    await until(async () => (await states("neon-store"))[0] === "active");
    expect(await journal("neon-store")).toMatch(/watchdog/i);
    await systemctl("stop", "neon-store");
    expect(await states("neon-store")).toEqual(STOPPED);
    expect(await property("neon-store", "ExecMainStatus")).toBe("0");
  });

  test("the local service: active when it has a Postgres, keeps its data, stops in order", async () => {
    await systemctl("start", "neon-local");
    expect(await property("neon-local", "StatusText")).toMatch(/^PostgreSQL 17\.\d+ at postgresql:/);
    await query(55432, "CREATE TABLE t AS SELECT generate_series(1, 1000)");
    await systemctl("kill", "--signal=KILL", "--kill-who=main", "neon-local");
    await until(async () => (await property("neon-local", "NRestarts")) === "1");
    await until(async () => (await states("neon-local"))[0] === "active");
    expect(await query(55432, "SELECT count(*)::int FROM t")).toBe(1000);
    await systemctl("stop", "neon-local");
    expect(await states("neon-local")).toEqual(STOPPED);
    expect(await property("neon-local", "ExecMainStatus")).toBe("0");
    const log = await container.run(["cat", "/var/lib/neon-local/pgs/main/compute.log"]);
    expect(log.stdout).toContain("database system is shut down");
  });
});
