import fc from "fast-check";
import { type Configuration, NO_CONFIGURATION } from "../../../src/wire/safekeeper/configuration.ts";
import type { PageserverFeedback } from "../../../src/wire/safekeeper/feedback.ts";
import type { TermHistory } from "../../../src/wire/safekeeper/history.ts";
import type { AcceptorMessage, ProposerMessage } from "../../../src/wire/safekeeper/messages.ts";

const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const i64 = fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const id = fc
  .array(fc.integer({ min: 0, max: 15 }), { minLength: 32, maxLength: 32 })
  .map((digits) => digits.map((digit) => digit.toString(16)).join(""));

/** Steps of at least 1 in term and at least 0 in LSN, added up. */
const history: fc.Arbitrary<TermHistory> = fc
  .array(fc.tuple(fc.bigInt({ min: 1n, max: 1n << 40n }), fc.bigInt({ min: 0n, max: 1n << 50n })), { maxLength: 6 })
  .map((steps) => {
    let term = 0n;
    let lsn = 0n;
    return steps.map(([terms, bytes]) => {
      term += terms;
      lsn += bytes;
      return { term, lsn };
    });
  });

const members = fc.uniqueArray(
  fc.record({ nodeId: u64, host: fc.domain(), pgPort: fc.integer({ min: 0, max: 65_535 }) }),
  { minLength: 1, maxLength: 4, selector: (member) => member.nodeId },
);

const conf: fc.Arbitrary<Configuration> = fc.oneof(
  fc.constant(NO_CONFIGURATION),
  fc.record({
    generation: fc.integer({ min: 1, max: 0xffff_ffff }),
    members,
    newMembers: fc.option(members, { nil: undefined }),
  }),
);

export const feedback: fc.Arbitrary<PageserverFeedback> = fc.record(
  {
    currentTimelineSize: u64,
    lastReceivedLsn: u64,
    diskConsistentLsn: u64,
    remoteConsistentLsn: u64,
    replyTime: i64,
    shardNumber: fc.integer({ min: 1, max: 0xffff_ffff }),
    corruptionDetected: fc.constant(true),
  },
  { requiredKeys: [] },
);

/** Messages of protocol 3, or of protocol 2, which knows no generation and no conf. */
export function proposerMessages(version: 2 | 3): fc.Arbitrary<ProposerMessage> {
  const generation = version === 3 ? u32 : fc.constant(0);
  return fc.oneof(
    fc.record({
      type: fc.constant("greeting" as const),
      tenantId: id,
      timelineId: id,
      conf: version === 3 ? conf : fc.constant(NO_CONFIGURATION),
      pgVersion: u32,
      systemId: u64,
      walSegSize: u32,
    }),
    fc.record({ type: fc.constant("vote_request" as const), generation, term: u64 }),
    fc.record({
      type: fc.constant("elected" as const),
      generation,
      term: u64,
      startStreamingAt: u64,
      history: history.filter((entries) => entries.length > 0),
    }),
    fc
      .record({
        generation,
        term: u64,
        beginLsn: fc.bigInt({ min: 0n, max: 1n << 62n }),
        commitLsn: u64,
        truncateLsn: u64,
        wal: fc.uint8Array({ maxLength: 200 }),
      })
      .map((append) => ({
        type: "append" as const,
        ...append,
        endLsn: append.beginLsn + BigInt(append.wal.length),
      })),
  );
}

export function acceptorMessages(version: 2 | 3): fc.Arbitrary<AcceptorMessage> {
  const generation = version === 3 ? u32 : fc.constant(0);
  const hotStandby = fc.record({ time: i64, xmin: u64, catalogXmin: u64 });
  const head = { type: fc.constant("append_response" as const), generation, term: u64, flushLsn: u64, commitLsn: u64 };
  return fc.oneof(
    fc.record({
      type: fc.constant("greeting" as const),
      nodeId: fc.bigInt({ min: 1n, max: (1n << 64n) - 1n }),
      conf: version === 3 ? conf : fc.constant(NO_CONFIGURATION),
      term: u64,
    }),
    fc.record({
      type: fc.constant("vote" as const),
      generation,
      term: u64,
      given: fc.boolean(),
      flushLsn: u64,
      truncateLsn: u64,
      history,
    }),
    fc.record({ ...head, hotStandby }),
    fc.record({ ...head, hotStandby, feedback }),
  );
}
