import { CodedError } from "../../errors/coded_error.ts";
import { type Lsn, tryParseLsn } from "../../wire/lsn.ts";

/** A safekeeper's commands (contract: storage-protocols.md 5.2). */
export type SafekeeperCommand =
  | { readonly name: "set" | "TIMELINE_STATUS" | "IDENTIFY_SYSTEM" }
  | { readonly name: "START_WAL_PUSH"; readonly protocolVersion: number; readonly allowTimelineCreation: boolean }
  | {
      readonly name: "START_REPLICATION";
      readonly lsn: Lsn;
      /** Reads what is flushed in this term; without one, what is committed. */
      readonly term: bigint | undefined;
    };

const OPTION = /\s*(\w+)\s+'([^']*)'\s*(?:,|$)/y;
const REPLICATION = /^START_REPLICATION(?:\s+SLOT\s+(?:"[^"]*"|\S+))?(?:\s+PHYSICAL)?\s+(\S+)(.*)$/s;
const TERM = /^\s*\(\s*term\s*=\s*'(\d{1,20})'\s*\)\s*$/;
const TIMELINE = /^\s*TIMELINE\s+(\d+)\s*$/;

/** Verbs are matched by prefix, upper case. @throws CodedError `bad_command` */
export function parseSafekeeperCommand(text: string): SafekeeperCommand {
  const query = text.trim().replace(/;$/, "").trimEnd();
  if (/^set\s/i.test(query)) return { name: "set" };
  if (query.startsWith("IDENTIFY_SYSTEM")) return { name: "IDENTIFY_SYSTEM" };
  if (query.startsWith("TIMELINE_STATUS")) return { name: "TIMELINE_STATUS" };
  if (query.startsWith("START_WAL_PUSH")) return startWalPush(query);
  if (query.startsWith("START_REPLICATION")) return startReplication(query);
  throw bad(`unsupported command ${text}`);
}

/** Options that are not known are skipped; the defaults are protocol 2 and true. */
function startWalPush(query: string): SafekeeperCommand {
  const rest = query.slice("START_WAL_PUSH".length).trim();
  const options = new Map<string, string>();
  if (rest !== "") {
    const list = /^\((.*)\)$/s.exec(rest)?.[1];
    if (list === undefined) throw bad(`cannot parse the options of ${query}`);
    OPTION.lastIndex = 0;
    while (OPTION.lastIndex < list.length) {
      const match = OPTION.exec(list);
      if (!match) throw bad(`cannot parse the options of ${query}`);
      options.set(match[1] ?? "", match[2] ?? "");
    }
  }
  const version = options.get("proto_version") ?? "2";
  const create = options.get("allow_timeline_creation") ?? "true";
  if (!/^\d{1,9}$/.test(version)) throw bad(`invalid proto_version ${version}`);
  if (create !== "true" && create !== "false") throw bad(`invalid allow_timeline_creation ${create}`);
  return {
    name: "START_WAL_PUSH",
    protocolVersion: Number(version),
    allowTimelineCreation: create === "true",
  };
}

/** Slot names, and the timeline 1 that stock receivers name, say nothing here. */
function startReplication(query: string): SafekeeperCommand {
  const match = REPLICATION.exec(query);
  const lsn = tryParseLsn(match?.[1] ?? "");
  if (!match || lsn === undefined) throw bad(`failed to parse start LSN from ${query}`);
  const rest = match[2] ?? "";
  const term = TERM.exec(rest)?.[1];
  const timeline = TIMELINE.exec(rest)?.[1];
  if (rest.trim() !== "" && term === undefined && timeline === undefined) throw bad(`cannot parse ${query}`);
  if (timeline !== undefined && timeline !== "1") throw bad(`there is no PostgreSQL timeline ${timeline}, only 1`);
  return { name: "START_REPLICATION", lsn, term: term === undefined ? undefined : BigInt(term) };
}

function bad(message: string): CodedError {
  return new CodedError("bad_command", message, { status: 400 });
}
