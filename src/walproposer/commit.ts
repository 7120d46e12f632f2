import type { Lsn } from "../wire/lsn.ts";
import type { AppendResponse, HotStandbyFeedback } from "../wire/safekeeper/messages.ts";
import { unexpected } from "./connection.ts";
import { earlier, later } from "./lsn_order.ts";
import { finished, outvoted, stepDown } from "./outcome.ts";
import { hear } from "./overtaken.ts";
import type { Peer } from "./peer.ts";
import type { ProposerState } from "./proposer_state.ts";
import { quorumLsn, quorumOf } from "./quorum.ts";
import { announce } from "./streaming.ts";

/** Rule A (contract: storage-protocols.md 5.7.5). */
export function onAppendResponse(state: ProposerState, peer: Peer, message: AppendResponse): void {
  hear(state, peer, message.term);
  if (message.term > state.term) {
    outvoted(state, message.term);
    return;
  }
  if (message.term < state.term) {
    unexpected(state, peer, message, `its term ${message.term} is below ours, ${state.term}`);
    return;
  }
  if (message.generation !== state.conf.generation) {
    stepDown(
      state,
      `acceptor ${peer.index} answered in configuration ${message.generation}, not in ${state.conf.generation}`,
    );
    return;
  }
  // Repeated, not newer values are normal: a safekeeper repeats its last answer with a pageserver's feedback.
  if (message.flushLsn > peer.flushLsn) {
    peer.refusals = 0;
    state.progressAt = state.now;
  }
  peer.flushLsn = later(peer.flushLsn, message.flushLsn);
  peer.commitLsn = later(peer.commitLsn, message.commitLsn);
  peer.answered = true;
  peer.hotStandby = message.hotStandby;
  if (message.feedback)
    state.effects.push({ kind: "pageserver_feedback", peer: peer.index, feedback: message.feedback });
  advanceCommit(state);
  reportHotStandby(state);
  endSync(state);
}

/**
 * A node's value is what it acknowledged, if that reaches our term's start, else 0: WAL of older terms is committed only
 * once the own term's start is (Raft's rule).
 */
function quorumCommit(state: ProposerState): Lsn {
  return quorumLsn(state, (peer) => (peer.flushLsn >= state.startLsn ? peer.flushLsn : 0n));
}

function advanceCommit(state: ProposerState): void {
  const candidate = quorumCommit(state);
  const rose = candidate > state.commitLsn;
  if (rose) state.commitLsn = candidate;
  const everyone = state.peers.map((peer) => peer.flushLsn).reduce(earlier);
  state.truncateLsn = later(state.truncateLsn, earlier(state.commitLsn, everyone));
  if (!rose) return;
  reportCommit(state);
  announce(state);
  if (state.config.mode === "stream" && !state.synced) {
    state.synced = true;
    state.effects.push({ kind: "synced", lsn: state.startLsn });
  }
}

/** A switch record lets acceptors be ahead of the server, so the server hears of what it has itself (5.10). */
export function reportCommit(state: ProposerState): void {
  const lsn = earlier(state.commitLsn, state.available);
  if (lsn <= state.reportedCommitLsn) return;
  state.reportedCommitLsn = lsn;
  state.effects.push({ kind: "committed", lsn });
}

function reportHotStandby(state: ProposerState): void {
  const reports = state.peers.filter((peer) => peer.phase === "active").map((peer) => peer.hotStandby);
  const combined: HotStandbyFeedback = {
    time: reports.map((report) => report.time).reduce(later, 0n),
    xmin: oldest(reports.map((report) => report.xmin)),
    catalogXmin: oldest(reports.map((report) => report.catalogXmin)),
  };
  const last = state.reportedHotStandby;
  if (combined.time === last.time && combined.xmin === last.xmin && combined.catalogXmin === last.catalogXmin) return;
  state.reportedHotStandby = combined;
  state.effects.push({ kind: "hot_standby", hotStandby: combined });
}

/** 0 says "none" and holds nothing back. */
function oldest(xmins: readonly bigint[]): bigint {
  return xmins.filter((xmin) => xmin !== 0n).reduce((a, b) => (a === 0n ? b : earlier(a, b)), 0n);
}

/** Sync mode is done when a quorum flushed the start LSN and every connection stored it as committed (5.9). */
function endSync(state: ProposerState): void {
  if (state.config.mode !== "sync" || state.phase !== "elected") return;
  const { startLsn } = state;
  const stored = state.peers.every((peer) => peer.phase === "offline" || (peer.answered && peer.commitLsn >= startLsn));
  if (!stored || !quorumOf(state, (peer) => peer.flushLsn >= startLsn)) return;
  announce(state);
  finished(state, startLsn);
}
