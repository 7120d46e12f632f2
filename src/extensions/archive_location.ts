/** What decides which build of an extension is right. */
export interface ArchiveVariant {
  readonly buildTag: string;
  /** As Node names it: `x64`, `arm64`. */
  readonly arch: string;
  /** Major version of Postgres. */
  readonly major: number;
}

/** Go's names, by Node's. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/** Last part of an archive's path, and its name in metrics. */
export function archiveFileName(extension: string): string {
  return `${extension}.tar.zst`;
}

/**
 * Where a gateway has the archive of an extension: `<base><tag>/<arch>/v<major>/extensions/<extension>.tar.zst`
 * (contract: http-api.md 11.3).
 *
 * @param baseUrl as `--remote-ext-base-url` gives it; a slash at its end is added when it is missing
 */
export function archiveUrl(baseUrl: string, extension: string, { buildTag, arch, major }: ArchiveVariant): string {
  const parts = [buildTag, ARCHITECTURES[arch] ?? arch, `v${major}`, "extensions", archiveFileName(extension)];
  return `${baseUrl.replace(/\/+$/, "")}/${parts.map(encodeURIComponent).join("/")}`;
}
