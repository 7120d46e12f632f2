import { describe, expect, test } from "vitest";
import { streamingStart } from "../../src/walproposer/term_history.ts";
import { COMMON_POINTS, history, PROPOSER_HISTORY } from "./common_points.ts";
import { effectsOf, ProposerOnStage, sent } from "./proposer_on_stage.ts";

const ALL = [0, 1, 2];

test("collect, campaign, elected: one message after the other", () => {
  const stage = new ProposerOnStage();
  expect(effectsOf(stage.effects, "connect").map(({ peer }) => peer)).toEqual(ALL);
  expect(sent(stage.connected(0), "greeting")).toMatchObject([{ systemId: 7n, conf: { generation: 0 } }]);
  stage.connected(1);
  expect(stage.greets(0, 4)).toEqual([]);
  expect(sent(stage.greets(1, 6), "vote_request")).toMatchObject([
    { to: 0, term: 7n },
    { to: 1, term: 7n },
  ]);
  expect(stage.votes(0, { term: 7n })).toEqual([]);
  const won = stage.votes(1, { term: 7n });
  expect(effectsOf(won, "elected")).toMatchObject([{ term: 7n, startLsn: 500n, donorLastLogTerm: 0n }]);
  // `elected` is told before anybody hears of it: the driver stores the term first.
  expect(won.findIndex(({ kind }) => kind === "elected")).toBeLessThan(won.findIndex(({ kind }) => kind === "send"));
  expect(sent(won, "elected")).toMatchObject([{ to: 0, startStreamingAt: 500n }, { to: 1 }]);
  expect(sent(won, "append")).toMatchObject([{ to: 0, beginLsn: 500n, endLsn: 500n, commitLsn: 0n }, { to: 1 }]);
  // The third comes later and is brought in with the same term.
  stage.connected(2);
  expect(sent(stage.greets(2, 3), "vote_request")).toMatchObject([{ to: 2, term: 7n }]);
  expect(sent(stage.votes(2, { term: 7n }), "elected")).toHaveLength(1);
});

test("storage-protocols.md case 43: the donor has the latest last log term, not the longest log", () => {
  const stage = new ProposerOnStage();
  stage.connected(0);
  stage.connected(1);
  stage.greets(0, 2);
  stage.greets(1, 2);
  stage.votes(0, { term: 3n, flushLsn: 300n, history: history([1, 100], [2, 200]) });
  const won = stage.votes(1, { term: 3n, flushLsn: 900n, history: history([1, 100]) });
  expect(effectsOf(won, "elected")).toMatchObject([{ donor: 0, startLsn: 300n, donorLastLogTerm: 2n }]);
  expect(sent(won, "elected")).toMatchObject([
    { to: 0, startStreamingAt: 300n, history: history([1, 100], [2, 200], [3, 300]) },
    { to: 1, startStreamingAt: 200n },
  ]);
});

test("history entries above a voter's flush_lsn make nobody a donor", () => {
  const stage = new ProposerOnStage();
  stage.connected(0);
  stage.connected(1);
  stage.greets(0, 5);
  stage.greets(1, 5);
  stage.votes(0, { term: 6n, flushLsn: 300n, history: history([1, 100], [5, 400]) });
  const won = stage.votes(1, { term: 6n, flushLsn: 350n, history: history([1, 100]) });
  expect(effectsOf(won, "elected")).toMatchObject([{ donor: 1, startLsn: 350n, history: history([1, 100], [6, 350]) }]);
});

test("the greatest truncate_lsn of the votes counts", () => {
  const stage = new ProposerOnStage();
  stage.connected(0);
  stage.connected(1);
  stage.greets(0, 0);
  stage.greets(1, 0);
  stage.votes(0, { term: 1n, truncateLsn: 300n });
  const won = stage.votes(1, { term: 1n, truncateLsn: 200n });
  expect(sent(won, "append")).toMatchObject([{ truncateLsn: 300n }, { truncateLsn: 300n }]);
});

