import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { CompactSign } from "jose";
import type { ComputeStatus } from "../../src/http/compute_status.ts";
import { freePort } from "./free_port.ts";
import { temporaryDirectory } from "./temp_directory.ts";

/** The program under test: `COMPUTE_CTL`, or our own build. */
export function computeCtlProgram(): { file: string; argv: readonly string[] } {
  const path = resolve(process.env.COMPUTE_CTL ?? "dist/compute_ctl.js");
  if (!existsSync(path)) throw new Error(`${path} does not exist: run npm run build first`);
  return path.endsWith(".js") ? { file: process.execPath, argv: [path] } : { file: path, argv: [] };
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

export interface ComputeOptions {
  /** The file for `--config`; null writes none. */
  readonly config?: object | string | null;
  /** Beside the usual flags. */
  readonly flags?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly pgbin?: string;
  /** Instead of a free port. */
  readonly postgresPort?: number;
  /** Instead of a fresh directory's `pgdata`. */
  readonly pgdata?: string;
}

/** A running `compute_ctl`; disposing of it ends it and removes its directory. */
export class Compute implements AsyncDisposable {
  readonly directory: string;
  readonly pgdata: string;
  readonly postgresPort: number;
  readonly externalPort: number;
  readonly internalPort: number;
  readonly exited: Promise<Ended>;
  readonly child: ChildProcess;
  /** Both streams, as `compute.log` would hold them. */
  output = "";
  readonly #token: Promise<string>;
  readonly #admin: Promise<string>;
  readonly #cleanUp: () => Promise<void>;

  private constructor(
    child: ChildProcess,
    fields: Pick<Compute, "directory" | "pgdata" | "postgresPort" | "externalPort" | "internalPort">,
    tokens: ReturnType<typeof tokenMaker>,
    cleanUp: () => Promise<void>,
  ) {
    this.child = child;
    this.directory = fields.directory;
    this.pgdata = fields.pgdata;
    this.postgresPort = fields.postgresPort;
    this.externalPort = fields.externalPort;
    this.internalPort = fields.internalPort;
    this.#token = tokens.sign({ compute_id: "c1", scope: null, aud: null });
    this.#admin = tokens.sign({ compute_id: null, scope: "compute_ctl:admin", aud: ["compute"] });
    this.#cleanUp = cleanUp;
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => (this.output += text));
    this.exited = new Promise((done) => child.once("exit", (code, signal) => done({ code, signal })));
  }

  /** Starts it as compute `c1`; a config object gets keys of our own under `compute_ctl_config`. */
  static async start(options: ComputeOptions = {}): Promise<Compute> {
    const temporary = await temporaryDirectory({ mode: 0o1777 });
    const directory = temporary.path;
    const tokens = tokenMaker();
    const [postgresPort, externalPort, internalPort] = [
      options.postgresPort ?? (await freePort()),
      await freePort(),
      await freePort(),
    ];
    const pgdata = options.pgdata ?? join(directory, "pgdata");
    const flags = [
      ...["-D", pgdata, "-C", `postgresql://cloud_admin@127.0.0.1:${postgresPort}/postgres`, "-i", "c1"],
      ...["--external-http-port", String(externalPort), "--internal-http-port", String(internalPort)],
      ...(options.pgbin === undefined ? [] : ["-b", options.pgbin]),
    ];
    if (options.config !== null && options.config !== undefined) {
      const file = join(directory, "config.json");
      const text =
        typeof options.config === "string"
          ? options.config
          : JSON.stringify({ compute_ctl_config: { jwks: tokens.jwks }, ...options.config });
      await writeFile(file, text);
      flags.push("-c", file);
    }
    const { file, argv } = computeCtlProgram();
    const child = spawn(file, [...argv, ...flags, ...(options.flags ?? [])], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...options.env },
    });
    const fields = { directory, pgdata, postgresPort, externalPort, internalPort };
    return new Compute(child, fields, tokens, () => temporary[Symbol.asyncDispose]());
  }

  get connstr(): string {
    return `postgresql://cloud_admin@127.0.0.1:${this.postgresPort}/postgres`;
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
      await new Promise((done) => setTimeout(done, 10));
    }
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
