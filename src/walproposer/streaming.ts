import { CodedError } from "../errors/coded_error.ts";
import { formatLsn, type Lsn } from "../wire/lsn.ts";
import { MAX_APPEND_BYTES } from "../wire/safekeeper/messages.ts";
import { dropPeer, log, send } from "./connection.ts";
import { earlier } from "./lsn_order.ts";
import type { Peer } from "./peer.ts";
import type { WalSource } from "./proposer_events.ts";
import type { ProposerState } from "./proposer_state.ts";
import { streamingStart } from "./term_history.ts";

/** How often an active peer hears from us when there is nothing to say, in milliseconds. */
const HEARTBEAT_MS = 1_000;
/** How long after a failed read the next one follows, in milliseconds. */
const READ_AGAIN_MS = 1_000;

/**
 * Sends `e` to a peer that has voted, then its WAL (contract: storage-protocols.md 5.7.5 S). A peer whose log ends above
 * what can be sent (a switch record makes its end jump) waits in `voted` until the server has flushed that far.
 */
export function sendElected(state: ProposerState, peer: Peer): void {
  if (!peer.vote) return;
  let start: Lsn;
  try {
    start = streamingStart(state.history, peer.vote.history, peer.vote.flushLsn);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    log(state, "error", `acceptor ${peer.index}: ${error.message}`);
    dropPeer(state, peer);
    return;
  }
  if (start > state.available) return;
  send(state, peer, {
    type: "elected",
    generation: state.conf.generation,
    term: state.term,
    startStreamingAt: start,
    history: state.history,
  });
  peer.phase = "active";
  peer.position = start;
  if (!stream(state, peer)) sendAppend(state, peer, NOTHING);
}

const NOTHING = new Uint8Array(0);

/** Asks for the next WAL this peer needs; false when there is none. */
function stream(state: ProposerState, peer: Peer): boolean {
  if (peer.phase !== "active" || peer.position >= state.available) return false;
  if (peer.reading || peer.readAgainAt !== undefined) return true;
  const begin = peer.position;
  let end = earlier(begin + BigInt(MAX_APPEND_BYTES), state.available);
  // Below the start LSN the local directory holds zeros of a base backup, never WAL.
  const localFrom = state.localFromLsn > state.startLsn ? state.localFromLsn : state.startLsn;
  let source: WalSource | undefined = { from: "local" };
  if (begin < localFrom) {
    end = earlier(end, begin < state.startLsn ? state.startLsn : localFrom);
    source = pickPeerSource(state, peer, end);
  }
  if (!source) {
    log(state, "warn", `nobody has WAL from ${formatLsn(begin)} for acceptor ${peer.index}, will ask again`);
    peer.readAgainAt = state.now + READ_AGAIN_MS;
    return true;
  }
  peer.reading = true;
  state.effects.push({ kind: "read_wal", peer: peer.index, connection: peer.connection, begin, end, source });
  return true;
}

/** The donor, or an active peer that acknowledged the bytes in this term. */
function pickPeerSource(state: ProposerState, peer: Peer, end: Lsn): WalSource | undefined {
  const sources = peerSources(state, peer, end);
  const source = sources[peer.sourceTurn % Math.max(1, sources.length)];
  return source && { from: "peer", peer: source.index, term: state.term };
}

function peerSources(state: ProposerState, peer: Peer, end: Lsn): Peer[] {
  return state.peers.filter(
    (other) =>
      other !== peer &&
      ((other.index === state.donor && end <= state.startLsn) || (other.phase === "active" && other.flushLsn >= end)),
  );
}

/** The bytes that were asked for have come: send them, ask for more. */
export function onWal(state: ProposerState, peer: Peer, begin: Lsn, bytes: Uint8Array): void {
  if (!peer.reading || begin !== peer.position || bytes.length === 0) return;
  peer.reading = false;
  peer.failedReads = 0;
  sendAppend(state, peer, bytes);
  stream(state, peer);
}

/** The next source is asked at once; when all of them failed, after a while. */
export function onWalUnavailable(state: ProposerState, peer: Peer): void {
  if (!peer.reading) return;
  peer.reading = false;
  peer.sourceTurn++;
  peer.failedReads++;
  if (peer.failedReads < peerSources(state, peer, peer.position).length) {
    stream(state, peer);
    return;
  }
  peer.failedReads = 0;
  peer.readAgainAt = state.now + READ_AGAIN_MS;
}

/** More of the local WAL may be sent; who waited for that gets its `e`. */
export function onLocalFlushed(state: ProposerState): void {
  for (const peer of state.peers)
    if (peer.phase === "voted") sendElected(state, peer);
    else stream(state, peer);
}

/**
 * Tells every active peer the current commit and truncate LSN. A lone acceptor decides commits by itself: it hears with the
 * next WAL, or at the next tick, because a message of its own and its answer would cost every commit a fifth of its rate.
 */
export function announce(state: ProposerState): void {
  if (state.peers.length === 1 && state.synced) return;
  for (const peer of state.peers) if (peer.phase === "active") sendAppend(state, peer, NOTHING);
}

/** Heartbeats, and reads that are due again. */
export function keepStreaming(state: ProposerState): void {
  for (const peer of state.peers) {
    if (peer.phase !== "active") continue;
    if (peer.readAgainAt !== undefined && state.now >= peer.readAgainAt) {
      peer.readAgainAt = undefined;
      stream(state, peer);
    }
    if (state.now - peer.sentAt >= HEARTBEAT_MS || peer.sentCommitLsn < state.commitLsn)
      sendAppend(state, peer, NOTHING);
  }
}

function sendAppend(state: ProposerState, peer: Peer, wal: Uint8Array): void {
  const beginLsn = peer.position;
  const endLsn = beginLsn + BigInt(wal.length);
  peer.position = endLsn;
  peer.sentAt = state.now;
  peer.sentCommitLsn = state.commitLsn;
  send(state, peer, {
    type: "append",
    generation: state.conf.generation,
    term: state.term,
    beginLsn,
    endLsn,
    commitLsn: state.commitLsn,
    truncateLsn: state.truncateLsn,
    wal,
  });
}
