import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
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

/** A `neon-store` on ports of its own, in a directory that goes with it. */
export class TestStore implements AsyncDisposable {
  readonly endpoints: Endpoints;
  readonly #child: ChildProcess;
  readonly #cleanUp: () => Promise<void>;

  private constructor(endpoints: Endpoints, child: ChildProcess, cleanUp: () => Promise<void>) {
    this.endpoints = endpoints;
    this.#child = child;
    this.#cleanUp = cleanUp;
  }

  static async start(flags: readonly string[] = []): Promise<TestStore> {
    const program = resolve(process.env.NEON_STORE ?? "dist/neon_store.js");
    if (!existsSync(program)) throw new Error(`${program} does not exist: run npm run build first`);
    const temporary = await temporaryDirectory({ root: scratchRoot() });
    const directory = join(temporary.path, "store");
    const addresses = ["pageserver", "grpc", "safekeeper", "http"].flatMap((name) => [`--${name}-addr`, "127.0.0.1:0"]);
    // initdb takes seconds: all stores of a run share its results.
    const templates = join(process.env.NEON_LOCAL_TEST_TEMPLATES ?? tmpdir(), "store");
    const argv = [program, "--dir", directory, "--template-dir", templates, ...addresses, ...flags];
    const child = spawn(process.execPath, argv, { stdio: ["ignore", "ignore", "pipe"] });
    let log = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
    const gone = async (): Promise<void> => {
      child.kill("SIGKILL");
      await temporary[Symbol.asyncDispose]();
    };
    for (;;) {
      const text = await readFile(join(directory, "store_endpoints.json"), "utf8").catch(() => undefined);
      if (text !== undefined) return new TestStore(JSON.parse(text) as Endpoints, child, gone);
      if (child.exitCode !== null) {
        await gone();
        throw new Error(`neon-store ended with ${child.exitCode}\n${log}`);
      }
      await delay(10);
    }
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
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = new Promise((done) => this.#child.once("exit", done));
      this.#child.kill("SIGTERM");
      await ended;
    }
    await this.#cleanUp();
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
