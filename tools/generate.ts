/**
 * Writes the files that are made from code: `node tools/generate.ts`. With `--check` nothing is written; what is stale is
 * named, exit code 1. To have another file made, add it to GENERATED.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { renderOpenApi } from "./generate/openapi.ts";
import { renderPrograms } from "./generate/programs.ts";
import { renderSpecSchema } from "./generate/spec_schema.ts";
import { renderStates } from "./generate/states.ts";

interface Generated {
  /** From the repository's root. */
  readonly path: string;
  /** The whole content; the same for the same code. */
  readonly render: () => string | Promise<string>;
}

export const GENERATED: readonly Generated[] = [
  { path: "specs/compute-spec.schema.json", render: renderSpecSchema },
  { path: "specs/openapi.json", render: renderOpenApi },
  { path: "docs/states.md", render: renderStates },
  { path: "docs/programs.md", render: renderPrograms },
];

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The paths whose content on disk is not what the code makes. */
export async function findStale(): Promise<string[]> {
  const stale: string[] = [];
  for (const { path, render } of GENERATED) if (contentOf(join(root, path)) !== (await render())) stale.push(path);
  return stale;
}

async function writeAll(): Promise<void> {
  for (const { path, render } of GENERATED) {
    const content = await render();
    if (contentOf(join(root, path)) === content) continue;
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
    console.log(`wrote ${path}`);
  }
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

if (import.meta.main) {
  if (process.argv.includes("--check")) {
    const stale = await findStale();
    for (const path of stale) console.error(`${path} is stale: run \`npm run generate\``);
    process.exitCode = stale.length > 0 ? 1 : 0;
  } else await writeAll();
}
