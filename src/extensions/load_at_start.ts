import { errorCode } from "../errors/coded_error.ts";
import type { RemoteExtensions } from "../spec/neighbours.ts";
import { preloadLibraries, type SpecWithSettings } from "../spec/settings.ts";
import type { Logger } from "../telemetry/log.ts";
import type { StartupMetrics } from "../telemetry/startup_metrics.ts";
import { writeControlFiles } from "./control_files.ts";
import type { ExtensionDownloads } from "./extension_downloads.ts";
import { lookUpExtension } from "./look_up.ts";

export type LoadFigures = Pick<
  StartupMetrics,
  "load_ext_ms" | "num_ext_downloaded" | "largest_ext_size" | "total_ext_download_size"
>;

export interface LoadAtStart {
  readonly spec: SpecWithSettings & { readonly remote_extensions: RemoteExtensions | null };
  /** Undefined without `--remote-ext-base-url`: then nothing is fetched. */
  readonly downloads: ExtensionDownloads | undefined;
  readonly sharedir: string;
  readonly log: Logger;
  /** Milliseconds, from anywhere, never backwards. */
  readonly now?: () => number;
}

/**
 * What a start does about remote extensions, beside the base backup and before Postgres: control files, then the archives
 * of all libraries to be preloaded, in parallel (contract: http-api.md 11.6, spec.md 7.1). A failed download is an ERROR
 * line only: Postgres itself will say that the library is missing.
 *
 * @returns figures of `/metrics.json`; only archives that were really fetched count
 * @throws CodedError of {@link writeControlFiles}, or of {@link lookUpExtension} for a listed library that is not allowed
 */
export async function loadExtensionsAtStart(start: LoadAtStart): Promise<LoadFigures> {
  const { spec, downloads, sharedir, log, now = () => performance.now() } = start;
  const figures = { load_ext_ms: 0, num_ext_downloaded: 0, largest_ext_size: 0, total_ext_download_size: 0 };
  const remote = spec.remote_extensions;
  if (remote === null) return figures;
  const began = now();
  await writeControlFiles(remote, sharedir, log);
  if (downloads === undefined) return figures;
  await Promise.all(
    extensionsToPreload(spec, remote).map(async (extension) => {
      const isFresh = !downloads.has(extension);
      const bytes = await downloads.download(extension).catch(unlessFailed);
      if (bytes === undefined || !isFresh) return;
      figures.num_ext_downloaded++;
      figures.largest_ext_size = Math.max(figures.largest_ext_size, bytes);
      figures.total_ext_download_size += bytes;
    }),
  );
  figures.load_ext_ms = Math.round(now() - began);
  return figures;
}

/** Logged by the download itself. An abort is no failure: it ends the start. */
function unlessFailed(error: unknown): undefined {
  if (errorCode(error) !== "extension_download") throw error;
  return undefined;
}

/** Without duplicates: several libraries may come with one archive. What the index does not know is assumed to be here. */
function extensionsToPreload(spec: SpecWithSettings, remote: RemoteExtensions): string[] {
  const known = preloadLibraries(spec).filter((library) => remote.library_index[library] !== undefined);
  return [...new Set(known.map((library) => lookUpExtension(remote, library, true)))];
}
