import type { CodedError } from "../errors/coded_error.ts";
import { dropPeer } from "./connection.ts";
import { later } from "./lsn_order.ts";
import { overtakenByQuorum } from "./overtaken.ts";
import type { ProposerState } from "./proposer_state.ts";

/** How long a proposer rests after stepping down, in milliseconds. */
const REST_MS = 1_000;

/**
 * This attempt failed, or the membership changed: forget connections, acknowledged positions and the term, rest, begin
 * again (contract: storage-protocols.md 5.7.4). What the server wrote is still there.
 */
export function stepDown(state: ProposerState, reason: string): void {
  leave(state);
  for (const peer of state.peers) {
    peer.flushLsn = 0n;
    peer.commitLsn = 0n;
  }
  state.phase = "resting";
  state.resumeAt = state.now + REST_MS;
  state.term = 0n;
  state.effects.push({ kind: "stepped_down", reason });
}

/** The rest is over: terms begin above all we have heard of. */
export function collectAgain(state: ProposerState): void {
  state.phase = "collect";
  state.collectingSince = state.now;
  state.term = state.peers.map((peer) => peer.heardTerm).reduce(later);
}

/** Somebody else was elected after us: the server must not go on. Nothing is done any more. */
export function fenced(state: ProposerState, term: bigint, reason: string): void {
  leave(state);
  state.phase = "over";
  state.effects.push({ kind: "fenced", term, reason });
}

/**
 * A term above our own was seen. Before our election that is a lost race. After it, a quorum that voted for others proves
 * that another compute took over (with one acceptor that is every higher term): fenced. Less than that may be the trace of a
 * candidate that died: step down, and find out before campaigning again.
 */
export function outvoted(state: ProposerState, term: bigint): void {
  if (state.phase !== "elected") {
    stepDown(state, `term ${term} is not below our candidate term ${state.term}`);
    return;
  }
  state.overtaken = true;
  const reason = `term ${term} follows our term ${state.term}, meaning another compute is running at the same time, and it conflicts with us`;
  if (overtakenByQuorum(state)) fenced(state, term, reason);
  else stepDown(state, reason);
}

export function failed(state: ProposerState, error: CodedError): void {
  leave(state);
  state.phase = "over";
  state.effects.push({ kind: "failed", error });
}

/** Sync mode came to its end. */
export function finished(state: ProposerState, lsn: bigint): void {
  leave(state);
  state.phase = "over";
  state.synced = true;
  state.effects.push({ kind: "synced", lsn });
}

function leave(state: ProposerState): void {
  for (const peer of state.peers) dropPeer(state, peer);
}
