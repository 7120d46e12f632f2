import { Command, CommanderError } from "commander";
import { parseListenAddress } from "../store/listen_address.ts";
import { optionOf } from "./flag.ts";
import { NEON_STORE_FLAGS, type NeonStoreFlags } from "./neon_store_flags.ts";
import { VERSION_OPTION, versionLine } from "./version.ts";

/** What `neon-store`'s command line asks for. */
export type NeonStoreCommand =
  | { readonly kind: "run"; readonly flags: NeonStoreFlags }
  | { readonly kind: "template"; readonly flags: NeonStoreFlags }
  | { readonly kind: "check"; readonly dir: string }
  | { readonly kind: "show"; readonly dir: string; readonly json: boolean }
  /** Help or the version was printed, or the command line is wrong and was answered with what is wrong. */
  | { readonly kind: "exit"; readonly code: number };

/**
 * Reads `neon-store`'s command line; a wrong one ends as exit code 2 with a sentence on `err`.
 *
 * @param argv the words behind the program's name
 */
export function parseNeonStoreArguments(
  argv: readonly string[],
  output: { readonly out: (text: string) => void; readonly err: (text: string) => void },
): NeonStoreCommand {
  let result: NeonStoreCommand = { kind: "exit", code: 0 };
  const program = new Command("neon-store")
    .version(versionLine("neon-store", process.env), ...VERSION_OPTION)
    .description("Storage for computes that run a stock PostgreSQL: base backups, WAL, timelines, in one directory.")
    .exitOverride()
    .allowExcessArguments(false)
    .showHelpAfterError("(see --help for all options)")
    .configureOutput({ writeOut: output.out, writeErr: output.err })
    .action((flags: Record<string, unknown>) => {
      // Defaults do not go through the option's parser.
      for (const [name, value] of Object.entries(flags))
        if (name.endsWith("Addr") && typeof value === "string") flags[name] = parseListenAddress(value);
      result = { kind: "run", flags: flags as unknown as NeonStoreFlags };
    });
  for (const flag of NEON_STORE_FLAGS) program.addOption(optionOf(flag));
  const dir = (): string => program.opts<{ dir: string }>().dir;
  program
    .command("check")
    .description("read everything in the store of --dir and say what is damaged; exit code 1 when something is")
    .action(() => {
      result = { kind: "check", dir: dir() };
    });
  program
    .command("show")
    .description("print tenants, timelines, LSNs and ancestors of the store of --dir")
    .option("--json", "as JSON")
    .action(({ json = false }: { json?: boolean }) => {
      result = { kind: "show", dir: dir(), json };
    });
  program
    .command("template")
    .description("make the fresh cluster that new timelines are copied from, in --template-dir, for an image to ship")
    .action(() => {
      result = { kind: "template", flags: program.opts<NeonStoreFlags>() };
    });
  try {
    program.parse([...argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return { kind: "exit", code: error.exitCode === 0 ? 0 : 2 };
  }
  return result;
}
