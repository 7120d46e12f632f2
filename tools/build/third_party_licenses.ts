/** What others' licences ask of a bundle: their texts come with it, and it holds nothing that may not be passed on. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Metafile } from "esbuild";
import { isAllowed } from "./license_expression.ts";

/** Licences (SPDX) under which code may be passed on in our package with its text beside it. */
const ALLOWED_LICENSES: ReadonlySet<string> = new Set([
  ...["0BSD", "Apache-2.0", "BlueOak-1.0.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0"],
  ...["PostgreSQL", "Python-2.0", "Unlicense", "Zlib"],
]);

/** A package by what its licence asks for. */
export interface LicensedPackage {
  readonly name: string;
  readonly version: string;
  /** SPDX expression; empty when it names none. */
  readonly license: string;
}

/** Complaints, one for each package whose licence is not allowed. */
export function licenseProblems(
  packages: readonly LicensedPackage[],
  allowed: ReadonlySet<string> = ALLOWED_LICENSES,
): string[] {
  return packages
    .filter(({ license }) => !isAllowed(license, allowed))
    .map(
      ({ name, version, license }) =>
        `${name} ${version} has the licence "${license || "none"}", which is not allowed: read it, then add it to` +
        " ALLOWED_LICENSES in tools/build/third_party_licenses.ts, or do without the package",
    );
}

/** A package of which code is in the bundle. */
export interface BundledPackage extends LicensedPackage {
  /** Its directory, from the root. */
  readonly directory: string;
  /** Its files in the bundle, from the root. */
  readonly files: readonly string[];
}

/** The packages whose code esbuild put into the bundle, by name; what it shook off is none of them. */
export function bundledPackages({ outputs }: Pick<Metafile, "outputs">, root: string): BundledPackage[] {
  const inputs = Object.values(outputs).flatMap((output) =>
    Object.entries(output.inputs).flatMap(([file, { bytesInOutput }]) => (bytesInOutput > 0 ? [file] : [])),
  );
  const files = Map.groupBy(new Set(inputs), (file) => /^.*\bnode_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0]);
  return [...files]
    .flatMap(([directory, of]) => (directory === undefined ? [] : [{ ...describe(directory, root), files: of.sort() }]))
    .sort((a, b) => (`${a.name} ${a.version}` < `${b.name} ${b.version}` ? -1 : 1));
}

/** The packages that npm installs with ours: optional ones are there for their platform only, the lock file knows all. */
export function installedPackages(root: string): LicensedPackage[] {
  const { packages }: { packages: Record<string, LockedPackage> } = JSON.parse(
    readFileSync(join(root, "package-lock.json"), "utf8"),
  );
  const { dependencies = {}, optionalDependencies = {} } = packages[""] ?? {};
  return Object.keys({ ...dependencies, ...optionalDependencies }).map((name) => {
    const { version = "", license = "" } = packages[`node_modules/${name}`] ?? {};
    return { name, version, license };
  });
}

interface LockedPackage extends Partial<LicensedPackage> {
  readonly dependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
}

function describe(directory: string, root: string): Omit<BundledPackage, "files"> {
  const { name, version, license }: { name: string; version: string; license?: unknown } = JSON.parse(
    readFileSync(join(root, directory, "package.json"), "utf8"),
  );
  return { directory, name, version, license: typeof license === "string" ? license : "" };
}

/**
 * `THIRD_PARTY_LICENSES.txt`: name, version, licence and licence text of each package.
 *
 * @throws Error naming a package that carries no text.
 */
export function renderLicenses(packages: readonly BundledPackage[], root: string): string {
  const entries = packages.map((each) => {
    const text = licenseText(each, root);
    if (text === "") throw new Error(`${each.name} ${each.version} carries no licence text`);
    return `${"=".repeat(80)}\n${each.name} ${each.version} (${each.license})\n\n${text}\n`;
  });
  return (
    "The programs in this directory contain code of the packages below. The text of Apache-2.0, which is neon-local's own\n" +
    `licence too, is in ../LICENSE.\n\n${entries.join("\n")}`
  );
}

/** Licence and notice files; else the README's section; else what stands at the head of the files themselves. */
function licenseText({ directory, files }: BundledPackage, root: string): string {
  const names = readdirSync(join(root, directory)).sort();
  const read = (name: string): string =>
    readFileSync(join(root, directory, name), "utf8")
      .replaceAll("\r\n", "\n")
      .trim();
  const own = names.filter((name) => /^(licen[cs]e|copying|notice)/i.test(name)).map(read);
  if (own.length > 0) return own.join("\n\n");
  const readme = names.find((name) => /^readme/i.test(name));
  const sections = readme === undefined ? [] : read(readme).split(/^(?=#)/m);
  const section = sections.find((each) => /^#+ *licen[cs]e/i.test(each))?.replace(/^.*\n\s*/, "");
  // A mere "MIT" is no text.
  if (section !== undefined && /copyright/i.test(section)) return section.trim();
  const heads = files.map((file) => headOf(readFileSync(join(root, file), "utf8")));
  return [...new Set(heads)].filter((head) => /copyright/i.test(head)).join("\n\n");
}

/** The line comments that a file begins with. */
function headOf(source: string): string {
  const lines = source.split(/\r?\n/);
  const end = lines.findIndex((line) => !line.startsWith("//"));
  return lines
    .slice(0, end === -1 ? undefined : end)
    .map((line) => line.replace(/^\/\/ ?/, ""))
    .join("\n")
    .trim();
}
