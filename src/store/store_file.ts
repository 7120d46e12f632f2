import { randomBytes } from "node:crypto";
import { mkdir, readdir, rm } from "node:fs/promises";
import * as z from "zod";
import { syncDirectory } from "../disk/atomic_file.ts";
import { errorChain } from "../errors/coded_error.ts";
import type { StoreLayout } from "./layout.ts";
import { readRecord, STORE_FORMAT, writeRecord } from "./record_file.ts";
import { damagedFile, StoreError } from "./store_error.ts";

export const storeSchema = z.strictObject({
  format: z.number().int(),
  store_id: z.string().regex(/^[0-9a-f]{32}$/),
  created_at: z.string(),
});

export type StoreRecord = z.infer<typeof storeSchema>;

/** Makes the directory itself, private to its owner; all that can be wrong with it has exit code 4. */
export async function createStoreDirectory(layout: StoreLayout): Promise<void> {
  try {
    await mkdir(layout.root, { recursive: true, mode: 0o700 });
    await mkdir(layout.lockDir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new StoreError("directory_unusable", `cannot use ${layout.root} as store directory: ${errorChain(error)}`);
  }
}

/** Reads `store.json`, or makes the store where there is none yet. Only the holder of the directory's lock may call it. */
export async function openStoreFile(layout: StoreLayout, now: () => number): Promise<StoreRecord> {
  const known = await readRecord(layout.storeFile, storeSchema);
  if (!known) await refuseForeignDirectory(layout);
  for (const dir of [layout.tenantsDir, layout.chunksDir, layout.templatesDir]) await mkdir(dir, { recursive: true });
  await rm(layout.temporaryDir, { recursive: true, force: true });
  await mkdir(layout.temporaryDir);
  if (known) return known;
  const record = {
    format: STORE_FORMAT,
    store_id: randomBytes(16).toString("hex"),
    created_at: new Date(now()).toISOString(),
  };
  await syncDirectory(layout.root);
  await writeRecord(layout.storeFile, record);
  return record;
}

/** A store that lost its `store.json` must not be taken for a new one, and someone else's directory is not ours to fill. */
async function refuseForeignDirectory(layout: StoreLayout): Promise<void> {
  const entries = await readdir(layout.root);
  if (entries.includes("tenants") && (await readdir(layout.tenantsDir)).length > 0)
    throw damagedFile(layout.storeFile, "it is missing although there are tenants", "put it back from a copy");
  const ours = new Set(["lock", "tenants", "chunks", "templates", "tmp", "store_endpoints.json", "lost+found"]);
  const foreign = entries.find((name) => !ours.has(name) && !name.startsWith("."));
  if (foreign !== undefined)
    throw new StoreError(
      "directory_unusable",
      `${layout.root} is not empty and holds no store (found ${JSON.stringify(foreign)}): name another directory`,
    );
}