describe("storage-protocols.md case 41: the proposer computes the starts of the table", () => {
  test.each(COMMON_POINTS)("$name", ({ acceptor, flush, point }) => {
    // The donor's log is (1,100) (3,500) up to 900, so that term 6 begins there.
    const stage = new ProposerOnStage({ acceptors: 1 });
    const state = stage.proposer.state;
    stage.connected(0);
    stage.greets(0, 5);
    stage.votes(0, { term: 6n, flushLsn: 900n, history: history([1, 100], [3, 500]) });
    expect(state.history).toEqual(PROPOSER_HISTORY);
    stage.handle({ type: "local_flushed", lsn: 2000n });
    stage.disconnected(0);
    stage.wait(1000);
    stage.connected(0);
    stage.greets(0, 6);
    const effects = stage.votes(0, { term: 6n, given: false, flushLsn: flush, history: acceptor });
    expect(sent(effects, "elected")).toMatchObject([{ startStreamingAt: point ?? 100n, history: PROPOSER_HISTORY }]);
    expect(streamingStart(PROPOSER_HISTORY, acceptor, flush)).toBe(point ?? 100n);
  });
});

describe("storage-protocols.md case 44: commit is what a quorum has, from the own term's start on", () => {
  const started = () => {
    const stage = new ProposerOnStage();
    stage.elect(ALL);
    stage.handle({ type: "local_flushed", lsn: 2000n });
    return stage;
  };

  test("900, 700, 400 -> 700", () => {
    const stage = started();
    stage.answers(0, 900n);
    expect(effectsOf(stage.answers(1, 700n), "committed")).toEqual([{ kind: "committed", lsn: 700n }]);
    expect(effectsOf(stage.answers(2, 400n), "committed")).toEqual([]);
    expect(stage.proposer.state.commitLsn).toBe(700n);
  });

  test("900, 400, 0 -> stays", () => {
    const stage = started();
    stage.answers(0, 900n);
    expect(effectsOf([...stage.answers(1, 400n), ...stage.answers(2, 0n)], "committed")).toEqual([]);
  });

  test("a joint configuration: the smaller of both sets, nobody else counts", () => {
    const member = (nodeId: bigint) => ({ nodeId, host: "sk", pgPort: 5454 });
    const conf = {
      generation: 4,
      members: [member(1n), member(2n), member(3n)],
      newMembers: [member(3n), member(4n), member(5n)],
    };
    const stage = new ProposerOnStage({ acceptors: 6, requireConfiguration: true });
    const peers = [0, 1, 2, 3, 4, 5];
    for (const peer of peers) stage.connected(peer);
    for (const peer of [0, 1, 2]) expect(sent(stage.greets(peer, 0, conf), "vote_request")).toEqual([]);
    expect(sent(stage.greets(3, 0, conf), "vote_request")).toHaveLength(4);
    for (const peer of [4, 5]) stage.greets(peer, 0, conf);
    for (const peer of peers) stage.votes(peer, { term: 1n, generation: 4 });
    stage.handle({ type: "local_flushed", lsn: 2000n });
    const answer = (peer: number, lsn: bigint) => stage.answers(peer, lsn, { generation: 4 });
    for (const [peer, lsn] of [
      [0, 900n],
      [1, 800n],
      [5, 2000n],
    ] as const)
      answer(peer, lsn);
    expect(stage.proposer.state.commitLsn).toBe(0n);
    answer(3, 600n);
    expect(effectsOf(answer(4, 700n), "committed")).toMatchObject([{ lsn: 600n }]);
  });

  test("a rise is told to all at once, and truncate follows the slowest", () => {
    const stage = started();
    stage.answers(0, 900n);
    const rose = stage.answers(1, 700n);
    expect(sent(rose, "append")).toMatchObject([
      { to: 0, commitLsn: 700n, truncateLsn: 0n },
      { to: 1, commitLsn: 700n },
      { to: 2, commitLsn: 700n },
    ]);
    stage.answers(2, 600n);
    expect(stage.proposer.state.truncateLsn).toBe(600n);
  });
});

