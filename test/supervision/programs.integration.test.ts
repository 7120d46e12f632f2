import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { LocalService } from "../local/local_service.ts";
import { startOn } from "../support/compute_on.ts";
import { runAs } from "../support/postgres.ts";
import { environmentOf } from "../support/processes.ts";
import { scriptedPostgres } from "../support/scripted_postgres.ts";
import { useStore } from "../support/store.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temp_directory.ts";
import { until } from "../support/until.ts";

const store = useStore();
const NAMES = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/** A `systemd-notify` that writes down what it was given, and an environment in which it is found. */
async function serviceManager(
  directory: TemporaryDirectory,
  more: NodeJS.ProcessEnv = {},
): Promise<{ env: NodeJS.ProcessEnv; said: () => Promise<string[]> }> {
  const said = join(directory.path, "said");
  const script = `#!/bin/sh\necho "$*" >> ${said}\n`;
  await writeFile(join(directory.path, "systemd-notify"), script, { mode: 0o755 });
  const lines = async (): Promise<string[]> => (await readFile(said, "utf8").catch(() => "")).split("\n").slice(0, -1);
  const PATH = `${directory.path}:${process.env.PATH}`;
  return { env: { PATH, NOTIFY_SOCKET: join(directory.path, "socket"), ...more }, said: lines };
}

test("a compute is ready when it runs, and stops when it is told; Postgres knows of no service manager", async () => {
  await using directory = await temporaryDirectory({ mode: 0o777 });
  const { env, said } = await serviceManager(directory, { WATCHDOG_USEC: "100000" });
  await using compute = await startOn(await store().timeline(), { env });
  await until(async () => (await said()).some((line) => line.includes("READY=1")));
  // Whoever was told so can connect.
  expect(await compute.query("SELECT 1")).toBe(1);
  const ready = (await said()).filter((line) => line.includes("READY=1"));
  expect(ready).toEqual([expect.stringContaining("STATUS=running")]);
  const postmaster = Number((await readFile(join(compute.pgdata, "postmaster.pid"), "utf8")).split("\n")[0]);
  const inherited = Object.keys(await environmentOf(postmaster));
  expect(inherited).toContain("PATH");
  expect(inherited.filter((name) => NAMES.includes(name))).toEqual([]);
  await until(async () => (await said()).filter((line) => line.includes("WATCHDOG=1")).length >= 3);
  compute.child.kill("SIGTERM");
  expect(await compute.exited).toEqual({ code: 1, signal: null });
  const lines = await said();
  expect(lines.findLastIndex((line) => line.includes("STOPPING=1"))).toBeGreaterThan(
    lines.findIndex((line) => line.includes("READY=1")),
  );
});

test("a compute whose start fails says why, and was never ready", async () => {
  await using directory = await temporaryDirectory({ mode: 0o777 });
  const { env, said } = await serviceManager(directory);
  await using postgres = await scriptedPostgres({ start: "echo 'FATAL:  no luck today' >&2; exit 1" });
  await using compute = await startOn(await store().timeline(), { env, pgbin: postgres.pgbin });
  await compute.reach("failed");
  await until(async () => (await said()).some((line) => /STATUS=failed: .*no luck today/.test(line)));
  expect((await said()).join("\n")).not.toContain("READY=1");
});

test("a service manager that cannot be told anything stops nobody", async () => {
  await using directory = await temporaryDirectory({ mode: 0o777 });
  const { env } = await serviceManager(directory);
  await writeFile(join(directory.path, "systemd-notify"), "#!/bin/sh\nexit 1\n");
  await using compute = await startOn(await store().timeline(), { env });
  await compute.reach("running");
  await until(() => compute.output.includes("the service manager cannot be told anything"));
  expect(await compute.query("SELECT 1")).toBe(1);
});

test("neon-local is ready when it has printed its block; its children know of no service manager", async () => {
  await using directory = await temporaryDirectory({ mode: 0o755, owner: runAs });
  const { env, said } = await serviceManager(directory, { WATCHDOG_USEC: "60000000" });
  await using service = new LocalService({ dir: join(directory.path, "state"), env });
  await service.started();
  await until(async () =>
    (await said()).some((line) => /READY=1 STATUS=PostgreSQL \d+\.\d+ at postgresql:/.test(line)),
  );
  const children = (await readFile(`/proc/${service.child.pid}/task/${service.child.pid}/children`, "utf8")).trim();
  for (const pid of children.split(" ").map(Number))
    expect(Object.keys(await environmentOf(pid)).filter((name) => NAMES.includes(name))).toEqual([]);
  service.child.kill("SIGTERM");
  expect(await service.exited).toBe(0);
  expect((await said()).at(-1)).toContain("STOPPING=1");
});
