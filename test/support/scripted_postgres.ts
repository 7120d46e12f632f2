import { chmod, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { installation } from "./postgres.ts";
import { temporaryDirectory } from "./temp_directory.ts";

export interface ScriptedPostgresOptions {
  readonly major?: number;
  /** Makes it look like Neon's: there is a `neon.so`. Shell commands for `--sync-safekeepers`; `$n` counts its runs. */
  readonly sync?: string;
  /** Shell commands before a start with a data directory. */
  readonly start?: string;
}

export interface ScriptedPostgres extends AsyncDisposable {
  /** For `--pgbin`. */
  readonly pgbin: string;
  /** Every user may write here; `$dir` in scripts. */
  readonly directory: string;
  /** Pids of all starts with a data directory. */
  starts(): Promise<number[]>;
  /** Pids of all `--sync-safekeepers`. */
  syncs(): Promise<number[]>;
}

/** A real server behind a shell script that can do other things first, or instead. */
export async function scriptedPostgres(options: ScriptedPostgresOptions): Promise<ScriptedPostgres> {
  const real = installation(options.major ?? 17);
  const temporary = await temporaryDirectory();
  const root = temporary.path;
  const directory = join(root, "written");
  const [bin, lib] = [join(root, "bin"), join(root, "lib")];
  for (const path of [bin, lib, directory]) await mkdir(path);
  await chmod(directory, 0o1777);
  for (const file of ["starts", "syncs"]) {
    await writeFile(join(directory, file), "");
    await chmod(join(directory, file), 0o666);
  }
  for (const name of await readdir(real.pkglibdir)) await symlink(join(real.pkglibdir, name), join(lib, name));
  if (options.sync !== undefined) await writeFile(join(lib, "neon.so"), "");
  await symlink(real.sharedir, join(root, "share"));
  const script = `#!/bin/sh
dir=${directory}
if [ "$1" = --sync-safekeepers ]; then
  echo $$ >> $dir/syncs
  n=$(wc -l < $dir/syncs)
  ${options.sync ?? "exit 1"}
  exit
fi
if [ "$1" = -D ] && [ "$3" != -C ]; then
  echo $$ >> $dir/starts
  ${options.start ?? ":"}
fi
exec ${real.postgres} "$@"
`;
  const answers = `case "$1" in
  --version) echo "PostgreSQL ${real.version} (scripted)" ;;
  --pkglibdir) echo ${lib} ;;
  --sharedir) echo ${real.sharedir} ;;
  --bindir) echo ${bin} ;;
esac`;
  await writeFile(join(bin, "postgres"), script, { mode: 0o755 });
  await writeFile(join(bin, "pg_config"), `#!/bin/sh\n${answers}\n`, { mode: 0o755 });
  for (const tool of ["initdb", "pg_ctl"]) await symlink(join(real.binDir, tool), join(bin, tool));
  const pids = async (file: string): Promise<number[]> =>
    (await readFile(join(directory, file), "utf8")).split("\n").filter(Boolean).map(Number);
  return {
    pgbin: join(bin, "postgres"),
    directory,
    starts: () => pids("starts"),
    syncs: () => pids("syncs"),
    [Symbol.asyncDispose]: () => temporary[Symbol.asyncDispose](),
  };
}
