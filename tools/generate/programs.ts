import { COMPUTE_CTL_ENVIRONMENT, COMPUTE_CTL_FLAGS } from "../../src/cli/compute_ctl_flags.ts";
import { flagsAsMarkdown } from "../../src/cli/flag.ts";
import { SERVE_FLAGS } from "../../src/cli/neon_local_flags.ts";
import { NEON_STORE_FLAGS } from "../../src/cli/neon_store_flags.ts";

/** `docs/programs.md`: every flag and environment variable, out of the tables that the programs parse with. */
export function renderPrograms(): string {
  const variables = COMPUTE_CTL_ENVIRONMENT.map(({ name, meaning }) => `| \`${name}\` | ${meaning} |`);
  return `# Flags and environment

Made from the flag tables in \`src/cli\` by \`npm run generate\`.

## compute_ctl

${flagsAsMarkdown(COMPUTE_CTL_FLAGS)}

Environment. The whole environment goes on to Postgres.

| variable | meaning |
|---|---|
${variables.join("\n")}

## neon-store

${flagsAsMarkdown(NEON_STORE_FLAGS)}

## neon-local serve

${flagsAsMarkdown(SERVE_FLAGS)}
`;
}
