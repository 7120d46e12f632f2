import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Owner, replaceFile } from "../disk/atomic_file.ts";
import { editFile, withLine } from "./append_line.ts";

const CONF_FILE = "postgresql.conf";
const CANDIDATE = "postgresql.conf.new";

/**
 * Puts `postgresql.conf` in place, whole or not at all. Mode 0600: its settings may hold tokens. Not synced: PGDATA never
 * outlives its compute.
 */
export async function writePostgresqlConf(pgdata: string, text: string, owner: Owner | undefined): Promise<void> {
  await replaceFile(join(pgdata, CONF_FILE), text, { owner, durable: false });
}

/**
 * Writes a new configuration beside the one in force, for a dry run (contract: postgres-config.md 4.1). Follow with
 * {@link adoptCandidateConf} or {@link discardCandidateConf}.
 *
 * @returns its path
 */
export async function writeCandidateConf(pgdata: string, text: string, owner: Owner | undefined): Promise<string> {
  const path = join(pgdata, CANDIDATE);
  await replaceFile(path, text, { owner, durable: false });
  return path;
}

export async function adoptCandidateConf(pgdata: string): Promise<void> {
  await rename(join(pgdata, CANDIDATE), join(pgdata, CONF_FILE));
}

export async function discardCandidateConf(pgdata: string): Promise<void> {
  await rm(join(pgdata, CANDIDATE), { force: true });
}

/**
 * The line that lets logical replication subscribers run again, after the SQL work of a primary's start
 * (contract: postgres-config.md 2.4). A reload makes it count.
 *
 * @returns false when the file had the line
 */
export async function appendSubscribersEnabled(pgdata: string): Promise<boolean> {
  return editFile(join(pgdata, CONF_FILE), (text) =>
    withLine(text, "neon.disable_logical_replication_subscribers=false"),
  );
}
