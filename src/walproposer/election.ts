import { CodedError } from "../errors/coded_error.ts";
import { formatLsn, type Lsn } from "../wire/lsn.ts";
import type { AcceptorGreeting, Vote } from "../wire/safekeeper/messages.ts";
import { log, send, unexpected } from "./connection.ts";
import { later } from "./lsn_order.ts";
import { failed, fenced, finished, outvoted, stepDown } from "./outcome.ts";
import { hear, maybeOvertakenByQuorum, overtakenByQuorum } from "./overtaken.ts";
import type { Peer } from "./peer.ts";
import type { ProposerState } from "./proposer_state.ts";
import { isCounted, quorumOf } from "./quorum.ts";
import { sendElected } from "./streaming.ts";
import { cutHistory, lastLogTerm } from "./term_history.ts";
import { skipPageHeader } from "./wal_page.ts";

/** How long a quorum may be connected without any progress towards the start LSN, in milliseconds. */
const NO_PROGRESS_MS = 15_000;

/** How long one who was overtaken waits for news of the silent acceptors before it campaigns, in milliseconds. */
const OVERTAKEN_VERDICT_MS = 3_000;

/** Rule G (contract: storage-protocols.md 5.7.5). */
export function onGreeting(state: ProposerState, peer: Peer, message: AcceptorGreeting): void {
  const twin = state.peers.find((other) => other !== peer && other.nodeId === message.nodeId);
  if (twin && ["wait_voting", "wait_verdict", "voted", "active"].includes(twin.phase)) {
    unexpected(state, peer, message, `it has the node id ${message.nodeId} of acceptor ${twin.index} as well`);
    return;
  }
  // The node moved to another address.
  if (twin) becomeNode(twin, undefined);
  if (peer.nodeId !== message.nodeId) becomeNode(peer, message.nodeId);
  hear(state, peer, message.term);
  if (message.conf.generation > state.conf.generation) {
    const known = state.conf.generation;
    state.conf = message.conf;
    if (state.phase !== "collect") {
      stepDown(state, `membership configuration ${message.conf.generation} replaces ${known}`);
      return;
    }
  }
  if (state.phase === "collect") {
    peer.phase = "wait_voting";
    state.term = later(state.term, message.term);
    campaignIfPossible(state);
  } else if (message.term > state.term) outvoted(state, message.term);
  else requestVote(state, peer);
}

/** Another node is behind an address: what its predecessor acknowledged says nothing about it. */
function becomeNode(peer: Peer, nodeId: bigint | undefined): void {
  peer.nodeId = nodeId;
  peer.flushLsn = 0n;
  peer.commitLsn = 0n;
  peer.heardTerm = 0n;
  peer.foreignTerm = 0n;
}

/** Begins the campaign when a quorum has greeted us. Who was overtaken first looks whether another compute runs. */
export function campaignIfPossible(state: ProposerState): void {
  if (state.config.requireConfiguration && state.conf.generation === 0) return;
  if (!quorumOf(state, (peer) => peer.phase === "wait_voting")) return;
  if (state.overtaken) {
    const term = state.peers.map((peer) => peer.foreignTerm).reduce(later);
    if (overtakenByQuorum(state)) {
      fenced(state, term, `a quorum went on to term ${term}: another compute took over`);
      return;
    }
    if (maybeOvertakenByQuorum(state) && state.now - state.collectingSince < OVERTAKEN_VERDICT_MS) return;
  }
  state.term += 1n;
  state.phase = "campaign";
  state.requestedTerms.push(state.term);
  for (const peer of state.peers) if (peer.phase === "wait_voting") requestVote(state, peer);
}

function requestVote(state: ProposerState, peer: Peer): void {
  peer.phase = "wait_verdict";
  send(state, peer, { type: "vote_request", generation: state.conf.generation, term: state.term });
}

/** Rule V. A vote that was not given for our own term is no fencing once we are elected: it was given to us before. */
export function onVote(state: ProposerState, peer: Peer, vote: Vote): void {
  hear(state, peer, vote.term);
  if (vote.generation !== state.conf.generation) {
    stepDown(
      state,
      `acceptor ${peer.index} voted in configuration ${vote.generation}, not in ${state.conf.generation}`,
    );
    return;
  }
  if (vote.term > state.term) {
    outvoted(state, vote.term);
    return;
  }
  if (vote.term < state.term) {
    unexpected(state, peer, vote, `its term ${vote.term} is below the term ${state.term} that it was asked for`);
    return;
  }
  if (!vote.given && state.phase === "campaign") {
    stepDown(state, `acceptor ${peer.index} gave its vote of term ${vote.term} to another proposer`);
    return;
  }
  peer.vote = { ...vote, history: cutHistory(vote.history, vote.flushLsn) };
  peer.phase = "voted";
  if (state.phase === "elected") sendElected(state, peer);
  else if (quorumOf(state, (voter) => voter.phase === "voted")) win(state);
}

