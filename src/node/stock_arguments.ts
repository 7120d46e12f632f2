import { lastAssignment } from "../pgdata/conf_line.ts";
import type { PostgresMajor } from "../postgres/supported_majors.ts";
import type { Durability } from "./compute_options.ts";

/** Our walsender and the slot that feeds it. */
const OWN_WALSENDERS = 1;
const OWN_SLOTS = 1;
/** Recovery replays all WAL since the last checkpoint at every start (design.md 4). */
const MAX_WAL_MB = 256;
const DEFAULT_SENDERS = 10;

/**
 * Settings that a stock primary must run with so that a commit that returned is in storage. On the command line neither
 * `ALTER SYSTEM` nor a spec can undo them (design.md 4).
 *
 * PGDATA is rebuilt from storage at every start: syncing it, full-page writes and recycled segments would protect what is
 * thrown away. After a crash the server must not restart by itself, because its WAL may end in a torn record.
 *
 * In asynchronous mode a commit waits for the local disk, so PGDATA must survive the machine's crash until its WAL is brought
 * to storage.
 *
 * @param conf the whole `postgresql.conf`: what it asks for beyond our needs is kept
 * @param standby the name under which we attach: random, or a role with REPLICATION could stand in for us
 */
export function stockPrimaryArguments(
  conf: string,
  standby: string,
  major: PostgresMajor,
  durability: Durability = "sync",
): string[] {
  const local = durability === "async" ? "on" : "off";
  const settings: Record<string, string> = {
    fsync: local,
    full_page_writes: local,
    wal_recycle: "off",
    restart_after_crash: "off",
    synchronous_standby_names: durability === "async" ? "" : standby,
    max_slot_wal_keep_size: "-1",
    max_wal_senders: String(atLeast(conf, "max_wal_senders", OWN_WALSENDERS)),
    max_replication_slots: String(atLeast(conf, "max_replication_slots", OWN_SLOTS)),
  };
  if (lastAssignment(conf, "wal_level")?.toLowerCase() === "minimal") settings.wal_level = "replica";
  if (walMegabytes(conf) > MAX_WAL_MB) settings.max_wal_size = `${MAX_WAL_MB}MB`;
  if (major >= 18) settings.idle_replication_slot_timeout = "0";
  return Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}

/** What the file asks for, and room for us in it. */
function atLeast(conf: string, name: string, own: number): number {
  const asked = Number(lastAssignment(conf, name) ?? DEFAULT_SENDERS);
  return Number.isInteger(asked) && asked >= own ? asked : own;
}

const MEGABYTES: Readonly<Record<string, number>> = {
  B: 1 / 1024 / 1024,
  KB: 1 / 1024,
  MB: 1,
  GB: 1024,
  TB: 1024 * 1024,
};

/** `max_wal_size` in MB; a bare number is MB, and the server's own default is 1 GB. */
function walMegabytes(conf: string): number {
  const match = /^\s*([\d.]+)\s*(B|KB|MB|GB|TB)?\s*$/i.exec(lastAssignment(conf, "max_wal_size") ?? "1GB");
  if (!match) return Number.POSITIVE_INFINITY;
  return Number(match[1]) * (MEGABYTES[(match[2] ?? "MB").toUpperCase()] ?? 1);
}
