import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AcceptorMessage, ProposerMessage } from "../../../src/wire/safekeeper/messages.ts";
import { protocol2 } from "../../../src/wire/safekeeper/protocol2.ts";
import { protocol3 } from "../../../src/wire/safekeeper/protocol3.ts";
import { acceptorMessages, proposerMessages } from "./arbitrary.ts";

const plain = (message: ProposerMessage) =>
  message.type === "append" ? { ...message, wal: Uint8Array.from(message.wal) } : message;

describe.each([protocol2, protocol3])("safekeeper protocol $version", (codec) => {
  test("what is written is read again", () => {
    fc.assert(
      fc.property(proposerMessages(codec.version), (message) => {
        expect(plain(codec.decodeProposerMessage(codec.encodeProposerMessage(message)))).toEqual(message);
      }),
    );
    fc.assert(
      fc.property(acceptorMessages(codec.version), (message) => {
        expect(codec.decodeAcceptorMessage(codec.encodeAcceptorMessage(message))).toEqual(message);
      }),
    );
  });

  test("a message cut anywhere is an error", () => {
    const invalid = expect.objectContaining({ code: "safekeeper_message_invalid" });
    fc.assert(
      fc.property(proposerMessages(codec.version), (message) => {
        const bytes = codec.encodeProposerMessage(message);
        for (let length = 0; length < bytes.length; length++)
          expect(() => codec.decodeProposerMessage(bytes.subarray(0, length))).toThrow(invalid);
      }),
      { numRuns: 30 },
    );
    fc.assert(
      fc.property(acceptorMessages(codec.version), (message) => {
        const bytes = codec.encodeAcceptorMessage(message);
        // The feedback is optional as a whole: a cut right before it leaves a good message.
        const whole = withoutFeedback(message);
        const shorter = whole ? codec.encodeAcceptorMessage(whole).length : -1;
        for (let length = 0; length < bytes.length; length++)
          if (length !== shorter) expect(() => codec.decodeAcceptorMessage(bytes.subarray(0, length))).toThrow(invalid);
      }),
      { numRuns: 30 },
    );
  });

  test("surplus bytes are ignored from a compute and refused from a safekeeper", () => {
    fc.assert(
      fc.property(proposerMessages(codec.version), (message) => {
        const bytes = Buffer.concat([codec.encodeProposerMessage(message), Buffer.from([1, 2])]);
        expect(plain(codec.decodeProposerMessage(bytes))).toEqual(message);
      }),
    );
    fc.assert(
      fc.property(acceptorMessages(codec.version), (message) => {
        const bytes = Buffer.concat([codec.encodeAcceptorMessage(message), Buffer.from([0, 0])]);
        expect(() => codec.decodeAcceptorMessage(bytes)).toThrow();
      }),
    );
  });

  test("an append header and its WAL are the whole append", () => {
    const wal = Uint8Array.from([1, 2, 3]);
    const append = { ...APPEND, endLsn: APPEND.beginLsn + 3n, wal };
    expect(Buffer.concat([codec.encodeAppendHeader(append), wal])).toEqual(codec.encodeProposerMessage(append));
  });

  test.each([
    ["more WAL than one append may carry", { endLsn: APPEND_AT + 131_073n, wal: new Uint8Array(131_073) }],
    ["an end before the begin", { endLsn: APPEND_AT - 1n, wal: new Uint8Array(0) }],
    ["a length that is not the WAL's", { endLsn: APPEND_AT + 2n, wal: new Uint8Array(1) }],
  ])("append: %s is an error", (_, change) => {
    expect(() => codec.encodeProposerMessage({ ...APPEND, ...change })).toThrow(
      expect.objectContaining({ code: "safekeeper_message_invalid" }),
    );
  });

  test("append: limits are checked when reading, too", () => {
    const bytes = codec.encodeProposerMessage({
      ...APPEND,
      endLsn: APPEND_AT + 131_072n,
      wal: new Uint8Array(131_072),
    });
    expect(codec.decodeProposerMessage(bytes)).toMatchObject({ endLsn: APPEND_AT + 131_072n });
    const endAt = codec.version === 3 ? 1 + 4 + 8 + 8 : 8 + 8 + 8 + 8;
    const setEnd = (end: bigint) => {
      const copy = Buffer.concat([bytes, Buffer.alloc(8)]);
      if (codec.version === 3) copy.writeBigUInt64BE(end, endAt);
      else copy.writeBigUInt64LE(end, endAt);
      return () => codec.decodeProposerMessage(copy);
    };
    expect(setEnd(APPEND_AT + 131_073n)).toThrow("more than 131072 bytes");
    expect(setEnd(APPEND_AT - 1n)).toThrow("ends before it begins");
  });

  test("unknown tags, empty histories and node id 0 are errors", () => {
    expect(() => codec.decodeProposerMessage(Buffer.from("zzzzzzzz"))).toThrow("unknown tag");
    expect(() => codec.decodeAcceptorMessage(Buffer.from("zzzzzzzz"))).toThrow("unknown tag");
    expect(() =>
      codec.encodeProposerMessage({ type: "elected", generation: 0, term: 1n, startStreamingAt: 1n, history: [] }),
    ).toThrow("history is empty");
    const conf = { generation: 0, members: [], newMembers: undefined };
    expect(() => codec.encodeAcceptorMessage({ type: "greeting", nodeId: 0n, conf, term: 1n })).toThrow("node id is 0");
  });

  test("a history must ascend in term and must not descend in LSN", () => {
    const vote = (history: readonly { term: bigint; lsn: bigint }[]) => () =>
      codec.encodeAcceptorMessage({ ...VOTE, history });
    expect(vote([entry(1n, 100n), entry(1n, 200n)])).toThrow("does not ascend");
    expect(vote([entry(2n, 100n), entry(1n, 200n)])).toThrow("does not ascend");
    expect(vote([entry(1n, 200n), entry(2n, 100n)])).toThrow("does not ascend");
    expect(vote([entry(1n, 100n), entry(2n, 100n)])).not.toThrow();
  });
});

const APPEND_AT = 0x1_0000_0000n;
const APPEND = {
  type: "append" as const,
  generation: 0,
  term: 2n,
  beginLsn: APPEND_AT,
  endLsn: APPEND_AT,
  commitLsn: 3n,
  truncateLsn: 4n,
  wal: new Uint8Array(0),
};
const VOTE = {
  type: "vote" as const,
  generation: 0,
  term: 2n,
  given: true,
  flushLsn: 300n,
  truncateLsn: 0n,
  history: [] as readonly { term: bigint; lsn: bigint }[],
};

function entry(term: bigint, lsn: bigint) {
  return { term, lsn };
}

function withoutFeedback(message: AcceptorMessage): AcceptorMessage | undefined {
  if (message.type !== "append_response" || !message.feedback) return undefined;
  const { feedback: _, ...rest } = message;
  return rest;
}
