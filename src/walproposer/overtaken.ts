import { later } from "./lsn_order.ts";
import type { Peer } from "./peer.ts";
import type { ProposerState } from "./proposer_state.ts";
import { quorumOf } from "./quorum.ts";

/** Remembers a term a peer spoke of, and whether somebody else must have asked for it. */
export function hear(state: ProposerState, peer: Peer, term: bigint): void {
  peer.heardTerm = later(peer.heardTerm, term);
  if (!state.requestedTerms.includes(term)) peer.foreignTerm = later(peer.foreignTerm, term);
}

/** A quorum of acceptors moved on to terms that others asked for after our last election. */
export function overtakenByQuorum(state: ProposerState): boolean {
  return quorumOf(state, (peer) => votedForOthers(state, peer));
}

/** Whether a quorum can have moved on, as far as we know: who has not greeted us again may have. */
export function maybeOvertakenByQuorum(state: ProposerState): boolean {
  return quorumOf(state, (peer) => peer.phase !== "wait_voting" || votedForOthers(state, peer));
}

function votedForOthers(state: ProposerState, peer: Peer): boolean {
  return peer.foreignTerm > (state.electedTerms.at(-1) ?? 0n);
}