/** Rule E. */
function win(state: ProposerState): void {
  const { config } = state;
  const votes = state.peers.flatMap((peer) => (peer.vote && isCounted(state, peer) ? [{ peer, vote: peer.vote }] : []));
  const donor = votes.reduce((best, candidate) => (isBetterDonor(candidate.vote, best.vote) ? candidate : best));
  const donorLastLogTerm = lastLogTerm(donor.vote.history, donor.vote.flushLsn);
  let startLsn = donor.vote.flushLsn;
  let truncateLsn = votes.map(({ vote }) => vote.truncateLsn).reduce(later);
  // A history that starts at 0/0 would spoil the timeline, so no `e` is sent (contract: storage-protocols.md 5.9).
  if (startLsn === 0n && config.mode === "sync") {
    finished(state, 0n);
    return;
  }
  if (startLsn === 0n) {
    if (!config.initialLsn) {
      failed(
        state,
        new CodedError("no_start_lsn", "no acceptor has WAL of this timeline, and it is not known where it begins"),
      );
      return;
    }
    startLsn = config.initialLsn;
    truncateLsn = startLsn;
  }
  const ownWal = state.electedTerms.includes(donorLastLogTerm);
  if (!ownWal && !beganAt(state, startLsn)) {
    fenced(
      state,
      donorLastLogTerm,
      `the WAL ends at ${formatLsn(startLsn)} in term ${donorLastLogTerm}, but this server began at ${formatLsn(state.serverBegan ?? 0n)}: another compute wrote meanwhile`,
    );
    return;
  }
  state.phase = "elected";
  state.startLsn = startLsn;
  state.truncateLsn = truncateLsn;
  state.donor = donor.peer.index;
  state.available = ownWal || state.serverBegan !== undefined ? later(startLsn, state.localFlushLsn) : startLsn;
  state.commitLsn = 0n;
  state.synced = false;
  state.progressAt = state.now;
  state.history = [...donor.vote.history, { term: state.term, lsn: startLsn }];
  state.electedTerms.push(state.term);
  state.overtaken = false;
  const { term, history } = state;
  state.effects.push({ kind: "elected", term, startLsn, donor: state.donor, donorLastLogTerm, history });
  log(state, "info", `elected in term ${term}, WAL goes on at ${formatLsn(startLsn)}, donor ${state.donor}`);
  if (config.mode === "sync" && truncateLsn === startLsn) {
    finished(state, startLsn);
    return;
  }
  for (const peer of state.peers) if (peer.phase === "voted") sendElected(state, peer);
}

/** The log that ends in the later term wins, then the longer one. */
function isBetterDonor(candidate: Vote, best: Vote): boolean {
  const term = lastLogTerm(candidate.history, candidate.flushLsn);
  const bestTerm = lastLogTerm(best.history, best.flushLsn);
  return term > bestTerm || (term === bestTerm && candidate.flushLsn > best.flushLsn);
}

/**
 * A donor that dies before anyone else has its WAL leaves a leader that can never commit, although a quorum is there. While
 * nobody has built on our start LSN, another election finds one that this quorum can reach.
 */
export function giveUpUnreachableStart(state: ProposerState): void {
  if (state.synced || state.serverBegan !== undefined || state.now - state.progressAt < NO_PROGRESS_MS) return;
  if (!quorumOf(state, (peer) => peer.phase === "active")) return;
  stepDown(state, `nobody can give the WAL up to ${formatLsn(state.startLsn)} (acceptor ${state.donor} had it)`);
}

/** The base check: a running server must have begun where the WAL of all earlier terms ends. */
export function beganAt(state: ProposerState, startLsn: Lsn): boolean {
  const { walSegSize } = state.config;
  return (
    state.serverBegan === undefined ||
    skipPageHeader(state.serverBegan, walSegSize) === skipPageHeader(startLsn, walSegSize)
  );
}
