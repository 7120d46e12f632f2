import { expect, test } from "vitest";
import { takeCensus } from "../../src/node/extension_census.ts";
import { adminConnect } from "../../src/reconcile/admin_session.ts";
import { ComputeMetrics } from "../../src/telemetry/compute_metrics.ts";
import { collectingLog } from "../support/collecting_log.ts";
import { startServer } from "../support/postgres.ts";

test("metrics-and-logs.md case 13, metrics-and-logs.md case 14: what is installed now, without databases that are being dropped", async () => {
  await using server = await startServer();
  const metrics = new ComputeMetrics("latest");
  const { log, lines } = collectingLog();
  const { signal } = new AbortController();
  const connect = adminConnect({ connstr: server.connstr });
  const look = async (database = "postgres"): Promise<string[]> => {
    await takeCensus({ connect, database, metrics, log, signal });
    return (await metrics.text()).split("\n").filter((line) => line.startsWith("compute_installed_extensions{"));
  };
  const sample = (version: string, count: number): string =>
    `compute_installed_extensions{extension_name="plpgsql",owned_by_superuser="1",version="${version}"} ${count}`;
  await server.query("CREATE DATABASE db");
  // template1, postgres and db; nobody may connect to template0.
  expect(await look()).toEqual([sample("1.0", 3)]);
  expect(lines.at(-1)).toBe(
    ' INFO [NEON_EXT_STAT] {"extensions":[{"extname":"plpgsql","version":"1.0","n_databases":3,"owned_by_superuser":"1"}]}',
  );
  await server.query("UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'db'");
  for (const database of ["postgres", "template1"])
    await server.query("UPDATE pg_extension SET extversion = '1.1' WHERE extname = 'plpgsql'", database);
  expect(await look()).toEqual([sample("1.1", 2)]);
  // A failure leaves the figures as they are.
  expect(await look("no such database")).toEqual([sample("1.1", 2)]);
  expect(lines.at(-1)).toMatch(/^ERROR could not get installed extensions: .*no such database/);
});
