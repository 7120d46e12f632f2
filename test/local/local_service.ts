import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import type { Owner } from "../../src/disk/atomic_file.ts";
import { isRunning, type ProcessIdentity, readProcess } from "../../src/postgres/process_identity.ts";

export interface LocalServiceOptions {
  /** State directory. */
  readonly dir: string;
  readonly flags?: readonly string[];
  /** Another user than ourselves. */
  readonly user?: Owner | undefined;
  readonly env?: NodeJS.ProcessEnv;
  /** The words of another program than {@link NEON_LOCAL}. */
  readonly program?: readonly [string, ...string[]];
}

/** The program under test: `NEON_LOCAL`, or our own build. */
export const NEON_LOCAL = resolve(process.env.NEON_LOCAL ?? "dist/neon_local.js");

/** A running `neon-local serve`; disposing of it kills it, and waits for its children. */
export class LocalService implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly dir: string;
  readonly exited: Promise<number | null>;
  stdout = "";
  stderr = "";
  #processes: ProcessIdentity[] = [];

  constructor(options: LocalServiceOptions) {
    const [command, ...words] = options.program ?? [process.execPath, NEON_LOCAL];
    if (options.program === undefined && !existsSync(NEON_LOCAL))
      throw new Error(`${NEON_LOCAL} does not exist: run npm run build first`);
    this.dir = options.dir;
    const flags = options.flags ?? ["--pg-port", "0"];
    this.child = spawn(command, [...words, "serve", "--dir", options.dir, ...flags], {
      cwd: "/",
      env: { PATH: process.env.PATH, HOME: "/nonexistent", ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
      ...(options.user && { uid: options.user.uid, gid: options.user.gid }),
    });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    // "close": all output has been read.
    this.exited = once(this.child, "close").then(([code]) => code as number | null);
  }

  /** Waits for the printed block. Fails with what was said when the service ends first. */
  async started(): Promise<void> {
    let ended = false;
    void this.exited.then(() => {
      ended = true;
    });
    while (!this.stdout.includes("\n  stop ")) {
      if (ended) throw new Error(`neon-local ended:\n${this.stderr}`);
      await delay(20);
    }
    this.#processes = [...(await this.running()).values()];
  }

  get connectionString(): string {
    return /^ {2}connect {2}(\S+)$/m.exec(this.stdout)?.[1] ?? "";
  }

  async query(text: string): Promise<unknown[]> {
    const client = new pg.Client({ connectionString: this.connectionString });
    await client.connect();
    try {
      return (await client.query(text)).rows as unknown[];
    } finally {
      await client.end();
    }
  }

  /** Its children by name, and Postgres. */
  async running(): Promise<Map<string, ProcessIdentity>> {
    const procs = join(this.dir, "run/procs");
    const found = new Map<string, ProcessIdentity>();
    // Records are written under another name first.
    const names = (await readdir(procs).catch(() => [])).filter((name) => name.endsWith(".json"));
    for (const name of names) {
      const record = JSON.parse(await readFile(join(procs, name), "utf8")) as { pid: number; start_time: string };
      found.set(name.replace(".json", ""), { pid: record.pid, startTime: record.start_time });
    }
    const file = await readFile(join(this.dir, "pgs/main/pgdata/postmaster.pid"), "utf8").catch(() => "");
    const postmaster = await readProcess(Number.parseInt(file, 10) || -1);
    if (postmaster) found.set("postgres", postmaster);
    return found;
  }

  /** What still runs of the processes that ran when it had started. */
  async left(): Promise<number[]> {
    const states = await Promise.all(this.#processes.map(async (each) => ((await isRunning(each)) ? [each.pid] : [])));
    return states.flat();
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    this.child.kill(signal);
    return await this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.exited;
    while ((await this.left()).length > 0) await delay(50);
  }
}