describe("storage-protocols.md case 45: reconnecting in the elected state", () => {
  const reconnect = () => {
    const stage = new ProposerOnStage();
    stage.elect(ALL);
    stage.answers(0, 500n);
    stage.answers(1, 500n);
    stage.disconnected(0);
    stage.wait(1000);
    stage.connected(0);
    return stage;
  };

  test("a vote that was not given for the own term is no fencing", () => {
    const stage = reconnect();
    expect(sent(stage.greets(0, 1), "vote_request")).toMatchObject([{ term: 1n }]);
    const effects = stage.votes(0, { term: 1n, given: false });
    expect(sent(effects, "elected")).toHaveLength(1);
    // What it acknowledged on the old connection is durable and still counts.
    expect(stage.proposer.state.peers[0]?.flushLsn).toBe(500n);
  });

  test("a higher term ends the leadership, in a greeting, a vote and an answer", () => {
    const inGreeting = reconnect();
    expect(effectsOf(inGreeting.greets(0, 2), "stepped_down")).toHaveLength(1);
    const inVote = reconnect();
    inVote.greets(0, 1);
    expect(effectsOf(inVote.votes(0, { term: 2n, given: false }), "stepped_down")).toHaveLength(1);
    const inAnswer = reconnect();
    const effects = inAnswer.answers(1, 0n, { term: 9n });
    expect(effectsOf(effects, "stepped_down")).toHaveLength(1);
    expect(effectsOf(effects, "close").map(({ peer }) => peer)).toEqual(ALL);
  });

  test("with one acceptor every higher term is fencing, at once and for good", () => {
    for (const tell of [
      (stage: ProposerOnStage) => stage.answers(0, 0n, { term: 2n }),
      (stage: ProposerOnStage) => {
        stage.disconnected(0);
        stage.wait(1000);
        stage.connected(0);
        return stage.greets(0, 2);
      },
    ]) {
      const stage = new ProposerOnStage({ acceptors: 1 });
      stage.elect([0]);
      const effects = tell(stage);
      expect(effectsOf(effects, "fenced")).toMatchObject([{ term: 2n }]);
      expect(effectsOf(effects, "close")).toHaveLength(1);
      expect(stage.wait(20_000)).toEqual([]);
      expect(stage.handle({ type: "local_flushed", lsn: 900n })).toEqual([]);
    }
  });

  describe("who was overtaken looks whether another compute runs", () => {
    /** Elected in term 1, its server runs, and one of three acceptors speaks of term 7. */
    const overtaken = () => {
      const stage = new ProposerOnStage();
      stage.elect(ALL);
      for (const peer of ALL) stage.answers(peer, 500n);
      stage.handle({ type: "server_began", lsn: 500n });
      stage.handle({ type: "local_flushed", lsn: 900n });
      stage.answers(0, 0n, { term: 7n });
      // Others may cut in the meantime what was acknowledged.
      expect(stage.proposer.state.peers.map(({ flushLsn }) => flushLsn)).toEqual([0n, 0n, 0n]);
      stage.wait(1000);
      for (const peer of ALL) stage.connected(peer);
      return stage;
    };

    test("a quorum moved on: fenced", () => {
      const stage = overtaken();
      stage.greets(0, 7);
      expect(effectsOf(stage.greets(1, 7), "fenced")).toMatchObject([{ term: 7n }]);
    });

    test("no quorum can have moved on: elected again, above the dead candidate's term, and the server goes on", () => {
      const stage = overtaken();
      stage.greets(1, 1);
      expect(sent(stage.greets(2, 1), "vote_request")).toMatchObject([{ term: 8n }, { term: 8n }]);
      const own = { term: 8n, flushLsn: 700n, history: history([0, 100], [1, 500]) };
      stage.votes(1, own);
      const won = stage.votes(2, own);
      expect(effectsOf(won, "elected")).toMatchObject([{ term: 8n, startLsn: 700n, donorLastLogTerm: 1n }]);
      expect(effectsOf(won, "read_wal")).toMatchObject([
        { begin: 700n, end: 900n, source: { from: "local" } },
        { begin: 700n },
      ]);
    });

    test("an acceptor that says nothing may have moved on: it is waited for, but not for ever", () => {
      const stage = overtaken();
      stage.greets(0, 7);
      stage.greets(1, 1);
      expect(sent(stage.wait(2_500), "vote_request")).toEqual([]);
      expect(sent(stage.wait(500), "vote_request")).toMatchObject([{ term: 8n }, { term: 8n }]);
    });
  });

  test("while campaigning both lose the race only: step down, rest, try with a higher term", () => {
    for (const vote of [
      { term: 1n, given: false },
      { term: 5n, given: false },
    ]) {
      const stage = new ProposerOnStage();
      stage.connected(0);
      stage.connected(1);
      stage.greets(0, 0);
      stage.greets(1, 0);
      const effects = stage.votes(0, vote);
      expect(effectsOf(effects, "stepped_down")).toHaveLength(1);
      expect(effectsOf(effects, "fenced")).toHaveLength(0);
      expect(effectsOf(stage.wait(750), "connect")).toEqual([]);
      expect(effectsOf(stage.wait(250), "connect")).toHaveLength(3);
      stage.connected(0);
      stage.connected(1);
      stage.greets(0, 5);
      expect(sent(stage.greets(1, 0), "vote_request")).toMatchObject([{ term: 6n }, { term: 6n }]);
    }
  });
});

