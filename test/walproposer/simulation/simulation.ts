import { formatLsn } from "../../../src/wire/lsn.ts";
import { AcceptorProcess } from "./acceptor_process.ts";
import { ComputeProcess } from "./compute_process.ts";
import { Network, STUCK_MS } from "./network.ts";
import { Oracle, Violation } from "./oracle.ts";
import type { Fault, Plan } from "./plan.ts";
import type { Plant } from "./plants.ts";
import { Timeline } from "./timeline.ts";
import type { World } from "./world.ts";

/** How long, in virtual milliseconds, a calm world may take until it commits again. */
const PATIENCE_MS = 60_000;
/** How long messages of a dead compute may be under way. */
const STRAGGLERS_MS = STUCK_MS + 1_000;

export interface Outcome {
  /** Undefined when every promise was kept. */
  readonly violation: string | undefined;
  /** `safety`: something promised was taken back. `liveness`: nothing goes on although it could. */
  readonly kind: "safety" | "liveness" | undefined;
  readonly elections: number;
  readonly commits: number;
  /** Filled when a trace was asked for. */
  readonly trace: readonly string[];
}

/** Runs one plan. The same plan gives the same outcome, always. */
export function simulate(plan: Plan, plant: Plant = {}, withTrace = false): Outcome {
  const run = new Run(plan, plant, withTrace);
  let violation: string | undefined;
  let kind: Outcome["kind"];
  try {
    run.faults();
    run.calm();
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    violation = error.message;
    kind = error.kind;
  }
  const { elections, commits } = run.world.oracle;
  return { violation, kind, elections, commits, trace: run.lines };
}

class Run {
  readonly world: World;
  readonly lines: string[] = [];
  readonly #acceptors: AcceptorProcess[] = [];
  #computes: ComputeProcess[] = [];
  #started = 0;

  constructor(plan: Plan, plant: Plant, withTrace: boolean) {
    const timeline = new Timeline();
    let keys = 0;
    this.world = {
      plan,
      plant,
      timeline,
      network: new Network(timeline, plan.seed, plan.codec),
      oracle: new Oracle(plan.acceptors),
      acceptors: this.#acceptors,
      nextKey: () => ++keys,
      trace: withTrace ? (line) => this.lines.push(`${timeline.now.toFixed(1).padStart(9)} ${line()}`) : () => {},
    };
    for (let index = 0; index < plan.acceptors; index++) this.#acceptors.push(new AcceptorProcess(this.world, index));
  }

  faults(): void {
    const { plan, timeline } = this.world;
    for (const fault of plan.faults) if (fault.at < plan.calmAt) timeline.at(fault.at, () => this.#happen(fault));
    timeline.runUntil(plan.calmAt, () => false);
  }

  /** With a quorum alive and nobody newer, commits go on, and every acceptor that is alive catches up. */
  calm(): void {
    const { plan, timeline, network, oracle } = this.world;
    this.world.trace(() => "calm");
    network.calm();
    for (const acceptor of this.#acceptors)
      if (plan.lost.includes(acceptor.index)) acceptor.stop();
      else acceptor.stayUp();
    const newest = this.#compute(0);
    const candidate = plan.ending === "keep" && newest?.leads ? newest : undefined;
    for (const compute of this.#computes) if (compute !== candidate) compute.kill();
    // What the dead ones sent may still arrive, and may still depose the leader.
    timeline.runUntil(timeline.now + STRAGGLERS_MS, () => false);
    let survivor = candidate;
    if (!survivor || !this.#recovers(survivor)) survivor = this.#startCompute();
    if (survivor !== candidate && !this.#recovers(survivor))
      throw new Violation(`compute ${survivor.id} gave up although nobody else is alive`, "liveness");
    const { walEnd } = survivor;
    const behind = () => this.#acceptors.find((acceptor) => acceptor.state && acceptor.state.commitLsn < walEnd);
    this.#await("all living acceptors to catch up", () => !behind());
    for (const { index, disk, state } of this.#acceptors) {
      if (!state) continue;
      oracle.logMatches(index, disk, state.record.history, state.flushLsn);
      oracle.holdsCommitted(index, disk);
    }
  }

  /** Leads and commits what it writes; false when only a new compute can. */
  #recovers(compute: ComputeProcess): boolean {
    const isOver = (done: boolean) => done || !compute.alive;
    // A server that began before its start LSN was safe is stuck when the donor is lost.
    if (compute.eager) {
      this.world.timeline.runUntil(this.world.timeline.now + PATIENCE_MS / 2, () => isOver(compute.synced));
      if (!compute.synced) {
        compute.kill();
        return false;
      }
    }
    this.#await("a synced leader", () => isOver(compute.leads && compute.synced));
    compute.write(4, false, true);
    this.#await("a commit", () => isOver(compute.committed >= compute.walEnd));
    // One that was overtaken is fenced, even when who did that is dead by now.
    return compute.alive;
  }

  #await(what: string, reached: () => boolean): void {
    if (reached()) return;
    if (!this.world.timeline.runUntil(this.world.timeline.now + PATIENCE_MS, reached)) return;
    const ends = this.#acceptors.map(({ state }) => (state ? formatLsn(state.flushLsn) : "down"));
    throw new Violation(`no progress: waited ${PATIENCE_MS} ms for ${what}; acceptors: ${ends.join(", ")}`, "liveness");
  }

  #startCompute(): ComputeProcess {
    const compute = new ComputeProcess(this.world, this.#started++);
    this.#computes.unshift(compute);
    return compute;
  }

  #compute(back: number): ComputeProcess | undefined {
    this.#computes = this.#computes.filter((compute) => compute.alive);
    return this.#computes[back];
  }

  #happen(fault: Fault): void {
    const { network, timeline } = this.world;
    this.world.trace(() => `fault ${JSON.stringify(fault)}`);
    switch (fault.kind) {
      case "crash":
        this.#acceptors[fault.acceptor]?.crashSoon({ ...fault, stepsLeft: fault.afterSteps });
        return;
      case "break": {
        const compute = this.#compute(fault.compute);
        if (compute) this.#acceptors[fault.acceptor]?.breakConnections(compute.id);
        return;
      }
      case "block": {
        const compute = this.#compute(fault.compute);
        if (!compute) return;
        for (const { index } of this.#acceptors) {
          if (fault.acceptor !== undefined && fault.acceptor !== index) continue;
          const { blocked } = network.link(compute.id, index);
          const until = timeline.now + fault.lasts;
          if (fault.direction !== "to_compute") blocked.to_acceptor = Math.max(blocked.to_acceptor, until);
          if (fault.direction !== "to_acceptor") blocked.to_compute = Math.max(blocked.to_compute, until);
        }
        return;
      }
      case "scramble":
        for (const { id } of this.#computes)
          network.link(id, fault.acceptor).scrambledUntil = timeline.now + fault.lasts;
        return;
      case "slow":
        for (const { id } of this.#computes) network.link(id, fault.acceptor).slowUntil = timeline.now + fault.lasts;
        return;
      case "start_compute":
        this.#startCompute();
        return;
      case "kill_compute":
        this.#compute(fault.compute)?.kill();
        return;
      case "write":
        this.#compute(fault.compute)?.write(fault.records, fault.switches);
        return;
    }
  }
}
