import { CodedError, errorChain } from "../errors/coded_error.ts";
import type { Logger } from "../telemetry/log.ts";
import { type ArchiveVariant, archiveFileName, archiveUrl } from "./archive_location.ts";
import { fetchArchive } from "./fetch_archive.ts";
import type { ExtensionDirectories } from "./staged_archive.ts";
import { unpackArchive } from "./unpack_archive.ts";

export interface ExtensionDownloadsOptions extends ArchiveVariant, ExtensionDirectories {
  /** `--remote-ext-base-url`. */
  readonly baseUrl: string;
  /** Told of each request to the gateway: labels of `compute_ctl_remote_ext_requests_total`. */
  readonly onRequest: (outcome: { readonly filename: string; readonly httpStatus: string }) => void;
  readonly log: Logger;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
  readonly fetch?: typeof globalThis.fetch;
  /** How long the gateway may be silent; 60 s unless told. */
  readonly idleTimeoutMs?: number;
}

/**
 * The extensions that this process has brought from the gateway. Each archive is fetched once: who asks while it is under
 * way waits for the same download, who asks later gets an answer at once, and after a failure the next one tries again
 * (contract: http-api.md 11.5).
 */
export class ExtensionDownloads {
  readonly #options: ExtensionDownloadsOptions;
  readonly #archives = new Map<string, Promise<number>>();

  constructor(options: ExtensionDownloadsOptions) {
    this.#options = options;
  }

  /** Whether the archive is in place, or under way. */
  has(extension: string): boolean {
    return this.#archives.has(extension);
  }

  /**
   * Brings an extension's files into the installation; they are there when it resolves.
   *
   * @param extension a name that {@link lookUpExtension} allowed
   * @returns compressed bytes of the archive
   * @throws CodedError `extension_download` (500), `Failed to download a remote file`, with the reason as cause
   */
  download(extension: string): Promise<number> {
    const known = this.#archives.get(extension);
    if (known !== undefined) return known;
    const started = this.#fetch(extension);
    this.#archives.set(extension, started);
    // Everybody who waits gets the error; whoever comes next starts anew.
    started.catch(() => this.#archives.delete(extension));
    return started;
  }

  async #fetch(extension: string): Promise<number> {
    const { baseUrl, signal, log, onRequest, fetch = globalThis.fetch, idleTimeoutMs = 60_000 } = this.#options;
    const filename = archiveFileName(extension);
    const began = performance.now();
    // A source that waits for the network does not notice that nobody reads any more.
    const stop = new AbortController();
    try {
      const source = fetchArchive({
        url: archiveUrl(baseUrl, extension, this.#options),
        fetch,
        onOutcome: (httpStatus) => onRequest({ filename, httpStatus }),
        idleTimeoutMs,
        signal: AbortSignal.any([signal, stop.signal]),
      });
      const { bytes, files } = await unpackArchive(source, this.#options);
      log.info(`downloaded extension ${extension}`, { bytes, files, ms: Math.round(performance.now() - began) });
      return bytes;
    } catch (error) {
      signal.throwIfAborted();
      log.error(`could not download extension ${extension}: ${errorChain(error)}`);
      throw new CodedError("extension_download", "Failed to download a remote file", { cause: error });
    } finally {
      stop.abort();
    }
  }
}
