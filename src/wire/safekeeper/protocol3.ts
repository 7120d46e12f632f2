import { ByteReader } from "./byte_reader.ts";
import { ByteWriter } from "./byte_writer.ts";
import { readConfiguration, writeConfiguration } from "./configuration.ts";
import { encodeFeedback, readFeedback } from "./feedback.ts";
import { readHistory, writeHistory } from "./history.ts";
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

/** Protocol 3: big-endian, one tag byte (contract: storage-protocols.md 5.4). */
export const protocol3: SafekeeperCodec = {
  version: 3,
  encodeProposerMessage,
  decodeProposerMessage,
  encodeAppendHeader,
  encodeAcceptorMessage,
  decodeAcceptorMessage,
};

function encodeProposerMessage(message: ProposerMessage): Buffer {
  const writer = new ByteWriter();
  switch (message.type) {
    case "greeting":
      writer.u8(TAG.greeting);
      writer.cstr(checkedId(message.tenantId, "tenant id")).cstr(checkedId(message.timelineId, "timeline id"));
      writeConfiguration(writer, message.conf);
      return writer.u32(message.pgVersion).u64(message.systemId).u32(message.walSegSize).finish();
    case "vote_request":
      return writer.u8(TAG.vote).u32(message.generation).u64(message.term).finish();
    case "elected":
      checkElectedHistory(message.history);
      writer.u8(TAG.elected).u32(message.generation).u64(message.term).u64(message.startStreamingAt);
      writeHistory(writer, message.history);
      return writer.finish();
    case "append":
      return Buffer.concat([encodeAppendHeader(message), message.wal]);
  }
}

function encodeAppendHeader(message: AppendRequest): Buffer {
  checkAppend(message);
  const writer = new ByteWriter().u8(TAG.append).u32(message.generation).u64(message.term);
  writer.u64(message.beginLsn).u64(message.endLsn).u64(message.commitLsn).u64(message.truncateLsn);
  return writer.finish();
}

function decodeProposerMessage(bytes: Uint8Array): ProposerMessage {
  const reader = new ByteReader(bytes);
  const tag = reader.u8("tag");
  switch (tag) {
    case TAG.greeting:
      return {
        type: "greeting",
        tenantId: checkedId(reader.cstr("tenant id"), "tenant id"),
        timelineId: checkedId(reader.cstr("timeline id"), "timeline id"),
        conf: readConfiguration(reader),
        pgVersion: reader.u32("pg version"),
        systemId: reader.u64("system id"),
        walSegSize: reader.u32("wal segment size"),
      };
    case TAG.vote:
      return { type: "vote_request", generation: reader.u32("generation"), term: reader.u64("term") };
    case TAG.elected: {
      const head = { generation: reader.u32("generation"), term: reader.u64("term") };
      const startStreamingAt = reader.u64("start streaming at");
      const history = readHistory(reader);
      checkElectedHistory(history);
      return { type: "elected", ...head, startStreamingAt, history };
    }
    case TAG.append: {
      const head = {
        generation: reader.u32("generation"),
        term: reader.u64("term"),
        beginLsn: reader.u64("begin"),
        endLsn: reader.u64("end"),
        commitLsn: reader.u64("commit_lsn"),
        truncateLsn: reader.u64("truncate_lsn"),
      };
      return { type: "append", ...head, wal: reader.bytes(appendLength(head.beginLsn, head.endLsn), "WAL") };
    }
    default:
      throw unknownTag(tag);
  }
}

function encodeAcceptorMessage(message: AcceptorMessage): Buffer {
  const writer = new ByteWriter();
  switch (message.type) {
    case "greeting":
      writer.u8(TAG.greeting).u64(checkedNodeId(message.nodeId));
      writeConfiguration(writer, message.conf);
      return writer.u64(message.term).finish();
    case "vote":
      writer
        .u8(TAG.vote)
        .u32(message.generation)
        .u64(message.term)
        .u8(message.given ? 1 : 0);
      writer.u64(message.flushLsn).u64(message.truncateLsn);
      writeHistory(writer, message.history);
      return writer.finish();
    case "append_response":
      writer.u8(TAG.append).u32(message.generation).u64(message.term);
      writer.u64(message.flushLsn).u64(message.commitLsn);
      writer.i64(message.hotStandby.time).u64(message.hotStandby.xmin).u64(message.hotStandby.catalogXmin);
      if (message.feedback) writer.bytes(encodeFeedback(message.feedback));
      return writer.finish();
  }
}

function decodeAcceptorMessage(bytes: Uint8Array): AcceptorMessage {
  const reader = new ByteReader(bytes);
  const message = readAcceptorMessage(reader);
  reader.end();
  return message;
}

function readAcceptorMessage(reader: ByteReader): AcceptorMessage {
  const tag = reader.u8("tag");
  switch (tag) {
    case TAG.greeting:
      return {
        type: "greeting",
        nodeId: checkedNodeId(reader.u64("node id")),
        conf: readConfiguration(reader),
        term: reader.u64("term"),
      };
    case TAG.vote:
      return {
        type: "vote",
        generation: reader.u32("generation"),
        term: reader.u64("term"),
        given: reader.u8("vote given") !== 0,
        flushLsn: reader.u64("flush_lsn"),
        truncateLsn: reader.u64("truncate_lsn"),
        history: readHistory(reader),
      };
    case TAG.append: {
      const message = {
        type: "append_response" as const,
        generation: reader.u32("generation"),
        term: reader.u64("term"),
        flushLsn: reader.u64("flush_lsn"),
        commitLsn: reader.u64("commit_lsn"),
        hotStandby: {
          time: reader.i64("hs ts"),
          xmin: reader.u64("hs xmin"),
          catalogXmin: reader.u64("hs catalog_xmin"),
        },
      };
      return reader.remaining > 0 ? { ...message, feedback: readFeedback(reader) } : message;
    }
    default:
      throw unknownTag(tag);
  }
}
