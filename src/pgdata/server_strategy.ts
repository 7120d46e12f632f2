import { libraryBaseName, parseLibraryList } from "./preload_libraries.ts";
import type { ServerKind } from "./server_kind.ts";

/**
 * Who makes the commits of a stock server durable: `none` = nobody stands in as the synchronous standby, `walproposer` =
 * compute_ctl's own proposer does (design.md 4).
 */
export type Durability = "none" | "walproposer";

/** What becomes of one setting that a spec asks for. */
type Verdict =
  | { readonly action: "keep" }
  | { readonly action: "leave_out"; readonly reason: string; readonly warnings: readonly string[] }
  | {
      readonly action: "replace";
      readonly value: string;
      readonly reason: string;
      readonly warnings: readonly string[];
    };

/** All that rendering does differently for the kinds of server; chosen once, by {@link serverStrategy}. */
export interface ServerStrategy {
  readonly kind: ServerKind;
  /** What the audit libraries are added to when nothing names any (contract: postgres-config.md 2.3). */
  readonly defaultPreloadLibraries: string;
  /** Whether the temporary override file means anything to this server (contract: postgres-config.md 4.2, 11). */
  readonly usesSizeLimitOverride: boolean;
  /** @param name in lower case; @param value decoded */
  judge(name: string, value: string): Verdict;
}

export type Server =
  | { readonly kind: "neon" }
  | {
      readonly kind: "stock";
      /** Names of the files in pkglibdir without their suffix, plus what is downloaded before Postgres starts. */
      readonly libraries: ReadonlySet<string>;
      readonly durability: Durability;
    };

const KEEP: Verdict = { action: "keep" };

/** Of Neon's core, not of its extension: without a dot, so no placeholder takes them (contract: postgres-config.md 11). */
const PATCHED_CORE_ONLY: ReadonlySet<string> = new Set([
  "max_replication_write_lag",
  "max_replication_flush_lag",
  "max_replication_apply_lag",
  "enable_seqscan_prefetch",
  "enable_indexscan_prefetch",
  "enable_indexonlyscan_prefetch",
]);

/** Standbys that only exist where Neon's storage, or our proposer, acknowledges commits. */
const NEON_STANDBYS: ReadonlySet<string> = new Set(["walproposer", "pageserver"]);

const NEON: ServerStrategy = {
  kind: "neon",
  defaultPreloadLibraries: "neon",
  usesSizeLimitOverride: true,
  judge: () => KEEP,
};

export function serverStrategy(server: Server): ServerStrategy {
  if (server.kind === "neon") return NEON;
  return {
    kind: "stock",
    defaultPreloadLibraries: "",
    usesSizeLimitOverride: false,
    judge(name, value) {
      if (PATCHED_CORE_ONLY.has(name)) return leaveOut(name, "only Neon's PostgreSQL knows it");
      if (name === "shared_preload_libraries") return withoutMissingLibraries(value, server.libraries);
      // Postgres' stderr is a pipe that compute_ctl reads; the collector would take the log away from it.
      if (name === "logging_collector" && isTrue(value)) {
        return leaveOut(name, "compute_ctl collects the log from stderr");
      }
      if (name === "synchronous_standby_names" && server.durability === "none" && waitsForNeonOnly(value)) {
        return leaveOut(name, "nothing acknowledges commits under this name here, so every commit would wait for ever");
      }
      return KEEP;
    },
  };
}

function leaveOut(name: string, reason: string): Verdict {
  return { action: "leave_out", reason, warnings: [`setting ${name} is left out: ${reason}`] };
}

/** Postgres does not start when a library of the list has no file. */
function withoutMissingLibraries(list: string, available: ReadonlySet<string>): Verdict {
  const libraries = parseLibraryList(list) ?? [];
  const isThere = ({ name }: { name: string }): boolean => {
    const base = libraryBaseName(name);
    return base === undefined || available.has(base);
  };
  const missing = libraries.filter((library) => !isThere(library));
  if (missing.length === 0) return KEEP;
  return {
    action: "replace",
    value: libraries
      .filter(isThere)
      .map(({ element }) => element)
      .join(","),
    reason: `without ${missing.map(({ element }) => element).join(", ")}: this PostgreSQL has no such library`,
    warnings: missing.map(
      ({ name }) => `library ${name} is left out of shared_preload_libraries: this PostgreSQL has no such library`,
    ),
  };
}

/** `a`, `FIRST 1 (a, b)`, `ANY 1 (a)` and `1 (a)` with nothing but names of Neon's storage. */
function waitsForNeonOnly(value: string): boolean {
  const list = /^\s*(?:(?:FIRST|ANY)\s+)?\d+\s*\((.*)\)\s*$/is.exec(value)?.[1] ?? value;
  const names = list.split(",").map((name) => name.trim().replace(/^"(.*)"$/s, "$1"));
  return names.every((name) => NEON_STANDBYS.has(name.toLowerCase()));
}

/** PostgreSQL takes every unique prefix of a boolean's spellings. */
function isTrue(value: string): boolean {
  return /^(?:t|tr|tru|true|y|ye|yes|on|1)$/i.test(value);
}
