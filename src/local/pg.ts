import { replaceFile } from "../disk/atomic_file.ts";
import { stopLeftover } from "../postgres/leftover.ts";
import { formatComputeConfig } from "../spec/encode.ts";
import type { ComputeConfig } from "../spec/schema.ts";
import { answerQuery } from "./answer_query.ts";
import { awaitCompute } from "./await_compute.ts";
import { COMPUTE_RUNGS } from "./exit_ladder.ts";
import type { LogFile } from "./log_file.ts";
import type { PgPorts } from "./ports.ts";
import type { PgLayout } from "./state_layout.ts";
import { SupervisedChild, type SupervisorOptions } from "./supervised_child.ts";

export interface PgOptions {
  /** Name of the pg; also the compute's id. */
  readonly name: string;
  readonly layout: PgLayout;
  readonly ports: PgPorts;
  /** The `compute_ctl` program. */
  readonly program: string;
  /** The `postgres` program. */
  readonly pgbin: string;
  readonly env: NodeJS.ProcessEnv;
  readonly config: ComputeConfig;
  /** For the compute's external API. */
  readonly token: string;
  readonly log: LogFile;
  readonly supervisor: SupervisorOptions;
}

/** What `compute_ctl` ends with when another compute was elected for its timeline. */
const FENCED_EXIT_CODE = 4;

/** A pg: a `compute_ctl` with its Postgres over a branch of a storage. It is ready when it answers a query. */
export class Pg {
  readonly child: SupervisedChild;
  readonly connectionString: string;

  constructor(options: PgOptions) {
    const { name, layout, ports } = options;
    this.connectionString = connectionString(ports.postgres);
    this.child = new SupervisedChild(
      {
        name: `compute-${name}`,
        program: process.execPath,
        argv: () => [options.program, ...computeFlags(options)],
        env: options.env,
        cwd: layout.dir,
        log: options.log,
        rungs: COMPUTE_RUNGS,
        pidFile: layout.pidFile,
        // Started again it would fence the one that replaced it.
        finalExit: { code: FENCED_EXIT_CODE, meaning: "another compute took its branch over" },
        restartNote: ", with every commit that returned",
        prepare: () => replaceFile(layout.configFile, formatComputeConfig(options.config)),
        ready: async (signal) => {
          await awaitCompute({ externalHttpPort: ports.externalHttp, token: options.token, signal });
          await answerQuery(this.connectionString);
        },
        cleanUp: async () => {
          await stopLeftover(layout.pgdata, { log: options.supervisor.report });
        },
      },
      options.supervisor,
    );
  }
}

/** How to reach a Postgres of ours as the superuser. */
function connectionString(port: number): string {
  return `postgresql://cloud_admin@127.0.0.1:${port}/postgres`;
}

/** The command line of `compute_ctl`, in the order that `neon_local` has (contract: neon-local.md C2). */
export function computeFlags(options: Pick<PgOptions, "name" | "layout" | "ports" | "pgbin">): string[] {
  const { name, layout, ports, pgbin } = options;
  return [
    ...["--external-http-port", String(ports.externalHttp)],
    ...["--internal-http-port", String(ports.internalHttp)],
    ...["--pgdata", layout.pgdata],
    ...["--connstr", connectionString(ports.postgres)],
    ...["--config", layout.configFile],
    ...["--pgbin", pgbin],
    ...["--compute-id", name],
  ];
}
