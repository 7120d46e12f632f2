import { COMPUTE_CTL_ENVIRONMENT, COMPUTE_CTL_FLAGS } from "../../src/cli/compute_ctl_flags.ts";
import { flagsAsMarkdown } from "../../src/cli/flag.ts";
import { HEALTHCHECK_FLAGS, SERVE_ENVIRONMENT, SERVE_FLAGS } from "../../src/cli/neon_local_flags.ts";
import { NEON_STORE_FLAGS } from "../../src/cli/neon_store_flags.ts";

/** `docs/programs.md`: every flag and environment variable, out of the tables that the programs parse with. */
export function renderPrograms(): string {
  return `# Flags and environment

Made from the flag tables in \`src/cli\` by \`npm run generate\`. Besides these each program takes \`-h, --help\` and
\`-V, --version\`, which prints its name, the version of the package and the build tag, such as \`compute_ctl 0.1.0 (latest)\`.

## compute_ctl

${flagsAsMarkdown(COMPUTE_CTL_FLAGS)}

Environment. The whole environment goes on to Postgres.

${variablesAsMarkdown(COMPUTE_CTL_ENVIRONMENT)}

## neon-store

${flagsAsMarkdown(NEON_STORE_FLAGS)}

## neon-local serve

${flagsAsMarkdown(SERVE_FLAGS)}

${variablesAsMarkdown(SERVE_ENVIRONMENT)}

## neon-local healthcheck

${flagsAsMarkdown(HEALTHCHECK_FLAGS)}
`;
}

function variablesAsMarkdown(variables: readonly { readonly name: string; readonly meaning: string }[]): string {
  const rows = variables.map(({ name, meaning }) => `| \`${name}\` | ${meaning} |`);
  return ["| variable | meaning |", "|---|---|", ...rows].join("\n");
}
