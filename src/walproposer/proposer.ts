import { CodedError } from "../errors/coded_error.ts";
import { formatLsn } from "../wire/lsn.ts";
import type { AcceptorMessage } from "../wire/safekeeper/messages.ts";
import { onAppendResponse, reportCommit } from "./commit.ts";
import { greetPeer, keepConnected, peerGone, unexpected } from "./connection.ts";
import { beganAt, campaignIfPossible, giveUpUnreachableStart, onGreeting, onVote } from "./election.ts";
import { later } from "./lsn_order.ts";
import { collectAgain, failed } from "./outcome.ts";
import type { Peer } from "./peer.ts";
import type { ProposerEffect, ProposerEvent } from "./proposer_events.ts";
import { newProposerState, type ProposerConfig, type ProposerState } from "./proposer_state.ts";
import { keepStreaming, onLocalFlushed, onWal, onWalUnavailable } from "./streaming.ts";

/**
 * A WAL proposer without I/O (contract: storage-protocols.md 5.7.4, 5.7.5): it wins an election over n acceptors, brings
 * them to one log, streams the server's WAL to them and says what is committed. Events go in, effects come out; time is an
 * argument, and the same events give the same effects.
 *
 * Elect before the base backup and go on when the server runs: `stream` mode gives `elected`, then `synced` with the LSN to
 * cut the backup at (only then is it final), holds the term with heartbeats, and streams as soon as `local_flushed` comes.
 *
 * @example
 * const proposer = new Proposer(config);
 * for (const effect of proposer.handle({ type: "tick" }, performance.now())) run(effect);
 */
export class Proposer {
  readonly #state: ProposerState;

  constructor(config: ProposerConfig) {
    this.#state = newProposerState(config);
  }

  /** For status pages and tests; changes with the next event. */
  get state(): Readonly<ProposerState> {
    return this.#state;
  }

  /** What an event leads to, in order. `now`: milliseconds of any clock that does not go back. */
  handle(event: ProposerEvent, now: number): readonly ProposerEffect[] {
    const state = this.#state;
    state.now = now;
    if (state.phase !== "over") dispatch(state, event);
    const { effects } = state;
    state.effects = [];
    return effects;
  }
}

function dispatch(state: ProposerState, event: ProposerEvent): void {
  switch (event.type) {
    case "tick":
      tick(state);
      return;
    case "server_began":
      serverBegan(state, event.lsn);
      return;
    case "local_flushed":
      localFlushed(state, event.lsn);
      return;
    case "local_removed":
      state.localFromLsn = later(state.localFromLsn, event.before);
      return;
    default: {
      const peer = state.peers[event.peer];
      // Of a connection that is given up already.
      if (!peer || peer.phase === "offline" || peer.connection !== event.connection) return;
      peerEvent(state, peer, event);
      return;
    }
  }
}

function peerEvent(
  state: ProposerState,
  peer: Peer,
  event: Extract<ProposerEvent, { readonly connection: number }>,
): void {
  switch (event.type) {
    case "connected":
      peer.heardAt = state.now;
      if (peer.phase === "connecting") greetPeer(state, peer);
      return;
    case "disconnected":
      peerGone(state, peer, event.refusal);
      return;
    case "message":
      peer.heardAt = state.now;
      received(state, peer, event.message);
      return;
    case "wal":
      onWal(state, peer, event.begin, event.bytes);
      return;
    case "wal_unavailable":
      onWalUnavailable(state, peer);
      return;
  }
}

function received(state: ProposerState, peer: Peer, message: AcceptorMessage): void {
  if (peer.phase === "greeting" && message.type === "greeting") onGreeting(state, peer, message);
  else if (peer.phase === "wait_verdict" && message.type === "vote") onVote(state, peer, message);
  else if (peer.phase === "active" && message.type === "append_response") onAppendResponse(state, peer, message);
  else unexpected(state, peer, message, "nothing of the kind was awaited");
}

function tick(state: ProposerState): void {
  if (state.phase === "resting") {
    if (state.now < state.resumeAt) return;
    collectAgain(state);
  }
  keepConnected(state);
  if (state.phase === "collect" && state.overtaken) campaignIfPossible(state);
  if (state.phase !== "elected") return;
  keepStreaming(state);
  giveUpUnreachableStart(state);
}

function serverBegan(state: ProposerState, lsn: bigint): void {
  state.serverBegan = lsn;
  if (state.phase !== "elected" || beganAt(state, state.startLsn)) return;
  const start = formatLsn(state.startLsn);
  failed(
    state,
    new CodedError(
      "base_mismatch",
      `the WAL goes on at ${start}, but the server's first record is at ${formatLsn(lsn)}`,
    ),
  );
}

function localFlushed(state: ProposerState, lsn: bigint): void {
  state.localFlushLsn = later(state.localFlushLsn, lsn);
  if (state.phase !== "elected") return;
  // From here on our WAL is in the world: a later election must find it, or the server began at the same place.
  state.serverBegan ??= state.startLsn;
  if (state.localFlushLsn <= state.available) return;
  state.available = state.localFlushLsn;
  reportCommit(state);
  onLocalFlushed(state);
}
