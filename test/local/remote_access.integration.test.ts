import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { temporaryDirectory } from "../support/temp_directory.ts";
import { LocalService, NEON_LOCAL } from "./local_service.ts";

/** Another address of this machine than the one that Postgres trusts. */
const ELSEWHERE = "127.0.0.3";

/** Connects as from another machine. */
async function whoAmI(connectionString: string, password: string | undefined): Promise<unknown> {
  const stream = new Socket();
  const connect = stream.connect.bind(stream) as (options: object) => Socket;
  stream.connect = ((port: number) => connect({ port, host: ELSEWHERE, localAddress: ELSEWHERE })) as Socket["connect"];
  const url = new URL(connectionString);
  if (password !== undefined) url.password = password;
  const client = new pg.Client({ connectionString: url.href, stream: () => stream });
  await client.connect();
  try {
    return (await client.query("SELECT current_user, inet_client_addr()::text AS address")).rows[0];
  } finally {
    await client.end();
  }
}

async function healthcheck(dir: string): Promise<{ code: number; text: string }> {
  try {
    const argv = [NEON_LOCAL, "healthcheck", "--dir", dir];
    const { stdout } = await promisify(execFile)(process.execPath, argv, { env: {} });
    return { code: 0, text: stdout };
  } catch (error) {
    const { code, stderr } = error as { code: number; stderr: string };
    return { code, text: stderr };
  }
}

test("serve for other machines: they need the password, this one does not; its health can be asked", async () => {
  await using directory = await temporaryDirectory();
  const dir = join(directory.path, "state");
  const serve = async (env: NodeJS.ProcessEnv): Promise<LocalService> => {
    const service = new LocalService({ dir, flags: ["--pg-port", "0", "--pg-host", "*"], env });
    onTestFinished(() => service[Symbol.asyncDispose]());
    await service.started();
    return service;
  };
  const made = await serve({});
  expect(made.stdout).toContain(`  password in ${join(dir, "superuser_password")}\n`);
  const password = (await readFile(join(dir, "superuser_password"), "utf8")).trim();
  const us = { current_user: "cloud_admin", address: `${ELSEWHERE}/32` };
  expect(await whoAmI(made.connectionString, password)).toEqual(us);
  await expect(whoAmI(made.connectionString, "guessed")).rejects.toThrow(/password authentication failed/);
  expect(await made.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
  expect(await healthcheck(dir)).toEqual({
    code: 0,
    text: expect.stringMatching(/readyz says that all is well\n$/) as string,
  });
  expect(await made.stop()).toBe(0);
  for (const file of ["logs/service.log", "pgs/main/compute.log", "pgs/main/config.json"])
    expect(await readFile(join(dir, file), "utf8")).not.toContain(password);
  expect(await healthcheck(dir)).toEqual({ code: 1, text: expect.stringContaining("does not answer") as string });

  const given = await serve({ NEON_LOCAL_PASSWORD: "of my own" });
  expect(await whoAmI(given.connectionString, "of my own")).toEqual(us);
  await expect(whoAmI(given.connectionString, password)).rejects.toThrow(/password authentication failed/);
  const { pid } = (await given.running()).get("postgres") ?? { pid: -1 };
  expect(await readFile(`/proc/${pid}/environ`, "utf8")).not.toContain("of my own");
  expect(await given.stop()).toBe(0);
});
