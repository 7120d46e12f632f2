import { ByteReader } from "./byte_reader.ts";
import { ByteWriter } from "./byte_writer.ts";
import { NO_CONFIGURATION } from "./configuration.ts";
import { decodeFeedback, encodeFeedback } from "./feedback.ts";
import { readHistory, writeHistory } from "./history.ts";
import { invalidMessage } from "./invalid_message.ts";
import {
  appendLength,
  checkAppend,
  checkElectedHistory,
  checkedId,
  checkedNodeId,
  TAG,
  unknownTag,
} from "./message_rules.ts";
import type { AcceptorMessage, AppendRequest, ProposerMessage, SafekeeperCodec } from "./messages.ts";

/**
 * Protocol 2: C structs, little-endian, the tag is a u64 (contract: storage-protocols.md 5.5). There is no generation and
 * no conf: every message reads as generation 0, and a message of another generation cannot be written.
 */
export const protocol2: SafekeeperCodec = {
  version: 2,
  encodeProposerMessage,
  decodeProposerMessage,
  encodeAppendHeader,
  encodeAcceptorMessage,
  decodeAcceptorMessage,
};

function encodeProposerMessage(message: ProposerMessage): Buffer {
  const writer = start(message);
  switch (message.type) {
    case "greeting":
      writer.u32(2).u32(message.pgVersion).zeros(16).u64(message.systemId);
      writer.bytes(idBytes(message.timelineId)).bytes(idBytes(message.tenantId));
      return writer.u32(1).u32(message.walSegSize).finish();
    case "vote_request":
      return writer.u64(message.term).zeros(16).finish();
    case "elected":
      checkElectedHistory(message.history);
      writer.u64(message.term).u64(message.startStreamingAt);
      writeHistory(writer, message.history);
      return writer.u64(message.history[0]?.lsn ?? 0n).finish();
    case "append":
      return Buffer.concat([encodeAppendHeader(message), message.wal]);
  }
}

function encodeAppendHeader(message: AppendRequest): Buffer {
  checkAppend(message);
  const writer = start(message).u64(message.term).u64(0n).u64(message.beginLsn).u64(message.endLsn);
  return writer.u64(message.commitLsn).u64(message.truncateLsn).zeros(16).finish();
}

function decodeProposerMessage(bytes: Uint8Array): ProposerMessage {
  const reader = new ByteReader(bytes, true);
  const tag = reader.u64("tag");
  switch (Number(tag)) {
    case TAG.greeting: {
      const version = reader.u32("protocol version");
      if (version !== 2) throw invalidMessage(`greeting of protocol ${version} in a session of protocol 2`);
      const pgVersion = reader.u32("pg version");
      reader.bytes(16, "proposer id");
      const systemId = reader.u64("system id");
      const timelineId = Buffer.from(reader.bytes(16, "timeline id")).toString("hex");
      const tenantId = Buffer.from(reader.bytes(16, "tenant id")).toString("hex");
      reader.u32("postgres timeline");
      const walSegSize = reader.u32("wal segment size");
      return { type: "greeting", tenantId, timelineId, conf: NO_CONFIGURATION, pgVersion, systemId, walSegSize };
    }
    case TAG.vote: {
      const term = reader.u64("term");
      reader.bytes(16, "proposer id");
      return { type: "vote_request", generation: 0, term };
    }
    case TAG.elected: {
      const head = { generation: 0, term: reader.u64("term"), startStreamingAt: reader.u64("start streaming at") };
      const history = readHistory(reader);
      reader.u64("timeline start lsn");
      checkElectedHistory(history);
      return { type: "elected", ...head, history };
    }
    case TAG.append: {
      const term = reader.u64("term");
      reader.u64("epoch start");
      const head = {
        beginLsn: reader.u64("begin"),
        endLsn: reader.u64("end"),
        commitLsn: reader.u64("commit_lsn"),
        truncateLsn: reader.u64("truncate_lsn"),
      };
      reader.bytes(16, "proposer id");
      const wal = reader.bytes(appendLength(head.beginLsn, head.endLsn), "WAL");
      return { type: "append", generation: 0, term, ...head, wal };
    }
    default:
      throw unknownTag(tag);
  }
}

function encodeAcceptorMessage(message: AcceptorMessage): Buffer {
  const writer = start(message);
  switch (message.type) {
    case "greeting":
      return writer.u64(message.term).u64(checkedNodeId(message.nodeId)).finish();
    case "vote":
      writer
        .u64(message.term)
        .u64(message.given ? 1n : 0n)
        .u64(message.flushLsn)
        .u64(message.truncateLsn);
      writeHistory(writer, message.history);
      return writer.u64(0n).finish();
    case "append_response":
      writer.u64(message.term).u64(message.flushLsn).u64(message.commitLsn);
      writer.i64(message.hotStandby.time).u64(message.hotStandby.xmin).u64(message.hotStandby.catalogXmin);
      if (message.feedback) writer.bytes(encodeFeedback(message.feedback));
      return writer.finish();
  }
}

function decodeAcceptorMessage(bytes: Uint8Array): AcceptorMessage {
  const reader = new ByteReader(bytes, true);
  const message = readAcceptorMessage(reader);
  reader.end();
  return message;
}

function readAcceptorMessage(reader: ByteReader): AcceptorMessage {
  const tag = reader.u64("tag");
  switch (Number(tag)) {
    case TAG.greeting: {
      const term = reader.u64("term");
      return { type: "greeting", nodeId: checkedNodeId(reader.u64("node id")), conf: NO_CONFIGURATION, term };
    }
    case TAG.vote: {
      const message = {
        type: "vote" as const,
        generation: 0,
        term: reader.u64("term"),
        given: reader.u64("vote given") !== 0n,
        flushLsn: reader.u64("flush_lsn"),
        truncateLsn: reader.u64("truncate_lsn"),
        history: readHistory(reader),
      };
      reader.u64("timeline start lsn");
      return message;
    }
    case TAG.append: {
      const message = {
        type: "append_response" as const,
        generation: 0,
        term: reader.u64("term"),
        flushLsn: reader.u64("flush_lsn"),
        commitLsn: reader.u64("commit_lsn"),
        hotStandby: {
          time: reader.i64("hs ts"),
          xmin: reader.u64("hs xmin"),
          catalogXmin: reader.u64("hs catalog_xmin"),
        },
      };
      if (reader.remaining === 0) return message;
      return { ...message, feedback: decodeFeedback(reader.bytes(reader.remaining, "feedback")) };
    }
    default:
      throw unknownTag(tag);
  }
}

function start(message: ProposerMessage | AcceptorMessage): ByteWriter {
  const generation = message.type === "greeting" ? message.conf.generation : message.generation;
  if (generation !== 0) throw invalidMessage(`protocol 2 cannot carry configuration ${generation}`);
  const tag =
    message.type === "vote_request" || message.type === "vote"
      ? TAG.vote
      : message.type === "append" || message.type === "append_response"
        ? TAG.append
        : TAG[message.type];
  return new ByteWriter(true).u64(BigInt(tag));
}

function idBytes(id: string): Buffer {
  return Buffer.from(checkedId(id, "id"), "hex");
}
