import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll } from "vitest";
import { scratchRoot, temporaryDirectory } from "./temp_directory.ts";

/** What a compute must know about its storage. */
export interface Storage {
  readonly tenantId: string;
  readonly timelineId: string;
  /** URLs of the one pageserver. */
  readonly pageserver: { readonly libpq_url?: string; readonly grpc_url?: string };
  /** `host:port` each. */
  readonly safekeepers: readonly string[];
}

/** `host:port` each. */
interface Endpoints {
  readonly pid: number;
  readonly http: string;
  readonly pageserver: string;
  readonly grpc: string;
  readonly safekeeper: string;
}

interface Run {
  readonly child: ChildProcess;
  readonly endpoints: Endpoints;
}

/** A `neon-store` on ports of its own, in a directory that goes with it. */
export class TestStore implements AsyncDisposable {
  /** Where everything is kept. */
  readonly directory: string;
  readonly #flags: readonly string[];
  readonly #cleanUp: () => Promise<void>;
  #run: Run;

  private constructor(directory: string, flags: readonly string[], run: Run, cleanUp: () => Promise<void>) {
    this.directory = directory;
    this.#flags = flags;
    this.#run = run;
    this.#cleanUp = cleanUp;
  }

  static async start(flags: readonly string[] = []): Promise<TestStore> {
    const temporary = await temporaryDirectory({ root: scratchRoot() });
    const cleanUp = (): Promise<void> => temporary[Symbol.asyncDispose]();
    const directory = join(temporary.path, "store");
    try {
      return new TestStore(directory, flags, await launch(directory, flags, undefined), cleanUp);
    } catch (error) {
      await cleanUp();
      throw error;
    }
  }

  get endpoints(): Endpoints {
    return this.#run.endpoints;
  }

  /** Sends a signal; after one that ends the process, resolves when it is gone. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const { child } = this.#run;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    if (signal !== "SIGSTOP" && signal !== "SIGCONT") await ended;
  }

  /** After {@link kill}: runs it again on the same directory and the same ports. */
  async restart(): Promise<void> {
    this.#run = await launch(this.directory, this.#flags, this.endpoints);
  }

  /** A fresh timeline with an empty database cluster; no two computes may run on one. */
  async timeline(major = 17): Promise<Storage> {
    const [tenantId, timelineId] = [randomBytes(16).toString("hex"), randomBytes(16).toString("hex")];
    await this.call("PUT", `/v1/tenant/${tenantId}/location_config`, { mode: "AttachedSingle", generation: 1 });
    await this.call("POST", `/v1/tenant/${tenantId}/timeline`, { new_timeline_id: timelineId, pg_version: major });
    return {
      tenantId,
      timelineId,
      pageserver: {
        libpq_url: `postgresql://no_user@${this.endpoints.pageserver}`,
        grpc_url: `grpc://no_user@${this.endpoints.grpc}`,
      },
      safekeepers: [this.endpoints.safekeeper],
    };
  }

  /** One request to the management API; the answer's JSON. */
  async call(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
    const response = await fetch(`http://${this.endpoints.http}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text) as Record<string, unknown>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill("SIGCONT");
    await this.kill("SIGTERM");
    await this.#cleanUp();
  }
}

/** Starts the program and waits for its addresses: those of `before`, or free ones. */
async function launch(directory: string, flags: readonly string[], before: Endpoints | undefined): Promise<Run> {
  const program = resolve(process.env.NEON_STORE ?? "dist/neon_store.js");
  if (!existsSync(program)) throw new Error(`${program} does not exist: run npm run build first`);
  const addresses = (["pageserver", "grpc", "safekeeper", "http"] as const).flatMap((name) => [
    `--${name}-addr`,
    before?.[name] ?? "127.0.0.1:0",
  ]);
  // initdb takes seconds: all stores of a run share its results.
  const templates = join(process.env.NEON_LOCAL_TEST_TEMPLATES ?? tmpdir(), "store");
  const argv = [program, "--dir", directory, "--template-dir", templates, ...addresses, ...flags];
  // The fourth closes when we die: no store outlives the run.
  const env = { ...process.env, NEON_LOCAL_SUPERVISOR_FD: "3" };
  const child = spawn(process.execPath, argv, { stdio: ["ignore", "ignore", "pipe", "pipe"], env });
  let log = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (log += text));
  for (;;) {
    const text = await readFile(join(directory, "store_endpoints.json"), "utf8").catch(() => "{}");
    const endpoints = JSON.parse(text) as Endpoints;
    if (endpoints.pid === child.pid) return { child, endpoints };
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`neon-store ended with ${child.exitCode ?? child.signalCode}\n${log}`);
    await delay(10);
  }
}

/** One store for all tests of a file. */
export function useStore(): () => TestStore {
  let store: TestStore | undefined;
  beforeAll(async () => {
    store = await TestStore.start();
  });
  afterAll(async () => await store?.[Symbol.asyncDispose]());
  return () => {
    if (store === undefined) throw new Error("the store runs only while tests run");
    return store;
  };
}
