import { advanceAcceptor } from "../../src/walproposer/acceptor.ts";
import {
  type AcceptorIdentity,
  type AcceptorRecord,
  type AcceptorState,
  newTimelineRecord,
  openAcceptor,
} from "../../src/walproposer/acceptor_state.ts";
import type { AcceptorInput, AcceptorStep } from "../../src/walproposer/acceptor_step.ts";
import type { Lsn } from "../../src/wire/lsn.ts";
import { NO_CONFIGURATION } from "../../src/wire/safekeeper/configuration.ts";
import type { TermHistory } from "../../src/wire/safekeeper/history.ts";
import type { AcceptorMessage, AppendRequest, ProposerMessage } from "../../src/wire/safekeeper/messages.ts";
import { Disk } from "./simulation/disk.ts";
import { FakeTracker, SEGMENT_BYTES, scanFakeWal, TIMELINE_START } from "./simulation/fake_wal.ts";

export const SERVER = { pgVersion: 170_005, systemId: 7n, walSegSize: SEGMENT_BYTES };
const IDENTITY: AcceptorIdentity = {
  nodeId: 1n,
  tenantId: "a".repeat(32),
  timelineId: "b".repeat(32),
  foreignSystemId: "adopt",
};

/** An acceptor on a disk that loses what was not flushed; steps are done as a driver does them. */
export class AcceptorOnDisk {
  readonly disk: Disk;
  readonly identity: AcceptorIdentity;
  /** All steps done so far. */
  readonly steps: AcceptorStep[] = [];
  state: AcceptorState;
  now = 0;

  constructor(options: { record?: AcceptorRecord; scannedEnd?: Lsn; identity?: Partial<AcceptorIdentity> } = {}) {
    this.identity = { ...IDENTITY, ...options.identity };
    this.disk = new Disk(options.record ?? newTimelineRecord(TIMELINE_START, SERVER));
    this.state = this.#open(options.scannedEnd);
    this.connect(1);
  }

  /** Connects and greets. */
  connect(connection: number): void {
    this.handle({ type: "connected", connection });
    this.handle({ type: "message", connection, message: greeting() });
  }

  /** One message, and nothing behind it. Gives what the acceptor said, errors of closed connections included. */
  send(message: ProposerMessage, connection = 1): (AcceptorMessage | Error)[] {
    const said = this.handle({ type: "message", connection, message });
    return [...said, ...this.handle({ type: "queue_empty", connection })];
  }

  /** Does only so many of the steps, when told. */
  handle(input: AcceptorInput, atMostSteps = Number.POSITIVE_INFINITY): (AcceptorMessage | Error)[] {
    const { state, steps } = advanceAcceptor(this.state, input, this.now);
    this.state = state;
    const done = steps.slice(0, atMostSteps);
    for (const step of done) this.#do(step);
    const said: (AcceptorMessage | Error)[] = [];
    for (const step of done)
      if (step.kind === "send") said.push(step.message);
      else if (step.kind === "close") said.push(step.error);
    return said;
  }

  /** Power loss: what was not flushed is gone. */
  crash(): void {
    this.disk.crash();
    this.restart();
  }

  restart(): void {
    this.disk.flush();
    this.state = this.#open();
    this.connect(1);
  }

  #open(scannedEnd?: Lsn): AcceptorState {
    const { record, wal } = this.disk;
    const end = scannedEnd ?? scanFakeWal(wal, record.commitLsn);
    return openAcceptor(this.identity, record, end, (lsn) => new FakeTracker(lsn), this.now);
  }

  #do(step: AcceptorStep): void {
    this.steps.push(step);
    if (step.kind === "persist") this.disk.record = step.record;
    else if (step.kind === "truncate") this.disk.truncate(step.lsn);
    else if (step.kind === "write") this.disk.write(step.lsn, step.bytes);
    else if (step.kind === "flush") this.disk.flush();
  }
}

export function greeting(): Extract<ProposerMessage, { type: "greeting" }> {
  const { tenantId, timelineId } = IDENTITY;
  return { type: "greeting", tenantId, timelineId, conf: NO_CONFIGURATION, ...SERVER };
}

export function voteRequest(term: number): ProposerMessage {
  return { type: "vote_request", generation: 0, term: BigInt(term) };
}

export function elected(term: number, start: Lsn, history: TermHistory): ProposerMessage {
  return { type: "elected", generation: 0, term: BigInt(term), startStreamingAt: start, history };
}

export function append(term: number, begin: Lsn, wal = new Uint8Array(0), commit: Lsn = 0n): AppendRequest {
  return {
    type: "append",
    generation: 0,
    term: BigInt(term),
    beginLsn: begin,
    endLsn: begin + BigInt(wal.length),
    commitLsn: commit,
    truncateLsn: 0n,
    wal,
  };
}
