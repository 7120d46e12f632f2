import { CodedError } from "../errors/coded_error.ts";
import type { TarEntry } from "../wire/tar.ts";

/**
 * The path of a base backup's entry below PGDATA, or empty for PGDATA itself. Throws `unsafe_entry` for everything that
 * could reach outside: absolute paths, `..`, empty names, links of any kind (contract: storage-protocols.md 2.1 has none).
 */
export function entryPath(entry: TarEntry): string {
  if (entry.type !== "file" && entry.type !== "directory") throw unsafe(entry, `a ${entry.type}`);
  const components = entry.path.split("/");
  // Some writers begin with "./" and end directories with "/".
  if (components.length > 1 && components[0] === ".") components.shift();
  if (entry.type === "directory" && components.length > 1 && components.at(-1) === "") components.pop();
  if (entry.type === "directory" && components.length === 1 && (components[0] === "." || entry.path === "./"))
    return "";
  for (const component of components)
    if (component === "" || component === "." || component === "..") throw unsafe(entry, "a path that is not plain");
  return components.join("/");
}

function unsafe(entry: TarEntry, what: string): CodedError {
  return new CodedError("unsafe_entry", `the base backup holds ${what}: ${JSON.stringify(entry.path)}`);
}
