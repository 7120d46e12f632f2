import { CodedError } from "../errors/coded_error.ts";
import type { RemoteExtensions } from "../spec/neighbours.ts";

/**
 * The extension that delivers a file which Postgres misses (contract: spec.md 4.7, http-api.md 11.2).
 *
 * @param name of an extension, or of a library file such as `postgis-3.so.1`
 * @throws CodedError, status 404: `library_not_found`, `extension_not_found` (or not allowed), `extension_data_not_found`
 */
export function lookUpExtension(remote: RemoteExtensions, name: string, isLibrary: boolean): string {
  const extension = isLibrary ? extensionOfLibrary(remote, name) : name;
  if (!isAllowed(remote, extension)) throw notFound("extension_not_found", `extension ${extension} is not found`);
  if (remote.extension_data[extension] === undefined)
    throw notFound("extension_data_not_found", `real_ext_name ${extension} is not found`);
  return extension;
}

/** Whether the spec lets this compute have the extension. A missing list allows none. */
export function isAllowed(remote: RemoteExtensions, extension: string): boolean {
  return [remote.public_extensions, remote.custom_extensions].some((names) => names?.includes(extension));
}

function extensionOfLibrary(remote: RemoteExtensions, file: string): string {
  const library = file.replace(/\.so.*$/s, "");
  const extension = remote.library_index[library];
  if (extension === undefined) throw notFound("library_not_found", `library ${library} is not found`);
  return extension;
}

function notFound(code: string, message: string): CodedError {
  return new CodedError(code, message, { status: 404 });
}
