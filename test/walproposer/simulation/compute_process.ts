import { Proposer } from "../../../src/walproposer/proposer.ts";
import type { ProposerEffect, ProposerEvent } from "../../../src/walproposer/proposer_events.ts";
import { formatLsn, type Lsn } from "../../../src/wire/lsn.ts";
import { PG_VERSION, TENANT, TIMELINE } from "./acceptor_process.ts";
import { fakeRecord, paddingAfter, SEGMENT_BYTES } from "./fake_wal.ts";
import type { Connection } from "./network.ts";
import { type ServerWal, Violation } from "./oracle.ts";
import { Random } from "./random.ts";
import type { World } from "./world.ts";

type Effect<K extends ProposerEffect["kind"]> = Extract<ProposerEffect, { kind: K }>;

/** A compute: the proposer, its driver, and a server that writes once it is elected. */
export class ComputeProcess {
  readonly id: number;
  readonly #world: World;
  readonly #random: Random;
  readonly #proposer: Proposer;
  readonly #connections = new Map<number, Connection>();
  /** Shared with the oracle. New with each election until the server runs. */
  #server: ServerWal = { beganAt: 0n, bytes: [] };
  #serverRuns = false;
  #term = 0n;
  #records = 0;
  #padding = 0;
  #committed: Lsn = 0n;
  /** Bytes. */
  readonly #mostRead: number;
  /** Its server writes as soon as it is elected, like Neon's; else once the start LSN is committed. */
  readonly eager: boolean;
  alive = true;
  synced = false;

