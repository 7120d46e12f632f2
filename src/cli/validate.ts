import { CodedError, errorChain } from "../errors/coded_error.ts";
import { readConfigFile } from "../spec/config_file.ts";
import { SpecShapeError } from "../spec/decode.ts";
import type { Mode } from "../spec/mode.ts";
import { formatProblem, type Problem } from "../spec/problem.ts";
import { resolveSpec } from "../spec/resolve.ts";
import type { ResolvedPageserver, ResolvedPageservers, ResolvedSpec } from "../spec/resolved_spec.ts";
import type { ComputeConfig } from "../spec/schema.ts";
import { findProblems } from "../spec/validate.ts";
import { formatLsn } from "../wire/lsn.ts";

/** For people; without a line break at the end and without secrets. */
export interface ValidationReport {
  readonly ok: boolean;
  readonly text: string;
}

/** `compute_ctl validate FILE`: a short summary of what would be run, or everything that is wrong with its JSON path. */
export async function validateFile(path: string): Promise<ValidationReport> {
  let config: ComputeConfig;
  try {
    config = await readConfigFile(path);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    if (error.cause instanceof SpecShapeError) return { ok: false, text: complaint(path, error.cause.problems) };
    return { ok: false, text: errorChain(error) };
  }
  const problems = findProblems(config);
  if (problems.length > 0) return { ok: false, text: complaint(path, problems) };
  if (config.spec === null)
    return { ok: true, text: `${path}: valid, without a spec: the compute starts empty and waits for POST /configure` };
  return { ok: true, text: summary(path, resolveSpec(config.spec)) };
}

function complaint(path: string, problems: readonly Problem[]): string {
  return [
    `${path}: ${count(problems.length, "problem")}`,
    ...problems.map((problem) => `  ${formatProblem(problem)}`),
  ].join("\n");
}

function summary(path: string, resolved: ResolvedSpec): string {
  const { roles, databases, settings } = resolved.spec.cluster;
  const generation = resolved.safekeepersGeneration === null ? "" : ` (generation ${resolved.safekeepersGeneration})`;
  const rows: readonly (readonly [string, string])[] = [
    ["tenant", resolved.tenantId],
    ["timeline", resolved.timelineId],
    ["mode", describeMode(resolved.spec.mode)],
    ["pageservers", describePageservers(resolved.pageservers)],
    ["protocol", resolved.pageservers.preferProtocol],
    ["safekeepers", resolved.safekeepers.length === 0 ? "none" : resolved.safekeepers.join(", ") + generation],
    [
      "cluster",
      [count(roles.length, "role"), count(databases.length, "database"), count(settings?.length ?? 0, "setting")].join(
        ", ",
      ),
    ],
    ...resolved.warnings.map((warning) => ["warning", warning] as const),
  ];
  return [`${path}: valid`, ...rows.map(([name, value]) => `  ${name.padEnd(12)}${value}`)].join("\n");
}

function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? "" : "s"}`;
}

function describeMode(mode: Mode): string {
  return mode.kind === "static" ? `static at ${formatLsn(mode.lsn)}` : mode.kind;
}

function describePageservers({ shardCount, stripeSize, shards }: ResolvedPageservers): string {
  const hosts = shards.map(({ pageservers }) => pageservers.map((server) => hostOf(server)).join("|")).join(", ");
  if (shardCount === 0) return `${hosts} (unsharded)`;
  const stripes = stripeSize === null ? "" : `, stripes of ${stripeSize} pages`;
  return `${hosts} (${shards.length} shards${stripes})`;
}

/** Only host and port: a connection string may hold a password. */
function hostOf({ libpqUrl, grpcUrl }: ResolvedPageserver): string {
  const url = libpqUrl ?? grpcUrl ?? "";
  if (URL.canParse(url)) return new URL(url).host;
  const host = /(?:^|\s)host\s*=\s*(\S+)/.exec(url)?.[1];
  const port = /(?:^|\s)port\s*=\s*(\d+)/.exec(url)?.[1];
  return host === undefined ? "?" : port === undefined ? host : `${host}:${port}`;
}
