import { Argument, Command, CommanderError } from "commander";
import { type PostgresMajor, SUPPORTED_MAJORS } from "../postgres/supported_majors.ts";
import { COMPUTE_CTL_FLAGS, type ComputeCtlFlags } from "./compute_ctl_flags.ts";
import { optionOf } from "./flag.ts";
import type { PlanRequest } from "./plan.ts";
import { VERSION_OPTION, versionLine } from "./version.ts";

/** What a command line asks for. */
export type ComputeCtlCommand =
  | { readonly kind: "run"; readonly flags: ComputeCtlFlags; readonly warnings: readonly string[] }
  | { readonly kind: "validate"; readonly file: string }
  | { readonly kind: "postgres-path"; readonly major: PostgresMajor; readonly pgbin?: string }
  | { readonly kind: "plan"; readonly request: PlanRequest }
  /** Help or the version was printed, or the command line is wrong and was answered with what is wrong. */
  | { readonly kind: "exit"; readonly code: number };

/** Where help and complaints go. */
export interface CommandOutput {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

/**
 * Reads `compute_ctl`'s command line. A wrong one ends as exit code 2 with a sentence and the usage on `err`
 * (contract: lifecycle.md 1.1, 1.2; `--version` is ours). `POSTGRES_PATH` is read from the process's environment by commander.
 *
 * @param argv the words behind the program's name
 */
export function parseComputeCtlArguments(argv: readonly string[], output: CommandOutput): ComputeCtlCommand {
  let result: ComputeCtlCommand = { kind: "exit", code: 0 };
  const program = quiet(new Command("compute_ctl"), output)
    .version(versionLine("compute_ctl", process.env), ...VERSION_OPTION)
    .description("Runs a Neon compute node: prepares PGDATA from a spec, starts Postgres, steers and watches it.")
    .usage(
      "--pgdata <datadir> --connstr <database-url> --compute-id <id> (--config <path> | --control-plane-uri <base-url>) [options]",
    )
    .addHelpText(
      "after",
      "\nOther commands:\n  compute_ctl validate <file>          say whether a config file decodes and resolves (exit 0 or 1)\n" +
        "  compute_ctl postgres-path <major>    print the postgres that would be used (exit 3 if there is none)\n" +
        "  compute_ctl plan --config <path> --connstr <database-url>   print what would be changed in a running Postgres",
    )
    .action((flags: ComputeCtlFlags) => {
      result = { kind: "run", ...withEarlierNames(flags) };
      if (
        flags.config === undefined &&
        flags.controlPlaneUri === undefined &&
        flags.spec === undefined &&
        flags.specPath === undefined
      )
        program.error("error: one of --config <path> and --control-plane-uri <base-url> is required", { exitCode: 2 });
    });
  for (const flag of COMPUTE_CTL_FLAGS) program.addOption(optionOf(flag));

  const validate = quiet(new Command("compute_ctl validate"), output)
    .description("Decodes and resolves a config file as --config would.")
    .argument("<file>", "the file")
    .action((file: string) => {
      result = { kind: "validate", file };
    });
  const postgresPath = quiet(new Command("compute_ctl postgres-path"), output)
    .description("Prints the postgres program of a major version that would be used.")
    .addArgument(new Argument("<major>", "major version").choices(SUPPORTED_MAJORS.map(String)))
    .option("--pg-bin <dir>", "directory to look in first")
    .action((major: string, options: { pgBin?: string }) => {
      result = {
        kind: "postgres-path",
        major: Number(major) as PostgresMajor,
        ...(options.pgBin === undefined ? {} : { pgbin: options.pgBin }),
      };
    });

  const plan = quiet(new Command("compute_ctl plan"), output)
    .description("Prints what would be changed in a running Postgres to bring it in line with a spec; changes nothing.")
    .requiredOption("-c, --config <path>", "config file with the spec")
    .requiredOption("-C, --connstr <database-url>", "how to reach Postgres, as the superuser")
    .option("--privileged-role-name <name>", "role that customers' roles become members of", "neon_superuser")
    .option("--json", "as JSON", false)
    .action((request: PlanRequest) => {
      result = { kind: "plan", request };
    });

  try {
    if (argv[0] === "validate") validate.parse(argv.slice(1), { from: "user" });
    else if (argv[0] === "postgres-path") postgresPath.parse(argv.slice(1), { from: "user" });
    else if (argv[0] === "plan") plan.parse(argv.slice(1), { from: "user" });
    else program.parse([...argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return { kind: "exit", code: error.exitCode === 0 ? 0 : 2 };
  }
  return result;
}

function quiet(command: Command, output: CommandOutput): Command {
  return command
    .exitOverride()
    .allowExcessArguments(false)
    .showHelpAfterError("(see --help for all options)")
    .configureOutput({ writeOut: output.out, writeErr: output.err });
}

/** Maps the names of earlier releases to today's, with a line to log for each. */
function withEarlierNames(flags: ComputeCtlFlags): { flags: ComputeCtlFlags; warnings: string[] } {
  const warnings: string[] = [];
  let mapped = flags;
  if (flags.spec !== undefined)
    warnings.push("--spec is a flag of earlier releases: put the spec into a file and use --config");
  if (flags.specPath !== undefined) {
    warnings.push("--spec-path is a flag of earlier releases: use --config");
    mapped = { ...mapped, config: flags.specPath };
  }
  if (flags.remoteExtConfig !== undefined) {
    warnings.push("--remote-ext-config is a flag of earlier releases: use --remote-ext-base-url");
    const url = flags.remoteExtConfig.startsWith("http") ? flags.remoteExtConfig : "http://pg-ext-s3-gateway";
    mapped = { ...mapped, remoteExtBaseUrl: `${url.replace(/\/+$/, "")}/` };
  }
  return { flags: mapped, warnings };
}
