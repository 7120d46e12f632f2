import { generateKeyPairSync } from "node:crypto";
import { chown, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { SignJWT } from "jose";
import { initdb } from "../../src/postgres/tools.ts";
import { type StoreServer, type StoreServerOptions, startStoreServer } from "../../src/store/server.ts";
import type { RunInitdb } from "../../src/store/templates.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { installation, installations, runAs } from "../support/postgres.ts";
import { scratchRoot, type TemporaryDirectory, temporaryDirectory } from "../support/temp_directory.ts";
import { type LibpqReply, RawClient } from "./raw_client.ts";

export const TENANT = "0123456789abcdef0123456789abcdef";
export const TIMELINE = "fedcba9876543210fedcba9876543210";
export const OTHER = "11111111111111111111111111111111";

const FREE = { host: "127.0.0.1", port: 0 };

/** initdb as `neon-store` runs it. */
export const realInitdb: RunInitdb = async ({ installation: server, pgdata, signal }) => {
  if (runAs) await chown(dirname(pgdata), runAs.uid, runAs.gid);
  await initdb({
    installation: server,
    directory: pgdata,
    env: process.env,
    runAs,
    signal,
    auth: "trust",
    durable: false,
  });
};

/** A store that listens on free ports of this process; disposing of it stops it and removes a directory of its own. */
export class RunningStore implements AsyncDisposable {
  readonly server: StoreServer;
  readonly dir: string;
  readonly log: string[];
  readonly #directory: TemporaryDirectory | undefined;

  private constructor(server: StoreServer, dir: string, log: string[], directory: TemporaryDirectory | undefined) {
    this.server = server;
    this.dir = dir;
    this.log = log;
    this.#directory = directory;
  }

  /** `dir` uses that directory and leaves it; otherwise a fresh one is made. Templates are shared by all tests of a run. */
  static async start(options: Partial<StoreServerOptions> = {}): Promise<RunningStore> {
    const directory = options.dir === undefined ? await temporaryDirectory({ root: scratchRoot() }) : undefined;
    const log: string[] = [];
    const dir = options.dir ?? join(directory?.path ?? "", "store");
    try {
      const server = await startStoreServer({
        dir,
        log: createLogger({ level: "info", write: (line) => log.push(line) }),
        locate: async (major) => installation(major ?? installations()[0]?.major),
        initdb: realInitdb,
        initdbOptions: ["test"],
        templateDir: join(process.env.NEON_LOCAL_TEST_TEMPLATES ?? tmpdir(), "neon-store"),
        now: Date.now,
        addresses: { http: FREE, pageserver: FREE, grpc: FREE, safekeeper: FREE },
        ...options,
      });
      return new RunningStore(server, dir, log, directory);
    } catch (error) {
      await directory?.[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** One request to the management API. */
  async http(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const { host, port } = this.server.addresses.http;
    const response = await fetch(`http://${host}:${port}${path}`, {
      method,
      headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers },
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: JSON.parse(text) as Record<string, unknown> };
  }

  async attachTenant(tenantId = TENANT): Promise<void> {
    await this.server.store.tenants.setLocation(tenantId, { mode: "AttachedSingle", generation: 1, tenant_conf: {} });
  }

  /** A tenant with one timeline, whose last record ends at the returned LSN. */
  async createTimeline(major: number, timelineId = TIMELINE, tenantId = TENANT): Promise<bigint> {
    await this.attachTenant(tenantId);
    const timeline = await this.server.store.bootstrap(tenantId, timelineId, installation(major).major);
    return (await timeline.walEnd()).end;
  }

  /** A connection to one of the two libpq listeners. */
  async connect(
    to: "pageserver" | "safekeeper",
    options: { password?: string; options?: string } = {},
  ): Promise<RawClient> {
    return await RawClient.connect(this.server.addresses[to], options);
  }

  /** One simple query to the pageserver. */
  async query(text: string): Promise<LibpqReply> {
    await using client = await this.connect("pageserver");
    return await client.query(text);
  }

  async stop(): Promise<void> {
    await this.server.stop(1000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.#directory?.[Symbol.asyncDispose]();
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

/** An Ed25519 key: its public half as a PEM file, and tokens that the private half signed. */
export async function tokenIssuer(dir: string, name = "public.pem") {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const path = join(dir, name);
  await writeFile(path, publicKey.export({ type: "spki", format: "pem" }));
  const sign = async (claims: Record<string, unknown>): Promise<string> =>
    await new SignJWT(claims).setProtectedHeader({ alg: "EdDSA", typ: "JWT" }).sign(privateKey);
  return { path, sign };
}
