import { existsSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import type { PostgresInstallation } from "../src/postgres/installation.ts";
import { installations } from "../test/support/postgres.ts";

/** The packages of PostgreSQL that Node's registry has come without pgbench and pg_receivewal, and both must match the server. */
export function serverWithTools(): PostgresInstallation {
  const found = installations().find(({ binDir }) =>
    ["pgbench", "pg_receivewal"].every((tool) => existsSync(join(binDir, tool))),
  );
  if (found === undefined) throw new Error("this needs a PostgreSQL with pgbench and pg_receivewal, such as Debian's");
  return found;
}

export interface PgbenchTarget {
  readonly server: PostgresInstallation;
  readonly port: number;
}

/** Fills the tables; a scale of 70 makes about a gigabyte. */
export async function fillTables(target: PgbenchTarget, scale: number): Promise<void> {
  await pgbench(target, ["-i", "-q", "-s", String(scale)]);
}

/** Transactions per second of `pgbench -N` with prepared statements. */
export async function transactionsPerSecond(target: PgbenchTarget, clients: number, seconds: number): Promise<number> {
  const threads = String(Math.min(clients, 2));
  const stdout = await pgbench(target, [
    ...["-N", "-n", "-M", "prepared", "-c", String(clients), "-j", threads, "-T", String(seconds)],
  ]);
  return Number(/^tps = ([\d.]+) \(without/m.exec(stdout)?.[1]);
}

async function pgbench({ server, port }: PgbenchTarget, argv: readonly string[]): Promise<string> {
  const where = ["-h", "127.0.0.1", "-p", String(port), "-U", "cloud_admin"];
  return (await execa(join(server.binDir, "pgbench"), [...argv, ...where, "postgres"])).stdout;
}
