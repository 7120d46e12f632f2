import { describe, expect, test } from "vitest";
import type { AcceptorRecord } from "../../src/walproposer/acceptor_state.ts";
import { streamingStart } from "../../src/walproposer/term_history.ts";
import type { AcceptorMessage, Vote } from "../../src/wire/safekeeper/messages.ts";
import { AcceptorOnDisk, append, elected, greeting, SERVER, voteRequest } from "./acceptor_on_disk.ts";
import { COMMON_POINTS, history, PROPOSER_HISTORY } from "./common_points.ts";
import { fakeRecord, TIMELINE_START as START } from "./simulation/fake_wal.ts";

const startOf = (term: number) => history([0, Number(START)], [term, Number(START)]);
const wal = (...numbers: number[]) => Buffer.concat(numbers.map((number) => fakeRecord(1, number, 16)));
const refusal = (code: string) => [expect.objectContaining({ code })];

/** Voted for and elected in term 1, nothing written yet. */
function inTerm1(): AcceptorOnDisk {
  const acceptor = new AcceptorOnDisk();
  acceptor.send(voteRequest(1));
  expect(acceptor.send(elected(1, START, startOf(1)))).toEqual([]);
  return acceptor;
}

test("storage-protocols.md case 17: votes once a term, checks terms and positions, keeps everything over a restart", () => {
  const acceptor = new AcceptorOnDisk();
  expect(acceptor.send(voteRequest(1))).toMatchObject([{ type: "vote", term: 1n, given: true }]);
  expect(acceptor.send(voteRequest(1))).toMatchObject([{ type: "vote", term: 1n, given: false }]);
  expect(acceptor.send(append(1, START, wal(1)))).toEqual(refusal("append_before_elected"));
  acceptor.connect(2);
  acceptor.send(elected(1, START, startOf(1)), 2);
  expect(acceptor.send(append(2, START, wal(1)), 2)).toEqual(refusal("append_before_elected"));
  acceptor.connect(3);
  acceptor.send(elected(1, START, startOf(1)), 3);
  expect(acceptor.send(append(1, START + 8n, wal(1)), 3)).toEqual(refusal("append_out_of_order"));
  acceptor.connect(4);
  expect(acceptor.send(append(1, START, wal(1)), 4)).toMatchObject([{ term: 1n, flushLsn: START + 16n }]);
  expect(acceptor.send(append(0, START + 16n, wal(2)), 4)).toMatchObject([
    { term: 1n, flushLsn: 0n, commitLsn: 0n, hotStandby: { time: 0n, xmin: 0n, catalogXmin: 0n } },
  ]);
  acceptor.crash();
  expect(acceptor.send(voteRequest(1))).toMatchObject([
    { term: 1n, given: false, flushLsn: START + 16n, history: startOf(1) },
  ]);
});

test("storage-protocols.md case 37: an empty append at the written end is always answered, a byte off is an error", () => {
  const acceptor = inTerm1();
  acceptor.send(append(1, START, wal(1)));
  const end = START + 16n;
  for (let i = 0; i < 3; i++) expect(acceptor.send(append(1, end))).toMatchObject([{ flushLsn: end }]);
  for (const [connection, begin, bytes] of [
    [2, end + 1n, undefined],
    [3, end - 1n, undefined],
    [4, end + 1n, wal(2)],
    [5, end - 1n, wal(2)],
  ] as const) {
    acceptor.connect(connection);
    expect(acceptor.send(append(1, begin, bytes), connection)).toEqual(refusal("append_out_of_order"));
  }
});

test("storage-protocols.md case 38: flush_lsn is the end of the last whole record", () => {
  const acceptor = inTerm1();
  const bytes = wal(1, 2);
  expect(acceptor.send(append(1, START, bytes.subarray(0, 25)))).toMatchObject([{ flushLsn: START + 16n }]);
  expect(acceptor.send(append(1, START + 25n, bytes.subarray(25)))).toMatchObject([{ flushLsn: START + 32n }]);
  acceptor.send(append(1, START + 32n, wal(3).subarray(0, 9)));
  acceptor.handle({ type: "disconnected", connection: 1 });
  acceptor.connect(2);
  expect(acceptor.send(voteRequest(2), 2)).toMatchObject([{ given: true, flushLsn: START + 32n }]);
});

