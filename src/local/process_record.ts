import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod/mini";
import { replaceFile } from "../disk/atomic_file.ts";

/** `run/procs/<name>.json`: a process that we started, so that the next service can end it if we cannot (contract: neon-local.md A3). */
const processRecordSchema = z.object({ pid: z.int(), start_time: z.string(), argv0: z.string() });
export type ProcessRecord = z.infer<typeof processRecordSchema>;

export async function writeProcessRecord(procsDir: string, name: string, record: ProcessRecord): Promise<void> {
  // Worthless after a crash of the machine, so nobody waits for the disk.
  await replaceFile(join(procsDir, `${name}.json`), `${JSON.stringify(record)}\n`, { durable: false });
}

export async function removeProcessRecord(procsDir: string, name: string): Promise<void> {
  await rm(join(procsDir, `${name}.json`), { force: true });
}

/** All records by name; what cannot be read gives null. */
export async function readProcessRecords(procsDir: string): Promise<Map<string, ProcessRecord | null>> {
  const records = new Map<string, ProcessRecord | null>();
  for (const file of (await readdir(procsDir)).filter((name) => name.endsWith(".json"))) {
    const text = await readFile(join(procsDir, file), "utf8");
    records.set(file.slice(0, -".json".length), parseProcessRecord(text));
  }
  return records;
}

export function parseProcessRecord(text: string): ProcessRecord | null {
  try {
    return processRecordSchema.parse(JSON.parse(text));
  } catch {
    // Without a start time there is nothing that could be ended safely.
    return null;
  }
}
