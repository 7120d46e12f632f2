import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/**
 * The file that a worker thread starts with: `<name>.ts` beside the caller when run from source, `<name>.js` beside the
 * programs when bundled.
 *
 * @param caller `import.meta.url` of the module that starts the worker
 */
export function workerEntry(name: string, caller: string): URL {
  if (caller.endsWith(".ts")) return new URL(`./${name}.ts`, caller);
  const directory = dirname(fileURLToPath(caller));
  // Shared code lies in chunks/ below the programs.
  const beside = join(directory, `${name}.js`);
  return pathToFileURL(existsSync(beside) ? beside : join(dirname(directory), `${name}.js`));
}
