import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync, type JsonWebKey } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chown, cp, mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { execa } from "execa";
import { CompactSign } from "jose";
import pg from "pg";
import type { ComputeStatus } from "../../src/http/compute_status.ts";
import { freePort } from "./free_port.ts";
import { scratchRoot, temporaryDirectory } from "./temp_directory.ts";

/** The program under test: `COMPUTE_CTL`, or our own build. */
export function computeCtlProgram(): { file: string; argv: readonly string[] } {
  const path = resolve(process.env.COMPUTE_CTL ?? "dist/compute_ctl.js");
  if (!existsSync(path)) throw new Error(`${path} does not exist: run npm run build first`);
  return path.endsWith(".js") ? { file: process.execPath, argv: [path] } : { file: path, argv: [] };
}

/**
 * The program under test and its interpreter at a place that every user may enter; ours may lie in root's home. Removed with
 * the templates at the end of the run.
 */
async function readableProgram(): Promise<{ file: string; argv: readonly string[] }> {
  const { file, argv } = computeCtlProgram();
  const copy = await mkdtemp(join(process.env.NEON_LOCAL_TEST_TEMPLATES ?? tmpdir(), "programs-"));
  const [script] = argv;
  await mkdir(join(copy, "bin"), { mode: 0o755 });
  const program = join(copy, "bin", "program");
  await cp(file, program);
  if (script !== undefined) await cp(dirname(script), join(copy, "dist"), { recursive: true });
  await execa("chmod", ["-R", "a+rX", copy]);
  return { file: program, argv: script === undefined ? [] : [join(copy, "dist", basename(script))] };
}