describe("storage-protocols.md case 39: crashes between steps", () => {
  /** Two whole records of term 1, then a winner of term 2 that has only the first of them. */
  const toCut = () => {
    const acceptor = inTerm1();
    acceptor.send(append(1, START, wal(1, 2)));
    acceptor.send(voteRequest(2));
    const message = elected(2, START + 16n, [...startOf(1), { term: 2n, lsn: START + 16n }]);
    return { acceptor, message };
  };

  test("after the cut and before the history: a shorter log with the older history", () => {
    const { acceptor, message } = toCut();
    acceptor.handle({ type: "message", connection: 1, message }, 2);
    expect(acceptor.steps.at(-1)).toMatchObject({ kind: "truncate", lsn: START + 16n });
    acceptor.crash();
    expect(acceptor.send(voteRequest(3))).toMatchObject([{ given: true, flushLsn: START + 16n, history: startOf(1) }]);
  });

  test("the cut comes before the history", () => {
    const { acceptor, message } = toCut();
    const before = acceptor.steps.length;
    acceptor.send(message);
    expect(acceptor.steps.slice(before).map((step) => step.kind)).toEqual(["writer_changed", "truncate", "persist"]);
  });

  test("after the vote was stored and before it was sent: the vote is gone", () => {
    const acceptor = inTerm1();
    expect(acceptor.handle({ type: "message", connection: 1, message: voteRequest(2) }, 1)).toEqual([]);
    acceptor.crash();
    expect(acceptor.send(voteRequest(2))).toMatchObject([{ term: 2n, given: false }]);
  });

  test("before the vote was stored: nothing was promised", () => {
    const acceptor = inTerm1();
    expect(acceptor.handle({ type: "message", connection: 1, message: voteRequest(2) }, 0)).toEqual([]);
    acceptor.crash();
    expect(acceptor.send(voteRequest(2))).toMatchObject([{ term: 2n, given: true }]);
  });
});

test("storage-protocols.md case 40: a start that is not the common point, or below the commit, cuts nothing", () => {
  const acceptor = inTerm1();
  acceptor.send(append(1, START, wal(1, 2)));
  acceptor.send(append(1, START + 32n, undefined, START + 32n));
  acceptor.send(voteRequest(2));
  const before = acceptor.steps.length;
  const wrongStart = elected(2, START + 16n, [...startOf(1), { term: 2n, lsn: START + 32n }]);
  expect(acceptor.send(wrongStart)).toEqual(refusal("start_not_common_point"));
  acceptor.connect(2);
  const belowCommit = elected(2, START + 16n, [...startOf(1), { term: 2n, lsn: START + 16n }]);
  expect(acceptor.send(belowCommit, 2)).toEqual(refusal("start_below_commit"));
  const kinds = acceptor.steps.slice(before).map((step) => step.kind);
  expect(kinds).not.toContain("truncate");
  expect(kinds).not.toContain("persist");
  acceptor.connect(3);
  expect(acceptor.send(voteRequest(2), 3)).toMatchObject([{ flushLsn: START + 32n }]);
});

describe("storage-protocols.md case 41: the table of common points as `v` and `e` pairs", () => {
  test.each(COMMON_POINTS)("$name", ({ acceptor: own, flush, point }) => {
    const record: AcceptorRecord = {
      term: own.at(-1)?.term ?? 0n,
      history: own,
      server: SERVER,
      timelineStartLsn: own[0]?.lsn ?? 0n,
      localStartLsn: own[0]?.lsn ?? 0n,
      commitLsn: own[0]?.lsn ?? 0n,
      peerHorizonLsn: 0n,
    };
    const acceptor = new AcceptorOnDisk({ record, scannedEnd: flush });
    const [vote] = acceptor.send(voteRequest(6)) as [Vote];
    expect(vote).toMatchObject({ term: 6n, given: own.at(-1)?.term !== 6n, flushLsn: flush });
    const start = streamingStart(PROPOSER_HISTORY, vote.history, vote.flushLsn);
    expect(start).toBe(point ?? 100n);
    expect(acceptor.send({ ...elected(6, start, PROPOSER_HISTORY) })).toEqual([]);
    expect(acceptor.state).toMatchObject({ flushLsn: start, writtenEnd: start });
    expect(acceptor.disk.record).toMatchObject({ term: 6n, history: PROPOSER_HISTORY, timelineStartLsn: 100n });
    expect(acceptor.steps.some((step) => step.kind === "initialise")).toBe(own.length === 0);
  });
});