  constructor(world: World, id: number) {
    this.#world = world;
    this.id = id;
    this.#random = new Random(world.plan.seed, 2_000_000 + id);
    this.#mostRead = this.#random.pick([16, 1_000, 1_000]);
    this.eager = this.#random.chance(0.5);
    this.#proposer = new Proposer({
      tenantId: TENANT,
      timelineId: TIMELINE,
      pgVersion: PG_VERSION,
      systemId: 7n,
      walSegSize: SEGMENT_BYTES,
      acceptors: world.plan.acceptors,
      mode: "stream",
    });
    const tick = () => {
      if (!this.alive) return;
      this.#handle({ type: "tick" });
      world.timeline.after(250, tick);
    };
    tick();
  }

  get term(): bigint {
    return this.#term;
  }

  /** Elected and not told otherwise. */
  get leads(): boolean {
    return this.alive && this.#proposer.state.phase === "elected";
  }

  /** End of what the server wrote. */
  get walEnd(): Lsn {
    return this.#server.beganAt + BigInt(this.#server.bytes.length);
  }

  get committed(): Lsn {
    return this.#committed;
  }

  kill(): void {
    if (!this.alive) return;
    this.#world.trace(() => `compute ${this.id} dies`);
    this.alive = false;
    for (const connection of this.#connections.values()) connection.closeFromCompute();
  }

  /** The server writes; its flush may pause in the middle of a record. */
  write(records: number, switches: boolean, flushAll = false): void {
    if (!this.alive || !this.#serverRuns) return;
    const wal = this.#server.bytes;
    this.#pad();
    for (let i = 0; i < records; i++) {
      const isSwitch = switches && this.#random.chance(0.15);
      const length = isSwitch ? 8 : this.#random.pick([8, 16, 24, 32] as const);
      wal.push(...fakeRecord(this.id + 1, this.#records++, length, isSwitch));
      if (!isSwitch) continue;
      this.#padding = paddingAfter(this.walEnd);
      if (flushAll || i < records - 1 || this.#random.chance(0.5)) this.#pad();
      // The padding becomes available some time after the record, as in a real server.
      else
        this.#world.timeline.after(this.#random.int(1, 1_500), () => {
          this.#pad();
          this.#flushed(this.walEnd);
        });
    }
    const end = this.walEnd;
    const part = flushAll ? end : end - BigInt(this.#random.int(0, 40));
    this.#flushed(part);
    if (part < end) this.#world.timeline.after(this.#random.int(1, 600), () => this.#flushed(end));
  }

  /** Writes the zeros that are still missing behind a switch record. */
  #pad(): void {
    for (; this.#padding > 0; this.#padding--) this.#server.bytes.push(0);
  }

  #began(): void {
    const lsn = this.#server.beganAt;
    this.#serverRuns = true;
    this.#world.timeline.after(0, () => this.#handle({ type: "server_began", lsn }));
  }

  #flushed(lsn: Lsn): void {
    if (lsn > this.#server.beganAt) this.#handle({ type: "local_flushed", lsn });
  }

  #handle(event: ProposerEvent): void {
    if (!this.alive) return;
    for (const effect of this.#proposer.handle(event, this.#world.timeline.now)) this.#do(effect);
  }

  #do(effect: ProposerEffect): void {
    const { oracle } = this.#world;
    if (effect.kind !== "send" && effect.kind !== "read_wal" && effect.kind !== "close")
      this.#world.trace(() => `compute ${this.id} ${describe(effect)}`);
    switch (effect.kind) {
      case "connect":
        this.#connect(effect);
        return;
      case "send":
        this.#connections.get(effect.peer)?.sendToAcceptor(effect.message);
        return;
      case "close":
        this.#connections.get(effect.peer)?.closeFromCompute();
        this.#connections.delete(effect.peer);
        return;
      case "read_wal":
        this.#read(effect);
        return;
      case "elected":
        this.#term = effect.term;
        this.synced = false;
        if (!this.#serverRuns) this.#server = { beganAt: effect.startLsn, bytes: [] };
        oracle.elected(this.id, effect.term, effect.startLsn, effect.history, this.#server);
        if (this.eager && !this.#serverRuns) this.#began();
        return;
      case "synced":
        this.synced = true;
        if (!this.#serverRuns) this.#began();
        return;
      case "committed":
        this.#commit(effect.lsn);
        return;
      case "fenced":
        this.kill();
        return;
      case "failed":
        throw new Violation(`compute ${this.id} failed: ${effect.error.message}`);
      default:
        return;
    }
  }

  #commit(lsn: Lsn): void {
    if (lsn <= this.#committed) return;
    this.#committed = lsn;
    this.#world.oracle.committed(this.#term, lsn);
  }

  #connect({ peer, connection: number }: Effect<"connect">): void {
    const { network, timeline, acceptors } = this.#world;
    const acceptor = acceptors[peer]!;
    const key = this.#world.nextKey();
    const connection = network.open(this.id, peer, number, {
      acceptorGets: (message) => acceptor.receive(key, message),
      acceptorLoses: () => acceptor.lose(key),
      computeGets: (message) => {
        if (this.#world.plant.commitFromOne && message.type === "append_response" && message.term === this.#term) {
          const believed = message.flushLsn < this.walEnd ? message.flushLsn : this.walEnd;
          if (this.leads && message.flushLsn >= this.#proposer.state.startLsn) this.#commit(believed);
        }
        this.#handle({ type: "message", peer, connection: number, message });
      },
      computeLoses: (refusal) =>
        this.#handle({
          type: "disconnected",
          peer,
          connection: number,
          ...(refusal === undefined ? {} : { refusal }),
        }),
    });
    this.#connections.set(peer, connection);
    const link = network.link(this.id, peer);
    const at = Math.max(timeline.now + this.#random.unit() * 5, link.blocked.to_acceptor, link.blocked.to_compute);
    timeline.at(at, () => {
      if (!this.alive || this.#connections.get(peer) !== connection) return;
      const accepted = acceptor.accept(key, connection);
      this.#handle({ type: accepted ? "connected" : "disconnected", peer, connection: number });
    });
  }

  #read({ peer, connection, begin, end, source }: Effect<"read_wal">): void {
    const { timeline, network, acceptors } = this.#world;
    const answer = (bytes: Uint8Array) => this.#handle({ type: "wal", peer, connection, begin, bytes });
    // Often all at once, often in pieces that end inside a record.
    const length = Math.min(Number(end - begin), this.#mostRead);
    const most = this.#random.chance(0.5) ? length : this.#random.int(1, length);
    if (source.from === "local") {
      const from = Number(begin - this.#server.beganAt);
      if (begin < this.#proposer.state.startLsn)
        throw new Violation(`compute ${this.id} would send ${formatLsn(begin)} from before its start`);
      const bytes = Uint8Array.from(this.#server.bytes.slice(from, from + most));
      timeline.after(this.#random.unit(), () => answer(bytes));
      return;
    }
    timeline.after(1 + this.#random.unit() * 8, () => {
      const donor = acceptors[source.peer]!;
      const state = donor.state;
      const readable =
        state && network.isOpen(this.id, source.peer) && state.record.term === source.term && state.flushLsn > begin;
      if (!readable) {
        this.#handle({ type: "wal_unavailable", peer, connection });
        return;
      }
      const to = begin + BigInt(most);
      answer(donor.disk.bytes(begin, to < state.flushLsn ? to : state.flushLsn));
    });
  }
}

function describe(effect: ProposerEffect): string {
  return JSON.stringify(effect, (key, value: unknown) =>
    typeof value === "bigint" ? (key === "term" || key.endsWith("Term") ? Number(value) : formatLsn(value)) : value,
  );
}
