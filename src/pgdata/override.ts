import { join } from "node:path";
import { type Owner, replaceFile } from "../disk/atomic_file.ts";
import { OVERRIDE_FILE } from "./postgresql_conf.ts";

/**
 * Lifts the size limit, so that roles and databases can be made in a full cluster (contract: postgres-config.md 4.2).
 * A reload makes it count; a stock server has no such limit and needs none of this.
 */
export async function writeOverride(pgdata: string, owner: Owner | undefined): Promise<void> {
  await replaceFile(join(pgdata, OVERRIDE_FILE), "neon.max_cluster_size=-1", { owner, durable: false });
}

/** Empties the override; the file stays. Call it, and reload, whether or not the SQL work succeeded. */
export async function clearOverride(pgdata: string, owner: Owner | undefined): Promise<void> {
  await replaceFile(join(pgdata, OVERRIDE_FILE), "", { owner, durable: false });
}