test("storage-protocols.md case 46: with a minority for minutes nothing is sent or committed, and dialling goes on", () => {
  const stage = new ProposerOnStage();
  stage.connected(0);
  stage.greets(0, 0);
  stage.handle({ type: "local_flushed", lsn: 2000n });
  let dialled = 0;
  for (let second = 0; second < 180; second++) {
    const effects = stage.wait(1000);
    for (const { peer } of effectsOf(effects, "connect"))
      if (peer === 0) {
        stage.connected(0);
        stage.greets(0, 0);
      } else {
        dialled++;
        stage.disconnected(peer);
      }
  }
  expect(sent(stage.effects, "append")).toEqual([]);
  expect(sent(stage.effects, "vote_request")).toEqual([]);
  expect(effectsOf(stage.effects, "committed")).toEqual([]);
  // The first dial hung for 10 s and was given up; from then on one each second, to each of the two.
  expect(dialled).toBeGreaterThan(2 * 165);
});

describe("times", () => {
  test("an active peer hears from us every second, a silent one is dropped after ten and dialled again", () => {
    const stage = new ProposerOnStage({ acceptors: 1 });
    stage.elect([0]);
    stage.answers(0, 500n);
    const quiet = stage.wait(9_750);
    expect(sent(quiet, "append").length).toBeGreaterThanOrEqual(9);
    expect(effectsOf(quiet, "close")).toEqual([]);
    const dropped = stage.wait(250);
    expect(effectsOf(dropped, "close")).toHaveLength(1);
    expect(effectsOf(dropped, "connect")).toHaveLength(1);
  });

  test("anything from a peer that has nothing to say ends the connection", () => {
    const stage = new ProposerOnStage();
    stage.connected(0);
    stage.greets(0, 0);
    expect(effectsOf(stage.greets(0, 0), "close")).toMatchObject([{ peer: 0 }]);
  });

  test("events of an older connection mean nothing", () => {
    const stage = new ProposerOnStage({ acceptors: 1 });
    stage.elect([0]);
    stage.disconnected(0);
    stage.wait(1000);
    const late = { type: "disconnected" as const, peer: 0, connection: 1 };
    expect(stage.handle(late)).toEqual([]);
    expect(stage.proposer.state.peers[0]?.phase).toBe("connecting");
  });
});

