import { rm } from "node:fs/promises";
import { scratchRoot, temporaryDirectory } from "./temp_directory.ts";

/** Runs once before all tests; what it returns runs once after them. */
export default async function setup(): Promise<() => Promise<void>> {
  // initdb takes a second: each data directory of a test is a copy of one made once a run (see postgres.ts).
  const { path } = await temporaryDirectory({ mode: 0o1777, root: scratchRoot() });
  process.env.NEON_LOCAL_TEST_TEMPLATES = path;
  return () => rm(path, { recursive: true, force: true });
}
