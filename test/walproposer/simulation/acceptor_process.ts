import { advanceAcceptor } from "../../../src/walproposer/acceptor.ts";
import {
  type AcceptorIdentity,
  type AcceptorState,
  newTimelineRecord,
  openAcceptor,
} from "../../../src/walproposer/acceptor_state.ts";
import type { AcceptorInput, AcceptorStep } from "../../../src/walproposer/acceptor_step.ts";
import { formatLsn } from "../../../src/wire/lsn.ts";
import { Disk } from "./disk.ts";
import { FakeTracker, SEGMENT_BYTES, scanFakeWal, TIMELINE_START } from "./fake_wal.ts";
import type { Connection } from "./network.ts";
import type { CrashStep } from "./plan.ts";
import { Random } from "./random.ts";
import type { World } from "./world.ts";

export const TENANT = "a".repeat(32);
export const TIMELINE = "b".repeat(32);
export const PG_VERSION = 170_005;

interface Crash {
  stepsLeft: number;
  readonly stepKind: CrashStep | undefined;
  readonly downFor: number;
  readonly powerLoss: boolean;
  readonly silent: boolean;
}

const startTracking = (lsn: bigint) => new FakeTracker(lsn);

/** Runs an acceptor: does its steps one after the other, and may die between any two or in the middle of one. */
export class AcceptorProcess {
  readonly index: number;
  readonly disk: Disk;
  readonly #world: World;
  readonly #random: Random;
  readonly #identity: AcceptorIdentity;
  #connections = new Map<number, Connection>();
  #emptying = new Set<number>();
  #state: AcceptorState | undefined;
  #life = 0;
  #crash: Crash | undefined;

  constructor(world: World, index: number) {
    this.#world = world;
    this.index = index;
    this.#random = new Random(world.plan.seed, 1_000_000 + index);
    this.#identity = {
      nodeId: BigInt(index + 1),
      tenantId: TENANT,
      timelineId: TIMELINE,
      foreignSystemId: "adopt",
    };
    this.disk = new Disk(
      newTimelineRecord(TIMELINE_START, { pgVersion: PG_VERSION, systemId: 0n, walSegSize: SEGMENT_BYTES }),
    );
    this.start();
  }

  /** Undefined while it is down. */
  get state(): AcceptorState | undefined {
    return this.#state;
  }

  start(): void {
    if (this.#state) return;
    // What a dead process left in the page cache is read back, so it must become durable first.
    this.disk.flush();
    const end = scanFakeWal(this.disk.wal, this.disk.record.commitLsn);
    this.#state = openAcceptor(this.#identity, this.disk.record, end, startTracking, this.#world.timeline.now);
    this.#world.trace(() => `acceptor ${this.index} starts, WAL ends at ${formatLsn(end)}`);
    const life = ++this.#life;
    const tick = () => {
      if (life !== this.#life || !this.#state) return;
      this.#handle({ type: "tick" });
      this.#world.timeline.after(1_000, tick);
    };
    this.#world.timeline.after(this.#random.int(0, 1_000), tick);
  }

  crashSoon(crash: Crash): void {
    this.#crash = { ...crash };
  }

  stayUp(): void {
    this.#crash = undefined;
    this.start();
  }

  stop(): void {
    this.#crash = undefined;
    if (this.#state) this.#die({ downFor: Number.POSITIVE_INFINITY, powerLoss: true, silent: false });
  }

  /** False when it is down. */
  accept(key: number, connection: Connection): boolean {
    if (!this.#state) return false;
    this.#connections.set(key, connection);
    this.#handle({ type: "connected", connection: key });
    return true;
  }

  receive(key: number, message: Extract<AcceptorInput, { type: "message" }>["message"]): void {
    if (!this.#connections.has(key)) return;
    this.#handle({ type: "message", connection: key, message });
    if (this.#emptying.has(key)) return;
    this.#emptying.add(key);
    const life = this.#life;
    this.#world.timeline.after(this.#random.unit() * 2, () => {
      this.#emptying.delete(key);
      if (life === this.#life) this.#handle({ type: "queue_empty", connection: key });
    });
  }

  lose(key: number): void {
    if (!this.#connections.delete(key)) return;
    this.#handle({ type: "disconnected", connection: key });
  }

  breakConnections(compute: number): void {
    for (const connection of this.#connections.values()) if (connection.compute === compute) connection.break();
  }

  #handle(input: AcceptorInput): void {
    if (!this.#state) return;
    const { plant, timeline } = this.#world;
    const { state, steps } = (plant.advance ?? advanceAcceptor)(this.#state, input, timeline.now);
    this.#state = state;
    for (const step of plant.steps?.(steps) ?? steps) {
      const counts = this.#crash && (this.#crash.stepKind ?? step.kind) === step.kind;
      if (this.#crash && counts && --this.#crash.stepsLeft < 0) {
        this.#tear(step, this.#crash);
        this.#die(this.#crash);
        return;
      }
      this.#do(step);
    }
  }

  #do(step: AcceptorStep): void {
    this.#world.trace(() => `acceptor ${this.index} ${describe(step)}`);
    switch (step.kind) {
      case "persist":
        this.disk.record = step.record;
        return;
      case "truncate":
        this.disk.truncate(step.lsn);
        this.#world.oracle.truncated(this.index, this.disk.record.term, step.lsn);
        return;
      case "write":
        this.disk.write(step.lsn, step.bytes);
        return;
      case "flush":
        this.disk.flush();
        return;
      case "send": {
        const connection = this.#connections.get(step.connection);
        if (!connection) return;
        this.#world.oracle.sends(this.index, connection.compute, step.message, this.disk);
        connection.sendToCompute(step.message);
        return;
      }
      case "close":
        this.#connections.get(step.connection)?.closeFromAcceptor(step.error.message);
        this.#connections.delete(step.connection);
        return;
      default:
        return;
    }
  }

  /** The step during which the crash comes may have happened in part. */
  #tear(step: AcceptorStep, crash: Crash): void {
    if (step.kind === "write" && this.#random.chance(0.5))
      this.disk.write(step.lsn, step.bytes.subarray(0, this.#random.int(0, step.bytes.length)));
    if (step.kind !== "truncate" || !crash.powerLoss || this.#random.chance(0.5)) return;
    this.disk.crashWhileTruncating(step.lsn, this.#random);
    this.#world.oracle.truncated(this.index, this.disk.record.term, step.lsn);
  }

  #die(crash: Pick<Crash, "downFor" | "powerLoss" | "silent">): void {
    this.#world.trace(() => `acceptor ${this.index} dies${crash.powerLoss ? " with its machine" : ""}`);
    this.#state = undefined;
    this.#crash = undefined;
    this.#life++;
    this.#emptying.clear();
    if (crash.powerLoss) this.disk.crash(this.#random);
    for (const connection of this.#connections.values()) {
      if (!crash.silent) connection.closeFromAcceptor(undefined);
      connection.fallSilent();
    }
    this.#connections = new Map();
    const life = this.#life;
    if (Number.isFinite(crash.downFor))
      this.#world.timeline.after(crash.downFor, () => {
        if (life === this.#life) this.start();
      });
  }
}

function describe(step: AcceptorStep): string {
  return JSON.stringify(step, (key, value: unknown) =>
    typeof value === "bigint"
      ? key === "term" || value < TIMELINE_START
        ? Number(value)
        : formatLsn(value)
      : value instanceof Uint8Array
        ? `${value.length} bytes`
        : key === "error" && value instanceof Error
          ? value.message
          : value,
  );
}
