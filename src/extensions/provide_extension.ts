import { CodedError } from "../errors/coded_error.ts";
import type { RemoteExtensions } from "../spec/neighbours.ts";
import type { ExtensionDownloads } from "./extension_downloads.ts";
import { lookUpExtension } from "./look_up.ts";

/** What Postgres misses: an extension, or a library file. */
export interface MissingFile {
  readonly name: string;
  readonly isLibrary: boolean;
}

/**
 * `POST /extension_server/<name>`: brings the files that Postgres misses; they are in place when it resolves (contract:
 * http-api.md 8.1).
 *
 * @param downloads undefined without `--remote-ext-base-url`
 * @param spec null as long as there is none
 * @throws CodedError with the route's status: 412, 409, 404, 500
 */
export async function provideExtension(
  downloads: ExtensionDownloads | undefined,
  spec: { readonly remote_extensions: RemoteExtensions | null } | null,
  missing: MissingFile,
): Promise<void> {
  if (downloads === undefined)
    throw new CodedError("no_remote_storage", "remote storage is not configured", { status: 412 });
  if (spec === null) throw new CodedError("no_spec", "the compute has no spec yet", { status: 412 });
  const remote = spec.remote_extensions;
  if (remote === null) {
    throw new CodedError("no_remote_extensions", "information about remote extensions is unavailable", {
      status: 409,
    });
  }
  await downloads.download(lookUpExtension(remote, missing.name, missing.isLibrary));
}
