import { CodedError } from "../errors/coded_error.ts";
import { runProgram } from "../postgres/run_program.ts";
import { disableInheritedSubscriptions, singleUserArguments } from "../reconcile/inherited_subscriptions.ts";
import type { StartContext } from "./start_compute.ts";

const LIMIT_MS = 60_000;

/**
 * Keeps the apply workers of inherited subscriptions from running on a stock server, which lacks Neon's setting for that:
 * they would start before anybody can connect, and take the parent branch's slots (contract: reconcile.md 7).
 *
 * @returns more arguments for the server
 */
export async function holdBackSubscriptions(context: StartContext): Promise<readonly string[]> {
  const { resolved, options, machine, database, signal } = context;
  const { spec, timelineId } = resolved;
  if (machine.installation.kind === "neon" || spec.mode.kind !== "primary" || !spec.drop_subscriptions_before_start)
    return [];
  // Nothing will be dropped, so nothing is written: the subscriptions stay as they are and do not run.
  if (spec.skip_pg_catalog_updates) return ["-c", "max_logical_replication_workers=0"];
  const result = await runProgram(machine.installation.postgres, singleUserArguments(options.pgdata, database), {
    env: options.env,
    runAs: machine.runAs,
    timeoutMs: LIMIT_MS,
    signal,
    input: disableInheritedSubscriptions(timelineId),
  });
  if (result.code !== 0)
    throw new CodedError(
      "inherited_subscriptions",
      `cannot hold back the subscriptions of the parent branch: ${(result.stderr.trim() || result.stdout.trim()).slice(-1000)}`,
    );
  return [];
}
