import { CodedError } from "../../errors/coded_error.ts";

export type TarEntryType = "file" | "directory" | "symlink" | "hardlink";

/** One member of an archive. */
export interface TarEntry {
  /** As it stands in the archive: not checked, may be absolute or hold `..`. */
  readonly path: string;
  readonly type: TarEntryType;
  /** Bytes of content; 0 for everything but files. */
  readonly size: number;
  /** Permission bits. */
  readonly mode: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  /** Target of a link, else empty. */
  readonly linkName: string;
}

/** Codes: `tar_corrupt`, `tar_truncated`, `tar_unsupported`. */
export class TarError extends CodedError {}

export const TAR_BLOCK = 512;