test("storage-protocols.md case 42: answers show the stored commit_lsn, memory runs ahead", () => {
  const acceptor = inTerm1();
  // Half a segment: the commit is stored at once only when it is a whole one ahead.
  const bytes = wal(...Array.from({ length: 8 }, (_, i) => i));
  acceptor.send(append(1, START, bytes));
  const end = START + 128n;
  expect(acceptor.send(append(1, end, undefined, end))).toMatchObject([{ flushLsn: end, commitLsn: START }]);
  expect(acceptor.state.commitLsn).toBe(end);
  acceptor.now = 300_000;
  acceptor.handle({ type: "tick" });
  expect(acceptor.send(append(1, end, undefined, end))).toMatchObject([{ commitLsn: end }]);

  // A new term without WAL of its own: the answer to the commit already shows it.
  acceptor.send(append(1, end, wal(9)));
  const next = end + 16n;
  acceptor.send(voteRequest(2));
  acceptor.send(elected(2, next, [...startOf(1), { term: 2n, lsn: next }]));
  expect(acceptor.send(append(2, next, undefined, next))).toMatchObject([{ flushLsn: next, commitLsn: next }]);
});

test("a request's commit_lsn never gets past flush_lsn", () => {
  const acceptor = inTerm1();
  acceptor.send(append(1, START, wal(1).subarray(0, 10), START + 1000n));
  expect(acceptor.state.commitLsn).toBe(START);
});

test("no WAL is taken between a restart and the next `e`", () => {
  const acceptor = inTerm1();
  acceptor.send(append(1, START, wal(1)));
  acceptor.restart();
  expect(acceptor.send(append(1, START + 16n, wal(2)))).toEqual(refusal("append_before_elected"));
  acceptor.connect(2);
  acceptor.send(elected(1, START + 16n, startOf(1)), 2);
  expect(acceptor.send(append(1, START + 16n, wal(2)), 2)).toMatchObject([{ flushLsn: START + 32n }]);
});

test("an answer waits for the queue to empty, a vote for the WAL before it", () => {
  const acceptor = inTerm1();
  const before = acceptor.steps.length;
  acceptor.handle({ type: "message", connection: 1, message: append(1, START, wal(1)) });
  acceptor.handle({ type: "message", connection: 1, message: append(1, START + 16n, wal(2)) });
  expect(acceptor.steps.slice(before).map((step) => step.kind)).toEqual(["write", "write"]);
  acceptor.handle({ type: "message", connection: 1, message: voteRequest(2) });
  expect(acceptor.steps.slice(before + 2).map((step) => step.kind)).toEqual(["flush", "persist", "send"]);
  // The append of term 1 is answered in term 2: only the term, no positions.
  expect(acceptor.handle({ type: "queue_empty", connection: 1 })).toMatchObject([{ term: 2n, flushLsn: 0n }]);
});

test("a queue that never empties is answered by the tick", () => {
  const acceptor = inTerm1();
  acceptor.handle({ type: "message", connection: 1, message: append(1, START, wal(1)) });
  expect(acceptor.handle({ type: "tick" })).toMatchObject([{ flushLsn: START + 16n }]);
  expect(acceptor.handle({ type: "queue_empty", connection: 1 })).toEqual([]);
});

test("a filled segment is flushed and answered at once", () => {
  const acceptor = inTerm1();
  const bytes = wal(...Array.from({ length: 16 }, (_, i) => i));
  const said = acceptor.handle({ type: "message", connection: 1, message: append(1, START, bytes) });
  expect(said).toMatchObject([{ flushLsn: START + 256n }]);
});

