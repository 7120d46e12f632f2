import { CodedError } from "../errors/coded_error.ts";
import { commentOut } from "../pgdata/comment_out.ts";
import { discardCandidateConf, writeCandidateConf } from "../pgdata/conf_file.ts";
import { parseConfigComplaints } from "../pgdata/config_complaints.ts";
import { dryRunConfig } from "../postgres/tools.ts";
import type { ComputeOptions } from "./compute_options.ts";
import type { Machine } from "./machine.ts";

/** Unknown names hide bad values, and one file may hold names that several includes complain about. */
const MAX_ROUNDS = 3;
const UNKNOWN = /^unrecognized configuration parameter /;

export interface AcceptedConf {
  readonly text: string;
  readonly warnings: readonly string[];
}

/**
 * Lets the server judge a `postgresql.conf` before it is used. What a stock server does not know is commented out with a
 * warning: specs are written for Neon's server and for the newest major (contract: postgres-config.md 4.1, 11).
 *
 * @param pgdata a directory that belongs to the server's user; what it holds does not matter
 * @throws CodedError `configuration_refused` (400) with Postgres' own words
 */
export async function acceptedConf(text: string, options: ComputeOptions, machine: Machine): Promise<AcceptedConf> {
  const { installation, runAs } = machine;
  const { pgdata, env } = options;
  const warnings: string[] = [];
  let current = text;
  try {
    for (let round = 1; ; round++) {
      const configFile = await writeCandidateConf(pgdata, current, runAs);
      const { ok, complaints } = await dryRunConfig({ installation, runAs, env, pgdata, configFile });
      if (ok) return { text: current, warnings };
      const parsed = parseConfigComplaints(complaints.join("\n"));
      const unknown = parsed.filter(
        ({ file, line, message }) => file === configFile && line !== null && UNKNOWN.test(message),
      );
      if (installation.kind === "neon" || unknown.length === 0 || round === MAX_ROUNDS) {
        const reasons = parsed.length > 0 ? parsed.map(({ message }) => message) : complaints;
        throw new CodedError("configuration_refused", `Postgres refuses the configuration: ${reasons.join("; ")}`, {
          status: 400,
        });
      }
      const lines = unknown.flatMap(({ line }) => (line === null ? [] : [line]));
      current = commentOut(current, lines, `PostgreSQL ${installation.major} does not know it`);
      for (const { parameter } of unknown)
        warnings.push(`setting ${parameter ?? "?"} is left out: PostgreSQL ${installation.major} does not know it`);
    }
  } finally {
    await discardCandidateConf(pgdata);
  }
}