describe("streaming", () => {
  test("local WAL in chunks of at most 131072 bytes, one read at a time", () => {
    const stage = new ProposerOnStage({ acceptors: 1 });
    stage.elect([0]);
    const [read] = effectsOf(stage.handle({ type: "local_flushed", lsn: 500n + 200_000n }), "read_wal");
    expect(read).toMatchObject({ begin: 500n, end: 500n + 131_072n, source: { from: "local" } });
    expect(effectsOf(stage.handle({ type: "local_flushed", lsn: 500n + 250_000n }), "read_wal")).toEqual([]);
    const effects = stage.givesWal(read!, 100);
    expect(sent(effects, "append")).toMatchObject([{ beginLsn: 500n, endLsn: 600n }]);
    expect(effectsOf(effects, "read_wal")).toMatchObject([{ begin: 600n, end: 600n + 131_072n }]);
  });

  test("bytes below the start LSN come from the donor, never from the local directory", () => {
    const stage = new ProposerOnStage();
    stage.connected(0);
    stage.connected(1);
    stage.greets(0, 0);
    stage.greets(1, 0);
    stage.votes(0, { term: 1n, flushLsn: 500n });
    const won = stage.votes(1, { term: 1n, flushLsn: 200n });
    const [read] = effectsOf(won, "read_wal");
    expect(read).toMatchObject({ peer: 1, begin: 200n, end: 500n, source: { from: "peer", peer: 0, term: 1n } });
    stage.handle({ type: "local_flushed", lsn: 700n });
    expect(effectsOf(stage.givesWal(read!), "read_wal")).toMatchObject([
      { peer: 1, begin: 500n, end: 700n, source: { from: "local" } },
    ]);
  });

  test("when the donor cannot give, another that acknowledged enough is asked at once; all again a second later", () => {
    const stage = new ProposerOnStage();
    stage.connected(0);
    stage.connected(1);
    stage.greets(0, 0);
    stage.greets(1, 0);
    stage.votes(0, { term: 1n });
    stage.votes(1, { term: 1n });
    stage.answers(1, 500n);
    stage.connected(2);
    stage.greets(2, 0);
    const asked = effectsOf(stage.votes(2, { term: 1n, flushLsn: 200n }), "read_wal");
    for (let i = 0; i < 2; i++) {
      const { peer, connection } = asked.at(-1)!;
      asked.push(...effectsOf(stage.handle({ type: "wal_unavailable", peer, connection }), "read_wal"));
    }
    expect(asked.map(({ source }) => source)).toMatchObject([{ peer: 0 }, { peer: 1 }]);
    expect(effectsOf(stage.wait(750), "read_wal")).toEqual([]);
    const [again] = effectsOf(stage.wait(250), "read_wal");
    expect(again?.source).toMatchObject({ peer: 0 });
    // Who could give is asked again.
    const unavailable = { type: "wal_unavailable", peer: 2, connection: again!.connection } as const;
    const [other] = effectsOf(stage.handle(unavailable), "read_wal");
    const [next] = effectsOf(stage.givesWal(other!, 100), "read_wal");
    expect(next).toMatchObject({ begin: 300n, source: { peer: 1 } });
  });

  test("local WAL that is gone comes from a peer that has it", () => {
    const stage = new ProposerOnStage();
    stage.elect([0, 1]);
    stage.handle({ type: "local_flushed", lsn: 900n });
    stage.answers(1, 900n);
    stage.handle({ type: "local_removed", before: 800n });
    stage.connected(2);
    stage.greets(2, 0);
    const [read] = effectsOf(stage.votes(2, { term: 1n, flushLsn: 500n }), "read_wal");
    expect(read).toMatchObject({ begin: 500n, end: 800n, source: { from: "peer", peer: 1 } });
    expect(effectsOf(stage.givesWal(read!), "read_wal")).toMatchObject([{ begin: 800n, source: { from: "local" } }]);
  });

  test("storage-protocols.md case 49: after a switch record an acceptor is ahead of the server, `e` waits", () => {
    const stage = new ProposerOnStage({ acceptors: 1 });
    stage.elect([0]);
    stage.handle({ type: "local_flushed", lsn: 600n });
    // The switch record ends at 600, the next segment begins at 1024.
    expect(effectsOf(stage.answers(0, 1024n), "committed")).toEqual([{ kind: "committed", lsn: 600n }]);
    stage.disconnected(0);
    stage.wait(1000);
    stage.connected(0);
    stage.greets(0, 1);
    const ahead = history([0, 100], [1, 500]);
    expect(sent(stage.votes(0, { term: 1n, given: false, flushLsn: 1024n, history: ahead }), "elected")).toEqual([]);
    const padded = stage.handle({ type: "local_flushed", lsn: 1024n });
    expect(sent(padded, "elected")).toMatchObject([{ startStreamingAt: 1024n }]);
    expect(effectsOf(padded, "committed")).toEqual([{ kind: "committed", lsn: 1024n }]);
  });
});

