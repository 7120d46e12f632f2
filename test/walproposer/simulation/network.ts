import type { AcceptorMessage, ProposerMessage } from "../../../src/wire/safekeeper/messages.ts";
import { protocol3 } from "../../../src/wire/safekeeper/protocol3.ts";
import { Random } from "./random.ts";
import type { Timeline } from "./timeline.ts";

/** The way between one compute and one acceptor. */
interface Link {
  /** Nothing gets through before these times. */
  blocked: { to_acceptor: number; to_compute: number };
  scrambledUntil: number;
  slowUntil: number;
}

type Direction = "to_acceptor" | "to_compute";

/** How long messages of a broken connection may be stuck, in milliseconds. */
export const STUCK_MS = 3_000;

/** What the two ends of a connection are told. */
export interface Ends {
  readonly acceptorGets: (message: ProposerMessage) => void;
  readonly acceptorLoses: () => void;
  readonly computeGets: (message: AcceptorMessage) => void;
  readonly computeLoses: (refusal: string | undefined) => void;
}

/** Links of all computes to all acceptors: delays, blockades, and messages that get lost or doubled while scrambled. */
export class Network {
  readonly timeline: Timeline;
  readonly codec: boolean;
  readonly #seed: number;
  readonly #links = new Map<number, Link>();

  constructor(timeline: Timeline, seed: number, codec: boolean) {
    this.timeline = timeline;
    this.#seed = seed;
    this.codec = codec;
  }

  link(compute: number, acceptor: number): Link {
    const key = compute * 8 + acceptor;
    let link = this.#links.get(key);
    if (!link) {
      link = { blocked: { to_acceptor: 0, to_compute: 0 }, scrambledUntil: 0, slowUntil: 0 };
      this.#links.set(key, link);
    }
    return link;
  }

  /** Ends all trouble. */
  calm(): void {
    this.#links.clear();
  }

  isOpen(compute: number, acceptor: number): boolean {
    const { blocked } = this.link(compute, acceptor);
    return blocked.to_acceptor <= this.timeline.now && blocked.to_compute <= this.timeline.now;
  }

  open(compute: number, acceptor: number, connection: number, ends: Ends): Connection {
    return new Connection(
      this,
      compute,
      acceptor,
      new Random(this.#seed, (compute * 8 + acceptor) * 4096 + connection),
      ends,
    );
  }
}

/** A byte stream between a compute and an acceptor. What is under way when it breaks may still arrive, much later. */
export class Connection {
  readonly compute: number;
  readonly acceptor: number;
  readonly #network: Network;
  readonly #random: Random;
  readonly #ends: Ends;
  #lastArrival = { to_acceptor: 0, to_compute: 0 };
  #stuckUntil = 0;
  #open = { to_acceptor: true, to_compute: true };

  constructor(network: Network, compute: number, acceptor: number, random: Random, ends: Ends) {
    this.#network = network;
    this.compute = compute;
    this.acceptor = acceptor;
    this.#random = random;
    this.#ends = ends;
  }

  get random(): Random {
    return this.#random;
  }

  sendToAcceptor(message: ProposerMessage): void {
    if (!this.#open.to_acceptor) return;
    const sent = this.#network.codec
      ? protocol3.decodeProposerMessage(protocol3.encodeProposerMessage(message))
      : message;
    this.#deliver("to_acceptor", () => this.#ends.acceptorGets(sent));
  }

  sendToCompute(message: AcceptorMessage): void {
    if (!this.#open.to_compute) return;
    const sent = this.#network.codec
      ? protocol3.decodeAcceptorMessage(protocol3.encodeAcceptorMessage(message))
      : message;
    this.#deliver("to_compute", () => this.#ends.computeGets(sent));
  }

  /** The compute closes: the acceptor hears of it behind what was sent before, sometimes long after. */
  closeFromCompute(): void {
    if (!this.#open.to_acceptor) return;
    this.#open.to_acceptor = false;
    // What is under way may get stuck somewhere and arrive when newer connections have long got further.
    if (this.#random.chance(0.3)) this.#stuckUntil = this.#now + this.#random.int(0, STUCK_MS);
    this.#schedule("to_acceptor", () => this.#ends.acceptorLoses());
  }

  closeFromAcceptor(refusal: string | undefined): void {
    if (!this.#open.to_compute) return;
    this.#open.to_compute = false;
    this.#schedule("to_compute", () => this.#ends.computeLoses(refusal));
  }

  /** The network resets the connection. Each end notices in its own time. */
  break(): void {
    this.closeFromCompute();
    this.closeFromAcceptor(undefined);
  }

  /** One end's machine is gone: nothing more is sent, nobody says goodbye. */
  fallSilent(): void {
    this.#open = { to_acceptor: false, to_compute: false };
  }

  get #now(): number {
    return this.#network.timeline.now;
  }

  #deliver(direction: Direction, arrive: () => void): void {
    const scrambled = this.#network.link(this.compute, this.acceptor).scrambledUntil > this.#now;
    if (!scrambled) {
      this.#schedule(direction, arrive);
      return;
    }
    if (this.#random.chance(0.12)) return;
    const copies = this.#random.chance(0.15) ? 2 : 1;
    for (let i = 0; i < copies; i++)
      if (this.#random.chance(0.2)) this.#network.timeline.after(this.#random.int(1, 400), arrive);
      else this.#schedule(direction, arrive);
  }

  #arriveAtAcceptor(arrive: () => void): void {
    if (this.#now < this.#stuckUntil) this.#network.timeline.at(this.#stuckUntil, arrive);
    else arrive();
  }

  #schedule(direction: Direction, arrive: () => void): void {
    const link = this.#network.link(this.compute, this.acceptor);
    const slow = link.slowUntil > this.#now ? this.#random.int(50, 900) : 0;
    const usual = this.#now + 0.2 + this.#random.unit() * 4 + slow;
    const at = Math.max(usual, link.blocked[direction], this.#lastArrival[direction]);
    this.#lastArrival[direction] = at;
    this.#network.timeline.at(at, direction === "to_acceptor" ? () => this.#arriveAtAcceptor(arrive) : arrive);
  }
}
