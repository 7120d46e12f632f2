import { Proposer } from "../../src/walproposer/proposer.ts";
import type { ProposerEffect, ProposerEvent } from "../../src/walproposer/proposer_events.ts";
import type { ProposerConfig } from "../../src/walproposer/proposer_state.ts";
import { NO_CONFIGURATION } from "../../src/wire/safekeeper/configuration.ts";
import type { AcceptorMessage, AppendResponse, ProposerMessage, Vote } from "../../src/wire/safekeeper/messages.ts";
import { NO_HOT_STANDBY } from "../../src/wire/safekeeper/messages.ts";

export type EffectOf<K extends ProposerEffect["kind"]> = Extract<ProposerEffect, { kind: K }>;
type MessageOf<T extends ProposerMessage["type"]> = Extract<ProposerMessage, { type: T }>;

/** A proposer whose acceptors are played by the test. */
export class ProposerOnStage {
  readonly proposer: Proposer;
  now = 0;
  /** All effects so far. */
  readonly effects: ProposerEffect[] = [];
  readonly #connections: number[];

  constructor(config: Partial<ProposerConfig> = {}) {
    const acceptors = config.acceptors ?? 3;
    this.#connections = Array.from({ length: acceptors }, () => 0);
    this.proposer = new Proposer({
      tenantId: "a".repeat(32),
      timelineId: "b".repeat(32),
      pgVersion: 170_005,
      systemId: 7n,
      walSegSize: 0x1000000,
      acceptors,
      mode: "stream",
      ...config,
    });
    this.handle({ type: "tick" });
  }

  /** What this event led to. */
  handle(event: ProposerEvent): readonly ProposerEffect[] {
    const effects = this.proposer.handle(event, this.now);
    for (const effect of effects) if (effect.kind === "connect") this.#connections[effect.peer] = effect.connection;
    this.effects.push(...effects);
    return effects;
  }

  /** Time passes in ticks of 250 ms. */
  wait(milliseconds: number): readonly ProposerEffect[] {
    const before = this.effects.length;
    for (const end = this.now + milliseconds; this.now < end; ) {
      this.now += 250;
      this.handle({ type: "tick" });
    }
    return this.effects.slice(before);
  }

  connected(peer: number): readonly ProposerEffect[] {
    return this.handle({ type: "connected", peer, connection: this.#connections[peer]! });
  }

  disconnected(peer: number): readonly ProposerEffect[] {
    return this.handle({ type: "disconnected", peer, connection: this.#connections[peer]! });
  }

  says(peer: number, message: AcceptorMessage): readonly ProposerEffect[] {
    return this.handle({ type: "message", peer, connection: this.#connections[peer]!, message });
  }

  greets(peer: number, term: number, conf = NO_CONFIGURATION): readonly ProposerEffect[] {
    return this.says(peer, { type: "greeting", nodeId: BigInt(peer + 1), conf, term: BigInt(term) });
  }

  votes(peer: number, vote: Partial<Vote> & { readonly term: bigint }): readonly ProposerEffect[] {
    return this.says(peer, {
      type: "vote",
      generation: 0,
      given: true,
      flushLsn: 500n,
      truncateLsn: 0n,
      history: [{ term: 0n, lsn: 100n }],
      ...vote,
    });
  }

  answers(peer: number, flushLsn: bigint, change: Partial<AppendResponse> = {}): readonly ProposerEffect[] {
    return this.says(peer, {
      type: "append_response",
      generation: 0,
      term: this.proposer.state.term,
      flushLsn,
      commitLsn: 0n,
      hotStandby: NO_HOT_STANDBY,
      ...change,
    });
  }

  givesWal(read: EffectOf<"read_wal">, length = Number(read.end - read.begin)): readonly ProposerEffect[] {
    const { peer, connection, begin } = read;
    return this.handle({ type: "wal", peer, connection, begin, bytes: new Uint8Array(length) });
  }

  /** These peers connect, greet with term 0 and vote; all at LSN 500 unless told. */
  elect(peers: readonly number[], vote: Partial<Vote> = {}): void {
    for (const peer of peers) this.connected(peer);
    for (const peer of peers) this.greets(peer, 0);
    for (const peer of peers) this.votes(peer, { term: 1n, ...vote });
  }
}

export function effectsOf<K extends ProposerEffect["kind"]>(
  effects: readonly ProposerEffect[],
  kind: K,
): EffectOf<K>[] {
  return effects.filter((effect): effect is EffectOf<K> => effect.kind === kind);
}

/** What was sent, to whom. */
export function sent<T extends ProposerMessage["type"]>(
  effects: readonly ProposerEffect[],
  type: T,
): (MessageOf<T> & { readonly to: number })[] {
  return effectsOf(effects, "send").flatMap(({ peer, message }) =>
    message.type === type ? [{ ...(message as MessageOf<T>), to: peer }] : [],
  );
}
