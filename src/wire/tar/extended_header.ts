import { type TarEntry, TarError } from "./entry.ts";

export type ExtendedHeaderType = "gnuLongName" | "gnuLongLink" | "pax" | "paxGlobal";

/** By type flag. */
export const EXTENDED_TYPES: Readonly<Record<string, ExtendedHeaderType>> = {
  L: "gnuLongName",
  K: "gnuLongLink",
  x: "pax",
  g: "paxGlobal",
};

/** A header that is no member of the archive: its content says something about the entry that follows. */
export interface ExtendedHeader {
  readonly type: ExtendedHeaderType;
  readonly path: string;
  readonly size: number;
}

/** What replaces the fields of the next entry's own header. */
export type EntryOverrides = Partial<Pick<TarEntry, "path" | "linkName" | "size">>;

/** Reads the content of an extended header. Throws `tar_corrupt`, and `tar_unsupported` for sparse files. */
export function readExtendedHeader(header: ExtendedHeader, content: Buffer): EntryOverrides {
  switch (header.type) {
    case "gnuLongName":
      return { path: untilNul(content) };
    case "gnuLongLink":
      return { linkName: untilNul(content) };
    case "pax":
      return readPaxRecords(content);
    // Holds for the whole archive: comments and times, nothing that a single entry needs.
    case "paxGlobal":
      return {};
  }
}

export function applyOverrides(entry: TarEntry, overrides: EntryOverrides): TarEntry {
  const { size } = overrides;
  if (size !== undefined && size !== 0 && entry.type !== "file")
    throw new TarError("tar_corrupt", `tar: ${entry.type} ${JSON.stringify(entry.path)} has ${size} bytes of content`);
  return { ...entry, ...overrides };
}

/** Records of the form `<length> <key>=<value>\n`; the length counts the whole record in bytes. */
function readPaxRecords(content: Buffer): EntryOverrides {
  let overrides: EntryOverrides = {};
  for (let at = 0; at < content.length; ) {
    const blank = content.indexOf(0x20, at);
    const digits = content.toString("latin1", at, blank < 0 ? at : blank);
    const end = at + Number(digits);
    const equals = content.indexOf(0x3d, blank);
    if (
      !/^[0-9]{1,9}$/.test(digits) ||
      end > content.length ||
      equals < 0 ||
      equals >= end ||
      content[end - 1] !== 0x0a
    )
      throw new TarError("tar_corrupt", "tar: a pax record is malformed");
    overrides = {
      ...overrides,
      ...paxOverride(content.toString("utf8", blank + 1, equals), content, equals + 1, end - 1),
    };
    at = end;
  }
  return overrides;
}

function paxOverride(key: string, content: Buffer, start: number, end: number): EntryOverrides {
  const value = content.toString("utf8", start, end);
  if (key === "path") return { path: value };
  if (key === "linkpath") return { linkName: value };
  if (key === "size") {
    const size = /^[0-9]+$/.test(value) ? Number(value) : Number.NaN;
    if (!Number.isSafeInteger(size)) throw new TarError("tar_corrupt", "tar: a pax record holds a malformed size");
    return { size };
  }
  if (key.startsWith("GNU.sparse.")) throw new TarError("tar_unsupported", "tar: sparse files are not supported");
  // Times, owners, attributes: nobody here uses them.
  return {};
}

function untilNul(content: Buffer): string {
  const end = content.indexOf(0);
  return content.toString("utf8", 0, end < 0 ? content.length : end);
}