describe("the base check", () => {
  test("storage-protocols.md case 49: X on a page or segment boundary means the record behind the header", () => {
    for (const [start, first] of [
      [0x2000n, 0x2018n],
      [0x1000000n, 0x1000028n],
      [0x1234560n, 0x1234560n],
    ] as const) {
      const stage = new ProposerOnStage({ acceptors: 1 });
      stage.elect([0], { flushLsn: start });
      expect(effectsOf(stage.handle({ type: "server_began", lsn: first }), "failed")).toEqual([]);
    }
    const stage = new ProposerOnStage({ acceptors: 1 });
    stage.elect([0], { flushLsn: 0x2000n });
    expect(effectsOf(stage.handle({ type: "server_began", lsn: 0x2028n }), "failed")).toMatchObject([
      { error: { code: "base_mismatch" } },
    ]);
  });

  test("a proposer restarted under its server goes on only if nobody else wrote", () => {
    const restarted = { acceptors: 1, serverBegan: 500n, lastElectedTerm: 4n };
    const alone = new ProposerOnStage(restarted);
    alone.elect([0], { flushLsn: 900n, history: history([0, 100], [4, 500]) });
    expect(effectsOf(alone.effects, "elected")).toMatchObject([{ startLsn: 900n, donorLastLogTerm: 4n }]);

    const nothingWritten = new ProposerOnStage(restarted);
    nothingWritten.elect([0], { flushLsn: 500n });
    expect(effectsOf(nothingWritten.effects, "elected")).toHaveLength(1);

    const overtaken = new ProposerOnStage(restarted);
    overtaken.connected(0);
    overtaken.greets(0, 5);
    overtaken.votes(0, { term: 6n, flushLsn: 900n, history: history([0, 100], [5, 500]) });
    expect(effectsOf(overtaken.effects, "fenced")).toMatchObject([{ term: 5n }]);
    expect(effectsOf(overtaken.effects, "elected")).toEqual([]);
  });
});

