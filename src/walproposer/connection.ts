import { NO_CONFIGURATION } from "../wire/safekeeper/configuration.ts";
import { type AcceptorMessage, NO_HOT_STANDBY, type ProposerMessage } from "../wire/safekeeper/messages.ts";
import type { Peer } from "./peer.ts";
import type { ProposerState } from "./proposer_state.ts";

/** How long after a dial the next one may follow, in milliseconds (`neon.safekeeper_reconnect_timeout`). */
const RECONNECT_MS = 1_000;
/** How long a peer may be silent, also while connecting or waiting (`neon.safekeeper_connect_timeout`). */
const SILENCE_MS = 10_000;
/** Every so many refusals in a row are worth an error in the log. */
const REFUSALS_TO_REPORT = 10;

/** Dials what is due and drops who has been silent for too long. */
export function keepConnected(state: ProposerState): void {
  for (const peer of state.peers) {
    if (peer.phase !== "offline" && state.now - peer.heardAt >= SILENCE_MS) {
      log(state, "warn", `acceptor ${peer.index} was silent for ${SILENCE_MS} ms in ${peer.phase}: reconnecting`);
      dropPeer(state, peer);
    }
    if (peer.phase === "offline" && state.now >= peer.dialAt) dial(state, peer);
  }
}

function dial(state: ProposerState, peer: Peer): void {
  peer.phase = "connecting";
  peer.connection++;
  peer.dialAt = state.now + RECONNECT_MS;
  peer.heardAt = state.now;
  state.effects.push({ kind: "connect", peer: peer.index, connection: peer.connection });
}

export function greetPeer(state: ProposerState, peer: Peer): void {
  const { tenantId, timelineId, pgVersion, systemId, walSegSize } = state.config;
  peer.phase = "greeting";
  send(state, peer, {
    type: "greeting",
    tenantId,
    timelineId,
    conf: NO_CONFIGURATION,
    pgVersion,
    systemId,
    walSegSize,
  });
}

export function send(state: ProposerState, peer: Peer, message: ProposerMessage): void {
  state.effects.push({ kind: "send", peer: peer.index, connection: peer.connection, message });
}

/** The peer (or the network) ended the connection. */
export function peerGone(state: ProposerState, peer: Peer, refusal: string | undefined): void {
  if (refusal !== undefined) {
    peer.refusals++;
    const stuck = peer.refusals % REFUSALS_TO_REPORT === 0;
    const often = stuck ? ` (${peer.refusals} times in a row without progress)` : "";
    log(state, stuck ? "error" : "warn", `acceptor ${peer.index} refused in ${peer.phase}${often}: ${refusal}`);
  }
  goOffline(peer);
}

/** We end the connection; it is dialled again a second after its last dial. */
export function dropPeer(state: ProposerState, peer: Peer): void {
  if (peer.phase === "offline") return;
  state.effects.push({ kind: "close", peer: peer.index, connection: peer.connection });
  goOffline(peer);
}

/** The vote and the position belong to the connection; what the peer acknowledged is durable and stays. */
function goOffline(peer: Peer): void {
  peer.phase = "offline";
  peer.vote = undefined;
  peer.position = 0n;
  peer.reading = false;
  peer.readAgainAt = undefined;
  peer.failedReads = 0;
  peer.answered = false;
  peer.hotStandby = NO_HOT_STANDBY;
}

/** The peer said something that cannot be right here. */
export function unexpected(state: ProposerState, peer: Peer, message: AcceptorMessage, why: string): void {
  log(state, "warn", `acceptor ${peer.index} sent ${message.type} in ${peer.phase}: ${why}: reconnecting`);
  dropPeer(state, peer);
}

export function log(state: ProposerState, level: "info" | "warn" | "error", message: string): void {
  state.effects.push({ kind: "log", level, message });
}
