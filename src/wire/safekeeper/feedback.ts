import type { Lsn } from "../lsn.ts";
import { ByteReader } from "./byte_reader.ts";
import { ByteWriter } from "./byte_writer.ts";
import { invalidMessage } from "./invalid_message.ts";

/** How far a pageserver got (contract: storage-protocols.md 5.6). Absent fields were not reported. */
export interface PageserverFeedback {
  /** Bytes. */
  readonly currentTimelineSize?: bigint;
  readonly lastReceivedLsn?: Lsn;
  readonly diskConsistentLsn?: Lsn;
  readonly remoteConsistentLsn?: Lsn;
  /** Microseconds since 2000-01-01 00:00 UTC. */
  readonly replyTime?: bigint;
  readonly shardNumber?: number;
  readonly corruptionDetected?: boolean;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Field = readonly [name: keyof PageserverFeedback, size: 1 | 4 | 8, signed?: true];

/** Every key a reader knows, the second name of four of them included. */
const FIELDS: ReadonlyMap<string, Field> = new Map<string, Field>([
  ["current_timeline_size", ["currentTimelineSize", 8]],
  ["ps_writelsn", ["lastReceivedLsn", 8]],
  ["ps_flushlsn", ["diskConsistentLsn", 8]],
  ["ps_applylsn", ["remoteConsistentLsn", 8]],
  ["ps_replytime", ["replyTime", 8, true]],
  ["shard_number", ["shardNumber", 4]],
  ["corruption_detected", ["corruptionDetected", 1]],
  ["last_received_lsn", ["lastReceivedLsn", 8]],
  ["disk_consistent_lsn", ["diskConsistentLsn", 8]],
  ["remote_consistent_lsn", ["remoteConsistentLsn", 8]],
  ["replytime", ["replyTime", 8, true]],
]);

/** Keys in the order they are written, each under its first name. */
const WRITTEN = [...FIELDS].slice(0, 7);

/** Reads feedback; always big-endian, in protocol 2 too. Unknown keys are skipped, surplus bytes are left to the caller. */
export function readFeedback(reader: ByteReader): PageserverFeedback {
  const feedback: Mutable<PageserverFeedback> = {};
  for (let left = reader.u8("number of feedback keys"); left > 0; left--) {
    const key = reader.cstr("feedback key");
    const value = reader.bytes(reader.u32(`length of ${key}`), `feedback ${key}`);
    const field = FIELDS.get(key);
    if (!field) continue;
    const [name, size, signed] = field;
    if (value.length !== size) throw invalidMessage(`feedback ${key} has ${value.length} bytes instead of ${size}`);
    const inner = new ByteReader(value);
    if (name === "corruptionDetected") feedback.corruptionDetected = inner.u8(key) !== 0;
    else if (name === "shardNumber") feedback.shardNumber = inner.u32(key);
    else feedback[name] = signed ? inner.i64(key) : inner.u64(key);
  }
  return feedback;
}

/** As {@link readFeedback} for a buffer that holds nothing else. */
export function decodeFeedback(bytes: Uint8Array): PageserverFeedback {
  const reader = new ByteReader(bytes);
  const feedback = readFeedback(reader);
  reader.end();
  return feedback;
}

/** Writes what is given; shard 0 and "no corruption" are left out, as upstream does. */
export function encodeFeedback(feedback: PageserverFeedback): Buffer {
  const present = WRITTEN.filter(([, [name]]) => {
    const value = feedback[name];
    return value !== undefined && (name === "shardNumber" || name === "corruptionDetected" ? Boolean(value) : true);
  });
  const writer = new ByteWriter().u8(present.length);
  for (const [key, [name, size, signed]] of present) {
    writer.cstr(key).u32(size);
    const value = feedback[name];
    if (typeof value === "boolean") writer.u8(value ? 1 : 0);
    else if (typeof value === "number") writer.u32(value);
    else if (value !== undefined) signed ? writer.i64(value) : writer.u64(value);
  }
  return writer.finish();
}
