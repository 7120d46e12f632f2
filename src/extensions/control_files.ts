import { lstat, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../disk/atomic_file.ts";
import { CodedError, errorCode } from "../errors/coded_error.ts";
import type { RemoteExtensions } from "../spec/neighbours.ts";
import type { Logger } from "../telemetry/log.ts";
import { isAllowed } from "./look_up.ts";
import { directoryError } from "./staged_archive.ts";

/**
 * Makes the allowed extensions known to Postgres before any of them is there: their control files go to
 * `<sharedir>/extension`. One that is there already stays, with a warning (contract: http-api.md 11.6; spec.md 10 row 14).
 *
 * @returns how many were written
 * @throws CodedError `control_file_name`, `extension_directory`
 */
export async function writeControlFiles(remote: RemoteExtensions, sharedir: string, log: Logger): Promise<number> {
  const directory = join(sharedir, "extension");
  const files = Object.entries(remote.extension_data)
    .filter(([extension]) => isAllowed(remote, extension))
    .flatMap(([, { control_data }]) => Object.entries(control_data));
  for (const [name] of files) requirePlainName(name);
  let written = 0;
  try {
    if (files.length > 0) await mkdir(directory, { recursive: true });
    for (const [name, content] of files) {
      const path = join(directory, name);
      if (await exists(path)) {
        log.warn(`control file ${name} exists both locally and remotely`);
        continue;
      }
      await replaceFile(path, content, { mode: 0o644, durable: false });
      written++;
    }
  } catch (cause) {
    throw directoryError(directory, cause);
  }
  return written;
}

function requirePlainName(name: string): void {
  if (name === "" || name === "." || name === ".." || /[/\0]/.test(name)) {
    throw new CodedError("control_file_name", `${JSON.stringify(name)} cannot be the name of a control file`, {
      status: 400,
    });
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw error;
  }
}