test("flush_lsn jumps to the next segment behind a switch record", () => {
  const acceptor = inTerm1();
  const bytes = Buffer.concat([wal(1), fakeRecord(1, 2, 8, true)]);
  expect(acceptor.send(append(1, START, bytes))).toMatchObject([{ flushLsn: START + 256n }]);
  expect(acceptor.send(append(1, START + 24n, new Uint8Array(232)))).toMatchObject([{ flushLsn: START + 256n }]);
  expect(acceptor.send(append(1, START + 256n, wal(3)))).toMatchObject([{ flushLsn: START + 272n }]);
});

test("bytes that are no WAL are refused and not written", () => {
  const acceptor = inTerm1();
  const before = acceptor.steps.length;
  expect(acceptor.send(append(1, START, Buffer.alloc(16, 0xff)))).toEqual(refusal("wal_invalid"));
  expect(acceptor.steps.slice(before).map((step) => step.kind)).toEqual(["close"]);
  acceptor.connect(2);
  acceptor.send(elected(1, START, startOf(1)), 2);
  expect(acceptor.send(append(1, START, wal(1)), 2)).toMatchObject([{ flushLsn: START + 16n }]);
});

test("an `e` of an older term is ignored silently", () => {
  const acceptor = inTerm1();
  acceptor.send(voteRequest(5));
  expect(acceptor.send(elected(1, START, startOf(1)))).toEqual([]);
  expect(acceptor.disk.record.history).toEqual(startOf(1));
});

describe("greetings", () => {
  test.each([
    ["another timeline", { timelineId: "c".repeat(32) }],
    ["another major version", { pgVersion: 160_001 }],
    ["version 0", { pgVersion: 0 }],
    ["another segment size", { walSegSize: 512 }],
    [
      "a membership configuration",
      { conf: { generation: 1, members: [{ nodeId: 1n, host: "a", pgPort: 1 }], newMembers: undefined } },
    ],
  ])("%s is refused", (_, change) => {
    const acceptor = new AcceptorOnDisk();
    acceptor.handle({ type: "connected", connection: 2 });
    expect(acceptor.send({ ...greeting(), ...change }, 2)).toEqual(refusal("greeting_refused"));
  });

  test("any other message first is refused, and so is another generation than 0", () => {
    const acceptor = new AcceptorOnDisk();
    acceptor.handle({ type: "connected", connection: 2 });
    expect(acceptor.send(voteRequest(1), 2)).toEqual(refusal("greeting_missing"));
    expect(acceptor.send({ type: "vote_request", generation: 3, term: 1n })).toEqual(refusal("generation_mismatch"));
  });

  test("another system id is adopted or, for a store with its own images, refused; 0 changes nothing", () => {
    const real = new AcceptorOnDisk();
    real.handle({ type: "connected", connection: 2 });
    expect(real.send({ ...greeting(), systemId: 0n }, 2)).toMatchObject([{ type: "greeting", nodeId: 1n, term: 0n }]);
    expect(real.disk.record.server.systemId).toBe(7n);
    real.send({ ...greeting(), systemId: 8n }, 2);
    expect(real.disk.record.server.systemId).toBe(8n);

    const store = new AcceptorOnDisk({ identity: { foreignSystemId: "refuse" } });
    store.handle({ type: "connected", connection: 2 });
    expect(store.send({ ...greeting(), systemId: 8n }, 2)).toEqual(refusal("greeting_refused"));
  });
});

test("hot standby feedback travels with answers, a pageserver's with the last answer again", () => {
  const acceptor = inTerm1();
  const feedback = { diskConsistentLsn: 5n };
  expect(acceptor.handle({ type: "pageserver_feedback", feedback })).toEqual([]);
  const hotStandby = { time: 1n, xmin: 2n, catalogXmin: 3n };
  acceptor.handle({ type: "hot_standby", hotStandby });
  const [answer] = acceptor.send(append(1, START)) as [AcceptorMessage];
  expect(answer).toMatchObject({ hotStandby });
  expect(acceptor.handle({ type: "pageserver_feedback", feedback })).toEqual([{ ...answer, feedback }]);
});
