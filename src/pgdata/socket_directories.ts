import { lastAssignment } from "./conf_line.ts";

/** What builds have compiled in: Debian's and most other packages', and the sources' own. */
const COMPILED_IN = ["/var/run/postgresql", "/tmp"];

/** Where a server with this configuration file puts its Unix sockets: a comma list in which quotes keep blanks and commas. */
export function socketDirectoriesOf(conf: string): string[] {
  const value = lastAssignment(conf, "unix_socket_directories");
  if (value === undefined) return COMPILED_IN;
  const elements = value.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,]*))\s*(?:,|$)/g);
  return [...elements]
    .map(([, quoted, bare]) => quoted?.replaceAll('""', '"') ?? bare?.trim() ?? "")
    .filter((directory) => directory !== "" && !directory.startsWith("@"));
}
