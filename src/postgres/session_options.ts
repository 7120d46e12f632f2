import type { PostgresMajor } from "./installation.ts";

/**
 * The startup `options` of our own sessions (contract: lifecycle.md 1.3, reconcile.md 2.1): what a database owner may have
 * set for the database must not reach us. The connection string's own options come last and win.
 *
 * `major` adds what only newer servers know; an unknown name would refuse the session.
 */
export function sessionOptions(
  own: string | undefined,
  major?: PostgresMajor,
  more: Readonly<Record<string, string>> = {},
): string {
  const settings: [name: string, value: string][] = [
    ["role", "cloud_admin"],
    ["default_transaction_read_only", "off"],
    // Really empty: two apostrophes would name a schema, and anybody could create it.
    ["search_path", ""],
    ["statement_timeout", "0"],
    ["pgaudit.log", "none"],
    // A library that does not exist refuses the session.
    ["local_preload_libraries", ""],
    ["idle_session_timeout", "0"],
    ["idle_in_transaction_session_timeout", "0"],
    // `serializable` fails every query on a standby.
    ["default_transaction_isolation", "read committed"],
    ...(major !== undefined && major >= 17
      ? ([
          ["transaction_timeout", "0"],
          ["event_triggers", "off"],
        ] as [string, string][])
      : []),
    ...Object.entries(more),
  ];
  const ours = settings.map(([name, value]) => `-c ${name}=${value.replace(/[\\ ]/g, "\\$&")}`).join(" ");
  return own === undefined || own === "" ? ours : `${ours} ${own}`;
}
