import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import * as z from "zod/mini";
import { errorCode } from "../errors/coded_error.ts";

/** The addresses a `neon-store` really listens on, `host:port` each; it writes them when it is ready. */
const endpointsSchema = z.object({
  pageserver: z.string(),
  grpc: z.string(),
  safekeeper: z.string(),
  http: z.string(),
});
export type StoreEndpoints = z.infer<typeof endpointsSchema>;

const POLL_MS = 20;

/** Waits until a store says where it listens; its file is written as a whole, and gone before the start. */
export async function awaitStoreEndpoints(storeDir: string, signal: AbortSignal): Promise<StoreEndpoints> {
  for (;;) {
    const text = await readFile(endpointsFile(storeDir), "utf8").catch((error: unknown) => {
      if (errorCode(error) === "ENOENT") return undefined;
      throw error;
    });
    if (text !== undefined) return endpointsSchema.parse(JSON.parse(text));
    await delay(POLL_MS, undefined, { signal });
  }
}

/** Forgets where an earlier store listened. */
export async function forgetStoreEndpoints(storeDir: string): Promise<void> {
  await rm(endpointsFile(storeDir), { force: true });
}

function endpointsFile(storeDir: string): string {
  return join(storeDir, "store_endpoints.json");
}