describe("membership", () => {
  const conf = (generation: number) => ({
    generation,
    members: [1n, 2n, 3n].map((nodeId) => ({ nodeId, host: "sk", pgPort: 5454 })),
    newMembers: undefined,
  });

  test("a newer configuration after the campaign began makes it step down and begin again, not fenced", () => {
    const stage = new ProposerOnStage();
    for (const peer of [0, 1]) {
      stage.connected(peer);
      stage.greets(peer, 0, conf(1));
    }
    for (const peer of [0, 1]) stage.votes(peer, { term: 1n, generation: 1 });
    expect(effectsOf(stage.effects, "elected")).toHaveLength(1);
    stage.connected(2);
    expect(effectsOf(stage.greets(2, 1, conf(2)), "stepped_down")).toHaveLength(1);
    stage.wait(1000);
    stage.connected(0);
    stage.connected(1);
    stage.greets(0, 1, conf(2));
    expect(sent(stage.greets(1, 1, conf(2)), "vote_request")).toMatchObject([{ generation: 2, term: 2n }, {}]);
  });

  test("answers and votes of another generation make it step down", () => {
    const stage = new ProposerOnStage();
    stage.elect(ALL);
    expect(effectsOf(stage.answers(0, 500n, { generation: 3 }), "stepped_down")).toHaveLength(1);
  });

  test("another node behind an address does not inherit what its predecessor acknowledged", () => {
    const stage = new ProposerOnStage();
    stage.elect(ALL);
    stage.answers(0, 500n);
    stage.disconnected(0);
    stage.wait(1000);
    stage.connected(0);
    const conf = { generation: 0, members: [], newMembers: undefined };
    stage.says(0, { type: "greeting", nodeId: 77n, conf, term: 0n });
    expect(stage.proposer.state.peers[0]).toMatchObject({ flushLsn: 0n, phase: "wait_verdict" });
  });

  test("nodes that changed addresses are taken in under the new ones", () => {
    const stage = new ProposerOnStage();
    stage.elect([0, 1]);
    for (const peer of [0, 1]) stage.answers(peer, 500n);
    for (const peer of [0, 1]) stage.disconnected(peer);
    stage.wait(1000);
    for (const peer of [0, 1]) stage.connected(peer);
    const conf = { generation: 0, members: [], newMembers: undefined };
    for (const [peer, nodeId] of [
      [0, 2n],
      [1, 1n],
    ] as const)
      expect(sent(stage.says(peer, { type: "greeting", nodeId, conf, term: 1n }), "vote_request")).toHaveLength(1);
  });

  test("one node behind two addresses counts once", () => {
    const stage = new ProposerOnStage();
    stage.connected(0);
    stage.connected(1);
    stage.greets(0, 0);
    const conf = { generation: 0, members: [], newMembers: undefined };
    expect(effectsOf(stage.says(1, { type: "greeting", nodeId: 1n, conf, term: 0n }), "close")).toHaveLength(1);
    expect(sent(stage.effects, "vote_request")).toEqual([]);
  });
});

describe("sync mode", () => {
  test("storage-protocols.md case 42: ends within one round trip after the commit, with a last word to all", () => {
    const stage = new ProposerOnStage({ mode: "sync", acceptors: 3 });
    stage.disconnected(2);
    stage.elect([0, 1]);
    stage.answers(0, 500n);
    const committed = stage.answers(1, 500n);
    expect(sent(committed, "append")).toMatchObject([{ commitLsn: 500n }, { commitLsn: 500n }]);
    expect(effectsOf(committed, "synced")).toEqual([]);
    stage.answers(0, 500n, { commitLsn: 500n });
    const done = stage.answers(1, 500n, { commitLsn: 500n });
    expect(sent(done, "append")).toMatchObject([
      { to: 0, commitLsn: 500n },
      { to: 1, commitLsn: 500n },
    ]);
    expect(effectsOf(done, "synced")).toEqual([{ kind: "synced", lsn: 500n }]);
    expect(effectsOf(done, "close")).toHaveLength(2);
  });

  test("no WAL on the voters: 0, and no `e`", () => {
    const stage = new ProposerOnStage({ mode: "sync", acceptors: 1 });
    stage.elect([0], { flushLsn: 0n, history: [] });
    expect(effectsOf(stage.effects, "synced")).toEqual([{ kind: "synced", lsn: 0n }]);
    expect(sent(stage.effects, "elected")).toEqual([]);
  });

  test("everybody has everything: done at once", () => {
    const stage = new ProposerOnStage({ mode: "sync", acceptors: 1 });
    stage.elect([0], { truncateLsn: 500n });
    expect(effectsOf(stage.effects, "synced")).toEqual([{ kind: "synced", lsn: 500n }]);
    expect(sent(stage.effects, "elected")).toEqual([]);
  });
});

