import { chmod, chown, constants, copyFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Owner } from "../disk/atomic_file.ts";
import { CodedError, errorCode } from "../errors/coded_error.ts";

/**
 * Copies certificate and key of `databricks_settings` into PGDATA under their own base names, unless they are there
 * (contract: postgres-config.md 14). A missing source is an error.
 */
export async function copyDatabricksTls(
  pgdata: string,
  files: { readonly certFile: string; readonly keyFile: string },
  owner: Owner | undefined,
): Promise<void> {
  for (const source of [files.certFile, files.keyFile]) {
    const target = join(pgdata, basename(source));
    try {
      await copyFile(source, target, constants.COPYFILE_EXCL);
    } catch (error) {
      if (errorCode(error) === "EEXIST") continue;
      throw new CodedError("databricks_tls_unreadable", `could not copy the TLS file ${source} into PGDATA`, {
        cause: error,
      });
    }
    await chmod(target, 0o600);
    if (owner) await chown(target, owner.uid, owner.gid);
  }
}
