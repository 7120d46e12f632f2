import { join } from "node:path";
import * as z from "zod/mini";
import { CodedError, errorChain } from "../../errors/coded_error.ts";
import { withSession } from "../../reconcile/session.ts";
import type { PostgresAccess } from "../postgres_access.ts";
import type { Route } from "../route.ts";
import { errorResponse } from "./error_schema.ts";

const LIMIT_MS = 10_000;

export const livenessProbeRoute: Route = {
  method: "GET",
  path: "/hadron_liveness_probe",
  summary: "Whether Postgres accepts connections, by `pg_isready`",
  authorized: true,
  quiet: true,
  responses: {
    200: { description: "it does", schema: z.literal("ok") },
    500: errorResponse("it does not"),
  },
  handle: async (context, compute) => {
    await probe(compute.postgres);
    return context.json("ok");
  },
};

/** The host is given: without it only the default socket directory is looked into (contract: http-api.md B18). */
async function probe(postgres: PostgresAccess): Promise<void> {
  const { target, installation, env } = postgres;
  const program = join(installation.binDir, "pg_isready");
  const { runProgram } = await import("../../postgres/run_program.ts");
  const argv = ["--host", target.host, "--port", String(target.port)];
  const { code, failure, stdout, stderr } = await runProgram(program, argv, { env, timeoutMs: LIMIT_MS });
  if (code === 0) return;
  const command = `could not run \`${program} --port ${target.port}\``;
  // Small distributions come without the program; a session says the same.
  const said = failure === "ENOENT" ? await connectError(postgres) : `${stdout}${stderr}`.trim() || String(failure);
  if (said !== undefined) throw new CodedError("not_ready", `${command}: ${said}`);
}

async function connectError({ connect, target }: PostgresAccess): Promise<string | undefined> {
  try {
    await withSession(connect, target.database, "compute_ctl:liveness_probe", () => Promise.resolve());
    return undefined;
  } catch (error) {
    return errorChain(error);
  }
}
