import { readFile } from "node:fs/promises";
import { CodedError, errorCode } from "../errors/coded_error.ts";
import { decodeComputeConfig } from "./decode.ts";
import type { ComputeConfig } from "./schema.ts";

/**
 * Reads a `--config` file.
 *
 * @throws CodedError `config_file_unreadable`, or with the code of what is wrong inside; the message names the file, the
 *   cause says more
 */
export async function readConfigFile(path: string): Promise<ComputeConfig> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new CodedError("config_file_unreadable", `cannot read config file ${path}`, { cause });
  }
  try {
    return decodeComputeConfig(text);
  } catch (cause) {
    throw new CodedError(errorCode(cause) ?? "config_file_invalid", `invalid config file ${path}`, { cause });
  }
}
