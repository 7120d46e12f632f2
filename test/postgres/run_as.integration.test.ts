import { once } from "node:events";
import { chmod, mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";
import { requireReachable, unreachable } from "../../src/postgres/access_of_user.ts";
import { usableBy } from "../../src/postgres/copied_binaries.ts";
import { inspectInstallation } from "../../src/postgres/installation.ts";
import { stopLeftover } from "../../src/postgres/leftover.ts";
import { readProcess } from "../../src/postgres/process_identity.ts";
import { runProgram } from "../../src/postgres/run_program.ts";
import { initdb } from "../../src/postgres/tools.ts";
import { copyCluster, installation, runAs } from "../support/postgres.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

const env = process.env;
const asRoot = test.skipIf(runAs === undefined);
const user = runAs ?? { name: "nobody", uid: 65534, gid: 65534, home: "/" };

asRoot("binaries below a closed directory are copied once, links and all, and work there", async () => {
  await using home = await temporaryDirectory({ mode: 0o700 });
  await using cache = await temporaryDirectory();
  const real = installation(18);
  const root = join(home.path, "checkout", "native");
  await mkdir(join(root, ".."), { recursive: true });
  await execa("cp", ["-a", join(real.binDir, ".."), root]);
  const closed = await inspectInstallation(join(root, "bin", "postgres"), { env });
  const cacheDirectory = join(cache.path, "neon-local");
  const copies = await Promise.all([1, 2].map(() => usableBy(closed, runAs, { env, cacheDirectory })));
  const [copy = closed, other] = copies;
  expect(other).toEqual(copy);
  expect(copy.binDir.startsWith(`${cacheDirectory}/postgres-${real.version}-`)).toBe(true);
  const { ino } = await stat(copy.postgres);
  expect(await usableBy(closed, runAs, { env, cacheDirectory })).toEqual(copy);
  expect((await stat(copy.postgres)).ino).toBe(ino);
  expect(await inspectInstallation(copy.postgres, { env })).toEqual(copy);
  await using data = await temporaryDirectory({ owner: runAs });
  await initdb({ installation: copy, directory: join(data.path, "pgdata"), env, runAs, durable: false });
});

asRoot("binaries that the user reaches stay where they are; whoever is not root is not asked", async () => {
  const real = installation();
  expect(await usableBy(real, runAs, { env, cacheDirectory: "/nowhere" })).toBe(real);
  expect(await usableBy(real, undefined, { env, cacheDirectory: "/nowhere" })).toBe(real);
});

asRoot("a cache directory that others can write is refused", async () => {
  await using home = await temporaryDirectory({ mode: 0o700 });
  await using cache = await temporaryDirectory({ mode: 0o777 });
  const real = installation(18);
  await execa("cp", ["-a", join(real.binDir, ".."), join(home.path, "native")]);
  const closed = await inspectInstallation(join(home.path, "native", "bin", "postgres"), { env });
  await expect(usableBy(closed, runAs, { env, cacheDirectory: cache.path })).rejects.toMatchObject({
    code: "postgres_cache_unsafe",
  });
});

asRoot("a PGDATA below a closed directory is an error that names that directory", async () => {
  await using closed = await temporaryDirectory({ mode: 0o700 });
  const parent = join(closed.path, "a", "b");
  await mkdir(parent, { recursive: true });
  await expect(requireReachable(user, parent, env)).rejects.toMatchObject({
    code: "pgdata_unreachable",
    message: expect.stringContaining(`chmod o+x ${closed.path}\``),
  });
  await chmod(closed.path, 0o711);
  await requireReachable(user, parent, env);
  expect(await unreachable(user, parent, env)).toBeUndefined();
});

const program = (name: string): string => join(import.meta.dirname, "programs", name);

asRoot("root's own directory may be closed to the server's user", async () => {
  await using closed = await temporaryDirectory({ mode: 0o700 });
  await using data = await temporaryDirectory({ owner: runAs });
  for (const major of [14, 15, 18]) {
    const server = installation(major);
    const pgdata = join(data.path, `pgdata${major}`);
    await copyCluster(server, pgdata, { settings: { listen_addresses: "", unix_socket_directories: data.path } });
    const argv = [program("start_postgres.ts"), server.postgres, pgdata, JSON.stringify(user)];
    const starter = execa(process.execPath, argv, { cwd: closed.path, reject: false });
    const [line] = (await once(starter.stdout, "data")) as [Buffer];
    expect((await readProcess(Number(line)))?.name).toBe("postgres");
    starter.kill("SIGKILL");
    await starter;
    expect(await stopLeftover(pgdata)).toBe(Number(line));
  }
});

asRoot("nobody, not root, finds, makes, starts, asks and stops a server of its own", async () => {
  await using data = await temporaryDirectory({ owner: { uid: 65534, gid: 65534 } });
  const { stdout } = await execa(process.execPath, [program("life_of_a_server.ts"), data.path], {
    uid: 65534,
    gid: 65534,
    cwd: data.path,
    env: { HOME: data.path },
  });
  expect(JSON.parse(stdout)).toEqual({
    runAs: null,
    complaints: [],
    user: "cloud_admin",
    leftover: null,
    exit: { code: 0, signal: null },
    links: "postgres_links_missing",
  });
});

asRoot("a program of another user runs with that user's ids, home and no group of root's", async () => {
  const result = await runProgram("sh", ["-c", "id -u; id -G; echo $HOME; pwd; echo [$NEON_LOCAL_SUPERVISOR_FD]"], {
    env: { ...env, NEON_LOCAL_SUPERVISOR_FD: "3" },
    runAs: user,
  });
  expect(result.stdout.split("\n")).toEqual([String(user.uid), String(user.gid), user.home, "/", "[]", ""]);
});

test("a program's end is a value: status, missing program, time-out", async () => {
  expect(await runProgram("sh", ["-c", "echo a; echo b >&2; exit 3"], { env })).toEqual({
    code: 3,
    signal: null,
    stdout: "a\n",
    stderr: "b\n",
    timedOut: false,
    failure: undefined,
  });
  expect(await runProgram("no-such-program", [], { env })).toMatchObject({ code: null, failure: "ENOENT" });
  const stubborn = await runProgram("sh", ["-c", "trap '' TERM; while :; do sleep 0.05; done"], { env, timeoutMs: 50 });
  expect(stubborn).toMatchObject({ code: null, signal: "SIGKILL", timedOut: true });
});
