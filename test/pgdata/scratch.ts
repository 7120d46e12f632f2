import { onTestFinished } from "vitest";
import { temporaryDirectory } from "../support/temp_directory.ts";

/** An empty directory of ours, gone after the test. */
export async function scratchDirectory(): Promise<string> {
  const directory = await temporaryDirectory();
  onTestFinished(() => directory[Symbol.asyncDispose]());
  return directory.path;
}
