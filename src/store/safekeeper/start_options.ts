import { CodedError } from "../../errors/coded_error.ts";
import { parseId } from "../ids.ts";

/** What a client of the safekeeper says in the start-up parameter `options` (contract: storage-protocols.md 5.1). */
export interface SafekeeperStartOptions {
  readonly tenantId: string | undefined;
  readonly timelineId: string | undefined;
}

/**
 * Looks at every `key=value` word; a backslash keeps a blank inside a word, words without `=` (a lone `-c`) and unknown
 * keys are skipped. Error code `bad_options`.
 */
export function parseStartOptions(options: string | undefined): SafekeeperStartOptions {
  const values = new Map<string, string>();
  for (const word of splitWords(options ?? "")) {
    const equals = word.indexOf("=");
    if (equals > 0) values.set(word.slice(0, equals), word.slice(equals + 1));
  }
  const protocol = values.get("protocol");
  if (protocol !== undefined && protocolType(protocol) !== "vanilla")
    throw bad("only the vanilla protocol is served here: interpreted WAL is for pageservers");
  if (["shard_count", "shard_number", "shard_stripe_size"].some((key) => values.has(key)))
    throw bad("Shard params specified for vanilla protocol");
  return { tenantId: idOf(values, "tenant_id", "ztenantid"), timelineId: idOf(values, "timeline_id", "ztimelineid") };
}

function splitWords(text: string): string[] {
  const words = text.match(/(?:\\[\s\S]|[^\s\\])+/g) ?? [];
  return words.map((word) => word.replaceAll(/\\([\s\S])/g, "$1"));
}

function idOf(values: ReadonlyMap<string, string>, key: string, oldKey: string): string | undefined {
  const text = values.get(key) ?? values.get(oldKey);
  if (text === undefined) return undefined;
  const id = parseId(text);
  if (id === undefined) throw bad(`Failed to parse ${key} from ${text}`);
  return id;
}

function protocolType(json: string): unknown {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null && "type" in value ? value.type : undefined;
  } catch (error) {
    throw bad("protocol is not JSON", error);
  }
}

function bad(message: string, cause?: unknown): CodedError {
  return new CodedError("bad_options", message, { status: 400, cause });
}
