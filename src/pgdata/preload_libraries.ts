/** One element of a library list such as `shared_preload_libraries`. */
export interface ListedLibrary {
  /** As it stands in the list, double quotes included. */
  readonly element: string;
  /** Unquoted. */
  readonly name: string;
}

/** Elements: `"…"` with `""` for a quote, or anything up to the next comma (blanks around are not part of it). */
const ELEMENT = /^\s*("(?:[^"]|"")*"|[^",\s](?:[^,]*[^,\s])?)\s*(,|$)/;

/** Reads a library list as PostgreSQL does; undefined when it is malformed (PostgreSQL then loads nothing of it). */
export function parseLibraryList(list: string): ListedLibrary[] | undefined {
  const libraries: ListedLibrary[] = [];
  let rest = list;
  if (rest.trim() === "") return libraries;
  for (;;) {
    const match = ELEMENT.exec(rest);
    const element = match?.[1];
    if (!match || element === undefined) return undefined;
    const name = element.startsWith('"') ? element.slice(1, -1).replaceAll('""', '"') : element;
    libraries.push({ element, name });
    if (match[2] === "") return libraries;
    rest = rest.slice(match[0].length);
  }
}

/**
 * The name under which a file in pkglibdir is listed: without `$libdir/` and without the suffix of a shared library.
 * Undefined for other paths, which pkglibdir says nothing about.
 */
export function libraryBaseName(name: string): string | undefined {
  const base = name.replace(/^\$libdir\//, "").replace(/\.(?:so|dylib|dll)$/, "");
  return base.includes("/") ? undefined : base;
}

/** Appends the libraries whose name is not in the list yet; names are compared, never parts of names. */
export function addLibraries(list: string, additions: readonly string[]): string {
  const present = new Set((parseLibraryList(list) ?? []).map(({ name }) => libraryBaseName(name)));
  const missing = additions.filter((name) => !present.has(name));
  return [...(list.trim() === "" ? [] : [list]), ...missing].join(",");
}