describe("stream mode before the server runs", () => {
  test("`synced` comes with the commit of the start LSN, then the term is held with heartbeats", () => {
    const stage = new ProposerOnStage();
    stage.elect(ALL);
    stage.answers(0, 500n);
    expect(effectsOf(stage.answers(1, 500n), "synced")).toEqual([{ kind: "synced", lsn: 500n }]);
    for (let i = 0; i < 30; i++) {
      expect(sent(stage.wait(1000), "append").length).toBeGreaterThan(0);
      for (const peer of ALL) stage.answers(peer, 500n);
    }
    stage.handle({ type: "server_began", lsn: 500n });
    expect(effectsOf(stage.handle({ type: "local_flushed", lsn: 600n }), "read_wal")).toHaveLength(3);
  });

  test("without WAL anywhere it begins where it was told to", () => {
    const stage = new ProposerOnStage({ acceptors: 1, initialLsn: 0x1000028n });
    stage.elect([0], { flushLsn: 0n, history: [] });
    expect(effectsOf(stage.effects, "elected")).toMatchObject([
      { startLsn: 0x1000028n, history: [{ term: 1n, lsn: 0x1000028n }] },
    ]);
    const lost = new ProposerOnStage({ acceptors: 1 });
    lost.elect([0], { flushLsn: 0n, history: [] });
    expect(effectsOf(lost.effects, "failed")).toMatchObject([{ error: { code: "no_start_lsn" } }]);
  });

  test("a donor that is lost before anybody has its WAL costs another election, not the compute", () => {
    const stage = new ProposerOnStage();
    stage.connected(0);
    stage.connected(1);
    stage.greets(0, 0);
    stage.greets(1, 0);
    stage.votes(0, { term: 1n, flushLsn: 900n });
    stage.votes(1, { term: 1n, flushLsn: 500n });
    stage.disconnected(0);
    stage.connected(2);
    stage.greets(2, 0);
    stage.votes(2, { term: 1n, flushLsn: 500n });
    for (let i = 0; i < 15; i++) {
      for (const peer of [1, 2]) stage.answers(peer, 500n);
      for (const { peer } of effectsOf(stage.wait(1000), "connect")) if (peer === 0) stage.disconnected(0);
    }
    expect(effectsOf(stage.effects, "stepped_down")).toHaveLength(1);
    stage.wait(1000);
    for (const peer of [1, 2]) stage.connected(peer);
    for (const peer of [1, 2]) stage.greets(peer, 1);
    for (const peer of [1, 2]) stage.votes(peer, { term: 2n, flushLsn: 500n });
    expect(effectsOf(stage.effects, "elected").at(-1)).toMatchObject({ term: 2n, startLsn: 500n });
  });
});

test("hot standby feedback is the oldest xmin of the active acceptors, 0 means none", () => {
  const stage = new ProposerOnStage();
  stage.elect([0, 1]);
  const report = (peer: number, time: bigint, xmin: bigint) =>
    effectsOf(stage.answers(peer, 500n, { hotStandby: { time, xmin, catalogXmin: 0n } }), "hot_standby");
  expect(report(0, 10n, 7n)).toMatchObject([{ hotStandby: { time: 10n, xmin: 7n } }]);
  expect(report(1, 5n, 3n)).toMatchObject([{ hotStandby: { time: 10n, xmin: 3n } }]);
  expect(report(1, 11n, 0n)).toMatchObject([{ hotStandby: { time: 11n, xmin: 7n } }]);
  expect(report(0, 12n, 0n)).toMatchObject([{ hotStandby: { time: 12n, xmin: 0n } }]);
  expect(report(0, 12n, 0n)).toEqual([]);
});
