import { accessSync, constants } from "node:fs";
import { delimiter, dirname, join } from "node:path";

export interface InitProcessOptions {
  readonly pid: number;
  /** The Node.js that runs us. */
  readonly execPath: string;
  /** Its own options. */
  readonly execArgv: readonly string[];
  /** Its first element is the Node.js, then our file and what comes behind it. */
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly isExecutable?: (path: string) => boolean;
}

/**
 * As the first process of a container we would have to reap whatever loses its parent, and Node.js only waits for its own
 * children: so the same command line is run again below `tini`, which does that and hands signals on.
 *
 * @returns program and its words; undefined when we are not the first process, or there is no `tini` on `PATH` or beside Node.js
 */
export function initProcess(options: InitProcessOptions): { file: string; argv: string[] } | undefined {
  const { pid, execPath, execArgv, argv, env, isExecutable = executable } = options;
  if (pid !== 1) return undefined;
  const directories = [dirname(execPath), ...(env.PATH ?? "").split(delimiter).filter((path) => path.startsWith("/"))];
  const file = directories.map((directory) => join(directory, "tini")).find(isExecutable);
  return file === undefined ? undefined : { file, argv: [file, "--", execPath, ...execArgv, ...argv.slice(1)] };
}

/**
 * Puts an init process above us where we are the first process of a container; returns when there is no need, or no init.
 * Only sound before anything was opened or started: the process is replaced.
 */
export function runBelowInit(us: NodeJS.Process): void {
  const init = initProcess(us);
  if (init) us.execve?.(init.file, init.argv, us.env);
  us.stderr.write("running as the first process of a container without tini: orphans stay as zombies until it ends\n");
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