/** A key pair as neon_local makes it, and tokens signed with it. */
export function tokenMaker() {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const jwk = { ...publicKey.export({ format: "jwk" }), use: "sig", key_ops: ["verify"], alg: "EdDSA", kid: "test" };
  const sign = (claims: object): Promise<string> =>
    new CompactSign(Buffer.from(JSON.stringify(claims)))
      .setProtectedHeader({ alg: "EdDSA", typ: "JWT" })
      .sign(privateKey);
  return { jwks: { keys: [jwk] }, sign };
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Where a compute lives, known before it starts. */
export interface ComputePlace {
  /** Every user may write here; PGDATA is one level below unless told. */
  readonly directory: string;
  readonly pgdata: string;
  readonly postgresPort: number;
  readonly externalPort: number;
  readonly internalPort: number;
}

export interface ComputeOptions {
  /** The file for `--config`; null writes none. */
  readonly config?: object | string | null | ((place: ComputePlace) => object);
  /** Beside the usual flags. */
  readonly flags?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** For `compute_ctl_config`. */
  readonly tls?: { readonly key_path: string; readonly cert_path: string };
  readonly pgbin?: string;
  /** Instead of a free port. */
  readonly postgresPort?: number;
  /** Instead of a fresh directory's `pgdata`. */
  readonly pgdata?: string;
  /** Who runs the program, when that is not us: only root can tell. */
  readonly user?: { readonly uid: number; readonly gid: number };
}

/** A running `compute_ctl`; disposing of it ends it and removes its directory. */
export class Compute implements AsyncDisposable, ComputePlace {
  readonly directory: string;
  readonly pgdata: string;
  readonly postgresPort: number;
  readonly externalPort: number;
  readonly internalPort: number;
  readonly exited: Promise<Ended>;
  readonly child: ChildProcess;
  /** Both streams, as `compute.log` would hold them. */
  output = "";
  readonly #tokens: ReturnType<typeof tokenMaker>;
  readonly #token: Promise<string>;
  readonly #admin: Promise<string>;
  readonly #cleanUp: () => Promise<void>;

  private constructor(
    child: ChildProcess,
    fields: ComputePlace,
    tokens: ReturnType<typeof tokenMaker>,
    cleanUp: () => Promise<void>,
  ) {
    this.child = child;
    this.directory = fields.directory;
    this.pgdata = fields.pgdata;
    this.postgresPort = fields.postgresPort;
    this.externalPort = fields.externalPort;
    this.internalPort = fields.internalPort;
    this.#tokens = tokens;
    this.#token = tokens.sign({ compute_id: "c1", scope: null, aud: null });
    this.#admin = tokens.sign({ compute_id: null, scope: "compute_ctl:admin", aud: ["compute"] });
    this.#cleanUp = cleanUp;
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => (this.output += text));
    this.exited = new Promise((done) => child.once("exit", (code, signal) => done({ code, signal })));
  }

  /** Starts it as compute `c1`; a config object gets keys of our own under `compute_ctl_config`. */
  static async start(options: ComputeOptions = {}): Promise<Compute> {
    const temporary = await temporaryDirectory({ mode: 0o1777, root: scratchRoot() });
    const directory = temporary.path;
    const tokens = tokenMaker();
    const place: ComputePlace = {
      directory,
      pgdata: options.pgdata ?? join(directory, "pgdata"),
      postgresPort: options.postgresPort ?? (await freePort()),
      externalPort: await freePort(),
      internalPort: await freePort(),
    };
    const flags = [
      ...["-D", place.pgdata, "-C", `postgresql://cloud_admin@127.0.0.1:${place.postgresPort}/postgres`, "-i", "c1"],
      ...["--external-http-port", String(place.externalPort), "--internal-http-port", String(place.internalPort)],
      ...(options.pgbin === undefined ? [] : ["-b", options.pgbin]),
    ];
    const config = typeof options.config === "function" ? options.config(place) : options.config;
    if (config !== null && config !== undefined) {
      const file = join(directory, "config.json");
      const text =
        typeof config === "string"
          ? config
          : JSON.stringify({ compute_ctl_config: { jwks: tokens.jwks, tls: options.tls }, ...config });
      await writeFile(file, text);
      flags.push("-c", file);
    }
    if (options.user) await chown(directory, options.user.uid, options.user.gid);
    const { file, argv } = options.user ? await readableProgram() : computeCtlProgram();
    const child = spawn(file, [...argv, ...flags, ...(options.flags ?? [])], {
      // The fourth closes when we die: no compute outlives the run.
      stdio: ["ignore", "pipe", "pipe", "pipe"],
      env: {
        ...process.env,
        NEON_LOCAL_SUPERVISOR_FD: "3",
        ...(options.user ? { HOME: directory } : {}),
        ...options.env,
      },
      ...(options.user ? { ...options.user, cwd: directory } : {}),
    });
    return new Compute(child, place, tokens, () => temporary[Symbol.asyncDispose]());
  }

  get connstr(): string {
    return `postgresql://cloud_admin@127.0.0.1:${this.postgresPort}/postgres`;
  }

  /** The token that {@link request} sends. */
  async token(): Promise<string> {
    return await this.#token;
  }

  /** The keys of its config file. */
  get publicKeys(): readonly JsonWebKey[] {
    return this.#tokens.jwks.keys;
  }

  /** A token with the key of its config file. */
  async sign(claims: object): Promise<string> {
    return await this.#tokens.sign(claims);
  }

  /** The header of a request with a token of this compute. */
  async authorization(): Promise<{ authorization: string }> {
    return { authorization: `Bearer ${await this.#token}` };
  }

  /** One request to the external port with a token of this compute. */
  async request(path: string, init: RequestInit & { readonly admin?: boolean } = {}): Promise<Response> {
    const token = await (init.admin ? this.#admin : this.#token);
    const headers = {
      authorization: `Bearer ${token}`,
      ...(init.body === undefined ? {} : { "content-type": "application/json" }),
    };
    return await fetch(`http://127.0.0.1:${this.externalPort}${path}`, {
      ...init,
      headers: { ...headers, ...init.headers },
    });
  }

  async status(): Promise<{
    status: ComputeStatus;
    error: string | null;
    start_time: string;
    last_active: string | null;
  }> {
    return (await (await this.request("/status")).json()) as never;
  }

  /** Polls `/status` until it is one of these; every status seen on the way is returned. Fails when the process ends first. */
  async reach(...wanted: ComputeStatus[]): Promise<ComputeStatus[]> {
    const seen: ComputeStatus[] = [];
    let ended: Ended | undefined;
    void this.exited.then((end) => (ended = end));
    for (;;) {
      const report = await this.status().catch(() => undefined);
      if (report !== undefined) {
        if (seen.at(-1) !== report.status) seen.push(report.status);
        if (wanted.includes(report.status)) return seen;
        if (report.status === "failed") throw new Error(`compute failed: ${report.error}\n${this.output}`);
      }
      if (ended !== undefined) throw new Error(`compute_ctl ended with ${JSON.stringify(ended)}\n${this.output}`);
      await delay(10);
    }
  }

  /** Waits until `/status` says `failed`; the error it shows. */
  async failure(): Promise<string> {
    for (;;) {
      const report = await this.status().catch(() => undefined);
      if (report?.status === "failed") return report.error ?? "";
      if (this.child.exitCode !== null)
        throw new Error(`compute_ctl ended with ${this.child.exitCode}\n${this.output}`);
      await delay(10);
    }
  }

  /** Waits until the output holds this; everything up to the end of that line. */
  async says(text: string | RegExp): Promise<string> {
    for (;;) {
      const at = typeof text === "string" ? this.output.indexOf(text) : this.output.search(text);
      const end = at < 0 ? -1 : this.output.indexOf("\n", at);
      if (end >= 0) return this.output.slice(0, end);
      if (this.child.exitCode !== null) throw new Error(`it ended without saying ${text}\n${this.output}`);
      await delay(10);
    }
  }

  /** The answer to `GET /metrics`. */
  async metrics(): Promise<string> {
    return await (await this.request("/metrics")).text();
  }

  /** The answer to `GET /metrics.json`. */
  async startupMetrics(): Promise<Record<string, number>> {
    return (await (await this.request("/metrics.json")).json()) as never;
  }

  /** `POST /configure`; with an object the usual `compute_ctl_config` goes along. */
  async configure(spec: unknown, more: object = {}): Promise<Response> {
    const body = JSON.stringify({ spec, compute_ctl_config: { jwks: { keys: [] } }, ...more });
    return await this.request("/configure", { method: "POST", body });
  }

  /** A session in Postgres; the end of the server ends it too. */
  async connect(options: pg.ClientConfig = {}): Promise<pg.Client> {
    const { postgresPort: port } = this;
    const client = new pg.Client({ host: "127.0.0.1", port, user: "cloud_admin", database: "postgres", ...options });
    client.on("error", () => undefined);
    await client.connect();
    return client;
  }

  /** One statement in a session of its own; the first column of its first row. */
  async query(sql: string): Promise<unknown> {
    const client = await this.connect();
    try {
      const { rows } = await client.query({ text: sql, rowMode: "array" });
      return (rows[0] as unknown[] | undefined)?.[0];
    } finally {
      await client.end();
    }
  }

  async postmasterPid(): Promise<number> {
    return Number.parseInt(await readFile(join(this.pgdata, "postmaster.pid"), "utf8"), 10);
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Ended> {
    this.child.kill(signal);
    return await this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill("SIGTERM");
      // A second one does not wait for anything.
      const timer = setTimeout(() => this.child.kill("SIGTERM"), 15_000);
      await this.exited;
      clearTimeout(timer);
    }
    await this.#cleanUp();
  }
}

/** Runs the program with exactly these words until it ends. */
export async function runToEnd(
  argv: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { file, argv: first } = computeCtlProgram();
  const child = spawn(file, [...first, ...argv], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}

/** A directory for what a test writes, removed with it. */
export async function workDirectory(): Promise<{ path: string } & AsyncDisposable> {
  const directory = await temporaryDirectory({ mode: 0o1777 });
  await mkdir(directory.path, { recursive: true });
  return directory;
}
