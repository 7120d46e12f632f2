import { performance } from "node:perf_hooks";
import type { Lsn } from "../wire/lsn.ts";
import type { PageserverConnection } from "./pageserver_connection.ts";
import { type Unpacked, type UnpackOptions, unpackBaseBackup } from "./unpack.ts";

export interface FetchOptions {
  /** Gives the session to use; this function closes it. */
  readonly dial: () => Promise<PageserverConnection>;
  /** `0n`: the latest. */
  readonly lsn: Lsn;
  readonly unpack: Omit<UnpackOptions, "gzip">;
}

export interface FetchedBaseBackup extends Unpacked {
  /** Microseconds until the session stood (contract: metrics-and-logs.md, `pageserver_connect_micros`). */
  readonly connectMicros: number;
  /** Milliseconds of the whole try. */
  readonly totalMs: number;
}

/** One try: connect, receive, unpack (contract: lifecycle.md 8). */
export async function fetchBaseBackup(options: FetchOptions): Promise<FetchedBaseBackup> {
  const started = performance.now();
  const connection = await options.dial();
  try {
    const gzip = !connection.prefersPlain;
    const unpacked = await unpackBaseBackup(connection.baseBackup(options.lsn, gzip), { ...options.unpack, gzip });
    const totalMs = Math.round(performance.now() - started);
    return { ...unpacked, connectMicros: connection.connectMicros, totalMs };
  } finally {
    connection.close();
  }
}
