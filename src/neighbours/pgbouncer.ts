import { access, readFile } from "node:fs/promises";
import { CodedError, errorChain } from "../errors/coded_error.ts";
import type { TlsConfig } from "../spec/compute_ctl_config.ts";
import type { Logger } from "../telemetry/log.ts";
import { setIniKeys } from "./ini_file.ts";
import { connectToConsole, type PgbouncerConsole } from "./pgbouncer_console.ts";
import { findDaemon, type ReadProcess, signalProcess } from "./pid_file.ts";
import { replaceOrOverwrite } from "./replace_or_overwrite.ts";
import { realWait, type Wait } from "./wait.ts";

/** Where a machine's pgbouncer is configured. */
export interface PgbouncerPlace {
  readonly console: PgbouncerConsole;
  readonly iniFile: string;
}

/** `AUTOSCALING` set at all, even empty, means Neon's VM image (contract: postgres-config.md 12). */
export function pgbouncerPlace(env: NodeJS.ProcessEnv): PgbouncerPlace {
  const common = { port: 6432, database: "pgbouncer" };
  if (env.AUTOSCALING !== undefined)
    return { console: { ...common, host: "/tmp", user: "pgbouncer" }, iniFile: "/etc/pgbouncer.ini" };
  return {
    console: { ...common, host: "localhost", user: "postgres", password: env.PGBOUNCER_PASSWORD },
    iniFile: "/var/db/postgres/pgbouncer/pgbouncer.ini",
  };
}

export interface PgbouncerTuning extends PgbouncerPlace {
  /** `pgbouncer_settings`; empty sets nothing of its own. */
  readonly settings: Readonly<Record<string, string>>;
  /** Certificate for pgbouncer's clients; null without TLS. The original paths, not PGDATA's. */
  readonly tls: TlsConfig | null;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly wait?: Wait;
  /** How long the key file may take to appear; 60 s unless told. The original waits for ever. */
  readonly tlsTimeoutMs?: number;
}

const ATTEMPTS = 4;
const RETRY_MS = 1000;
const TLS_POLL_MS = 500;

/**
 * Writes the settings into pgbouncer's configuration and has it read again. For the background: what goes wrong is
 * logged, never thrown; an abort ends it silently. No setting's value and no password reaches the log.
 */
export async function tunePgbouncer(tuning: PgbouncerTuning): Promise<void> {
  try {
    await applySettings(tuning);
  } catch (error) {
    if (!tuning.signal.aborted) tuning.log.error(`error while tuning pgbouncer: ${errorChain(error)}`);
  }
}

async function applySettings(tuning: PgbouncerTuning): Promise<void> {
  const { iniFile, log } = tuning;
  const settings = { ...tuning.settings, ...(await tlsSettings(tuning)) };
  const session = await connect(tuning);
  try {
    const text = await readFile(iniFile, "utf8");
    const changed = withFileName(iniFile, () => setIniKeys(text, "pgbouncer", settings));
    if (changed !== text) await replaceOrOverwrite(iniFile, changed);
    try {
      await session.command("RELOAD");
      log.info(`pgbouncer has read ${iniFile} again`);
    } catch (error) {
      log.error(`pgbouncer refused to RELOAD: ${errorChain(error)}`);
    }
  } finally {
    await session.end();
  }
}

async function connect({ console, log, signal, wait = realWait }: PgbouncerTuning) {
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    try {
      return await connectToConsole(console);
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
      log.debug(`pgbouncer is not there yet (attempt ${attempt}/${ATTEMPTS}): ${errorChain(error)}`);
    }
    await wait(RETRY_MS, signal);
  }
}

async function tlsSettings({ tls, signal, wait = realWait, tlsTimeoutMs = 60_000 }: PgbouncerTuning) {
  if (tls === null) return {};
  for (let waited = 0; ; waited += TLS_POLL_MS) {
    const missing = await access(tls.key_path).then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    if (missing === undefined) break;
    if (waited >= tlsTimeoutMs)
      throw new CodedError("tls_key_missing", `no TLS key after ${tlsTimeoutMs / 1000} s`, { cause: missing.error });
    await wait(TLS_POLL_MS, signal);
  }
  return {
    client_tls_cert_file: tls.cert_path,
    client_tls_key_file: tls.key_path,
    client_tls_sslmode: "allow",
  };
}

function withFileName<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new CodedError("pgbouncer_ini", `cannot change ${path}`, { cause: error });
  }
}

export interface PgbouncerTermination {
  /** `/tmp/pgbouncer.pid` unless told. */
  readonly pidFile?: string;
  readonly readProcess: ReadProcess;
  readonly log: Logger;
}

/**
 * SIGKILL to pgbouncer, so that its clients notice at once that this compute ends (contract: lifecycle.md 16.1). The pid
 * file lies in a directory that everybody may write to: only a process that is a pgbouncer is killed. Never rejects.
 *
 * @returns whether one was killed
 */
export async function terminatePgbouncer(termination: PgbouncerTermination): Promise<boolean> {
  const { pidFile = "/tmp/pgbouncer.pid", readProcess, log } = termination;
  try {
    const pid = await findDaemon({ pidFile, name: "pgbouncer", locksPidFile: false, readProcess });
    return pid !== undefined && signalProcess(pid, "SIGKILL");
  } catch (error) {
    log.warn(`could not terminate pgbouncer: ${errorChain(error)}`);
    return false;
  }
}
