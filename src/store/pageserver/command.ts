import { CodedError } from "../../errors/coded_error.ts";
import { type Lsn, tryParseLsn } from "../../wire/lsn.ts";
import { parseId, parseTenantShardId, type TenantShardId } from "../ids.ts";

export type PageserverCommand =
  | {
      readonly name: "basebackup";
      readonly tenantId: string;
      readonly timelineId: string;
      /** Undefined: the latest. */
      readonly lsn: Lsn | undefined;
      readonly gzip: boolean;
      readonly replica: boolean;
    }
  | {
      readonly name: "fullbackup";
      readonly tenantId: string;
      readonly timelineId: string;
      readonly lsn: Lsn | undefined;
      /** What the client thinks the record before `lsn` starts at. */
      readonly previousLsn: Lsn | undefined;
    }
  | { readonly name: "lease lsn"; readonly tenant: TenantShardId; readonly timelineId: string; readonly lsn: Lsn }
  | { readonly name: "set" };

/**
 * Reads a command of the pageserver's protocol; error code `bad_command`, with the original's texts
 * (contract: storage-protocols.md 1.3).
 */
export function parsePageserverCommand(text: string): PageserverCommand {
  const query = text.trim();
  const [verb, rest] = splitWord(query);
  if (rest === undefined) throw bad(`cannot parse query: ${query}`);
  switch (verb.toLowerCase()) {
    case "basebackup":
      return parseBaseBackup(rest);
    case "fullbackup":
      return parseFullBackup(rest);
    case "lease":
      return parseLease(rest, verb);
    case "set":
      return { name: "set" };
    default:
      throw bad(`unsupported command ${verb} in ${query}`);
  }
}

function parseBaseBackup(rest: string): PageserverCommand {
  const words = wordsOf(rest);
  const ids = parseIds(words, "basebackup", rest);
  const third = words[2];
  const isFlag = third?.startsWith("--") ?? false;
  const lsn = third === undefined || third === "latest" || isFlag ? undefined : lsnOf(third, "lsn");
  const seen = new Set<string>();
  for (const flag of words.slice(isFlag ? 2 : 3)) {
    if (seen.has(flag)) throw bad(`duplicate parameter for basebackup command: ${flag}`);
    if (flag !== "--gzip" && flag !== "--replica") throw bad(`invalid parameter for basebackup command: ${flag}`);
    seen.add(flag);
  }
  return { name: "basebackup", ...ids, lsn, gzip: seen.has("--gzip"), replica: seen.has("--replica") };
}

function parseFullBackup(rest: string): PageserverCommand {
  const words = wordsOf(rest);
  const ids = parseIds(words, "fullbackup", rest);
  if (words.length > 4) throw bad(`invalid number of parameters for fullbackup command: ${rest}`);
  const optional = (word: string | undefined): Lsn | undefined => (word === undefined ? undefined : lsnOf(word, "Lsn"));
  return { name: "fullbackup", ...ids, lsn: optional(words[2]), previousLsn: optional(words[3]) };
}

function parseLease(rest: string, verb: string): PageserverCommand {
  const [kind, parameters] = splitWord(rest);
  if (parameters === undefined || kind.toLowerCase() !== "lsn") throw bad(`invalid lease command: ${verb}`);
  const [tenant, timeline, lsn, ...more] = wordsOf(parameters);
  if (tenant === undefined || timeline === undefined || lsn === undefined || more.length > 0)
    throw bad(`invalid number of parameters for lease lsn command: ${parameters}`);
  const tenantShard = parseTenantShardId(tenant);
  if (!tenantShard) throw bad(`Failed to parse tenant id from ${tenant}`, NOT_AN_ID);
  return { name: "lease lsn", tenant: tenantShard, timelineId: idOf(timeline, "timeline"), lsn: lsnOf(lsn, "lsn") };
}

function parseIds(words: readonly string[], command: string, rest: string): { tenantId: string; timelineId: string } {
  const [tenant, timeline] = words;
  if (tenant === undefined || timeline === undefined)
    throw bad(`invalid number of parameters for ${command} command: ${rest}`);
  return { tenantId: idOf(tenant, "tenant"), timelineId: idOf(timeline, "timeline") };
}

function idOf(word: string, what: "tenant" | "timeline"): string {
  const id = parseId(word);
  if (id === undefined) throw bad(`Failed to parse ${what} id from ${word}`, NOT_AN_ID);
  return id;
}

/** The two commands spell the word differently. */
function lsnOf(word: string, spelling: "lsn" | "Lsn"): Lsn {
  const lsn = tryParseLsn(word);
  if (lsn === undefined)
    throw bad(`Failed to parse ${spelling} from ${word}`, "expected two hexadecimal numbers and a /");
  return lsn;
}

const NOT_AN_ID = "expected 32 hexadecimal digits";

/** The text up to the first blank and what follows it; nothing follows a lone word. */
function splitWord(text: string): [string, string | undefined] {
  const match = /^(\S+)\s+([\s\S]*)$/.exec(text);
  return match ? [match[1] ?? "", match[2]] : [text, undefined];
}

function wordsOf(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}

function bad(message: string, cause?: string): CodedError {
  return new CodedError("bad_command", message, { status: 400, ...(cause && { cause: new Error(cause) }) });
}
