import { isBuiltin } from "node:module";
import type { Metafile } from "esbuild";

/** Asked for by nobody: `pg` loads it for who asks for `pg.native`, and does without it. */
const NOT_NEEDED = new Set(["pg-native"]);

/** Complaints, one for each module that the bundle would load from somewhere else when it runs. */
export function leftOut({ outputs }: Pick<Metafile, "outputs">): string[] {
  const imports = Object.values(outputs).flatMap((output) => output.imports);
  const missing = imports.filter(({ external, path }) => external && !isBuiltin(path) && !NOT_NEEDED.has(path));
  return [...new Set(missing.map(({ path }) => path))].map(
    (path) => `${path} is not in the bundle: bundle it, or make it a dependency of the package`,
  );
}
