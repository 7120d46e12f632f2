import { Command, CommanderError } from "commander";
import type { CommandOutput } from "./compute_ctl_arguments.ts";
import { type Flag, optionOf } from "./flag.ts";
import { HEALTHCHECK_FLAGS, type HealthcheckFlags, SERVE_FLAGS, type ServeFlags } from "./neon_local_flags.ts";
import { VERSION_OPTION, versionLine } from "./version.ts";

/** What a command line asks for. */
export type NeonLocalCommand =
  | { readonly kind: "serve"; readonly flags: ServeFlags }
  | { readonly kind: "healthcheck"; readonly flags: HealthcheckFlags }
  /** Help or the version was printed, or the command line is wrong and was answered with what is wrong. */
  | { readonly kind: "exit"; readonly code: number };

/**
 * Reads the command line of `neon-local`. A wrong one ends as exit code 2 with a sentence and the usage on `err`
 * (contract: neon-local.md A13).
 *
 * @param argv the words behind the program's name
 */
export function parseNeonLocalArguments(argv: readonly string[], output: CommandOutput): NeonLocalCommand {
  let result: NeonLocalCommand = { kind: "exit", code: 0 };
  const program = new Command("neon-local")
    .version(versionLine("neon-local", process.env), ...VERSION_OPTION)
    .description("A local Neon: storage and Postgres computes under one service.")
    .exitOverride()
    .showHelpAfterError("(see --help for all commands)")
    .configureOutput({ writeOut: output.out, writeErr: output.err });
  const subcommand = (name: string, flags: readonly Flag[]): Command => {
    const command = program
      .command(name)
      .allowExcessArguments(false)
      .showHelpAfterError(`(see neon-local ${name} --help for all options)`);
    for (const flag of flags) command.addOption(optionOf(flag));
    return command;
  };
  subcommand("serve", SERVE_FLAGS)
    .description("Runs the service in the foreground: a storage, a compute, until Ctrl-C.")
    .action((flags: ServeFlags) => {
      result = { kind: "serve", flags };
    });
  subcommand("healthcheck", HEALTHCHECK_FLAGS)
    .description("Exit code 0 when what runs here can be used, 1 with the reason when not.")
    .action((flags: HealthcheckFlags) => {
      result = { kind: "healthcheck", flags };
    });
  try {
    program.parse([...argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return { kind: "exit", code: error.exitCode === 0 ? 0 : 2 };
  }
  return result;
}
