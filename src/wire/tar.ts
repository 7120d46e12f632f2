/** The tar dialect of base backups: GNU headers written, GNU and ustar headers read (contract: storage-protocols.md 2.1). */
export type { TarEntry } from "./tar/entry.ts";
export { TAR_END, tarHeader, tarPadding } from "./tar/header_writer.ts";
export { TarReader, type TarSink } from "./tar/reader.ts";
