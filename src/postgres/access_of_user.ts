import { stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { Owner } from "../disk/atomic_file.ts";
import { CodedError, errorCode } from "../errors/coded_error.ts";
import type { RunAs } from "./run_as.ts";
import { runProgram } from "./run_program.ts";

const READ = 4;
const EXECUTE = 1;

/**
 * The topmost directory on the way to (and including) `directory` that the user may not search; undefined when the user
 * gets there. Follows symbolic links. Permission bits decide first; where they say no, `test -x` as that user has the last
 * word, because an access control list may grant what they do not.
 */
export async function unreachable(user: RunAs, directory: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  for (const each of ancestors(resolve(directory))) {
    if (permits(await stat(each), user, EXECUTE)) continue;
    const test = await runProgram("test", ["-x", each], { env, runAs: user });
    if (test.code !== 0) return each;
  }
  return undefined;
}

/** Whether permission bits let the user read and search this directory itself. */
export async function canRead(user: Owner, directory: string): Promise<boolean> {
  return permits(await stat(directory), user, READ | EXECUTE);
}

/**
 * Makes sure that the user who runs Postgres gets to where PGDATA will be. A directory that does not exist is in nobody's
 * way: whoever makes PGDATA will say that it is missing.
 *
 * @throws CodedError `pgdata_unreachable`, naming the directory that is in the way and what to do.
 */
export async function requireReachable(user: RunAs, parentOfPgdata: string, env: NodeJS.ProcessEnv): Promise<void> {
  const obstacle = await unreachable(user, parentOfPgdata, env).catch((error: unknown) => {
    if (["ENOENT", "ENOTDIR"].includes(errorCode(error) ?? "")) return undefined;
    throw error;
  });
  if (obstacle === undefined) return;
  throw new CodedError(
    "pgdata_unreachable",
    `user ${user.name}, who runs Postgres, may not enter ${obstacle}, so ${parentOfPgdata} cannot hold a data directory;` +
      ` run \`chmod o+x ${obstacle}\` or choose a directory elsewhere`,
  );
}

function permits(found: { uid: number; gid: number; mode: number }, user: Owner, wanted: number): boolean {
  const shift = found.uid === user.uid ? 6 : found.gid === user.gid ? 3 : 0;
  return ((found.mode >> shift) & wanted) === wanted;
}

function ancestors(directory: string): string[] {
  const parent = dirname(directory);
  return parent === directory ? [directory] : [...ancestors(parent), directory];
}
