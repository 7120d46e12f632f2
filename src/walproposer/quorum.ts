import type { Lsn } from "../wire/lsn.ts";
import { earlier } from "./lsn_order.ts";
import type { Peer } from "./peer.ts";
import type { ProposerState } from "./proposer_state.ts";

/** One set of acceptors of which a quorum is needed; a member that no address leads to is undefined. */
type CountedSet = readonly (Peer | undefined)[];

/**
 * Who counts (contract: storage-protocols.md 5.7.4): without a configuration all addresses; with one its members, matched by
 * node id, and in a joint configuration also the new members.
 */
function countedSets(state: ProposerState): readonly CountedSet[] {
  const { conf, peers } = state;
  if (conf.generation === 0) return [peers];
  const sets = conf.newMembers ? [conf.members, conf.newMembers] : [conf.members];
  return sets.map((set) => set.map((member) => peers.find((peer) => peer.nodeId === member.nodeId)));
}

function quorum(size: number): number {
  return Math.floor(size / 2) + 1;
}

/** True when in every counted set a quorum fulfils the condition. */
export function quorumOf(state: ProposerState, fulfils: (peer: Peer) => boolean): boolean {
  return countedSets(state).every((set) => set.filter((peer) => peer && fulfils(peer)).length >= quorum(set.length));
}

/** The greatest LSN that in every counted set a quorum has reached. */
export function quorumLsn(state: ProposerState, reached: (peer: Peer) => Lsn): Lsn {
  return countedSets(state)
    .map((set) => {
      const lsns = set.map((peer) => (peer ? reached(peer) : 0n)).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
      return lsns[lsns.length - quorum(lsns.length)] ?? 0n;
    })
    .reduce(earlier);
}

export function isCounted(state: ProposerState, peer: Peer): boolean {
  return countedSets(state).some((set) => set.includes(peer));
}
