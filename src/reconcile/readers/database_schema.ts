import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { CodedError } from "../../errors/coded_error.ts";
import type { Logger } from "../../telemetry/log.ts";

export interface SchemaDumpOptions {
  /** Path of `pg_dump`. */
  readonly pgDump: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string;
  /** Handed over in the environment: as an argument a name with `=` would be taken apart. */
  readonly database: string;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Logger;
  /** Ends the dump, for instance because the client is gone. */
  readonly signal?: AbortSignal;
}

/**
 * The schema of a database as SQL, while `pg_dump` writes it. The stream fails when the dump does, so that a truncated
 * one does not look complete; destroying it ends `pg_dump` (contract: reconcile.md 10).
 *
 * @throws CodedError before the first byte: `database_not_found` (404), `pg_dump_missing`, `pg_dump_failed` (500).
 */
export async function dumpDatabaseSchema(options: SchemaDumpOptions): Promise<ReadableStream<Uint8Array>> {
  const { database, log, signal } = options;
  signal?.throwIfAborted();
  const child = spawn(
    options.pgDump,
    ["--host", options.host, "--port", String(options.port), "--username", options.user, "--schema-only"],
    {
      env: {
        ...options.env,
        PGDATABASE: database,
        ...(options.password === undefined ? {} : { PGPASSWORD: options.password }),
      },
      stdio: ["ignore", "pipe", "pipe"],
      ...(signal ? { signal } : {}),
    },
  );
  const said: string[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => {
    if (said.length < 20) said.push(line);
    log.warn(`pg_dump stderr: ${line}`);
  });
  const exited = new Promise<unknown>((resolve) => {
    child.on("error", resolve);
    child.on("close", (code, killedBy) => resolve(code === 0 ? undefined : `pg_dump ended with ${killedBy ?? code}`));
  });
  const chunks = (child.stdout as Readable)[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const first = await chunks.next().catch(() => ({ done: true as const, value: undefined }));
  if (first.done) throw startFailure(database, await exited, said);
  return new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(first.value),
    pull: async (controller) => {
      const next = await chunks.next();
      if (!next.done) return controller.enqueue(next.value);
      const failure = await exited;
      if (failure === undefined) controller.close();
      else controller.error(startFailure(database, failure, said));
    },
    cancel: async () => {
      child.kill("SIGTERM");
      await exited;
    },
  });
}

function startFailure(database: string, failure: unknown, said: readonly string[]): CodedError {
  const [line] = said;
  if (line?.includes(`FATAL:  database "${database}" does not exist`))
    return new CodedError("database_not_found", "database does not exist", { status: 404 });
  if (failure instanceof Error && "code" in failure && failure.code === "ENOENT")
    return new CodedError(
      "pg_dump_missing",
      "failed to execute pg_dump: the program is not installed beside the server",
      {
        cause: failure,
      },
    );
  const reason = said.length > 0 ? said.join("; ") : String(failure ?? "no output");
  return new CodedError("pg_dump_failed", `failed to execute pg_dump: ${reason}`);
}
