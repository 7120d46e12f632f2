import { replaceFileSync } from "../../disk/atomic_file_sync.ts";
import { CodedError, errorChain } from "../../errors/coded_error.ts";
import type { Logger } from "../../telemetry/log.ts";
import { display } from "../../telemetry/log_line.ts";
import { advanceAcceptor } from "../../walproposer/acceptor.ts";
import { type AcceptorRecord, type AcceptorState, openAcceptor } from "../../walproposer/acceptor_state.ts";
import type { AcceptorInput, AcceptorStep } from "../../walproposer/acceptor_step.ts";
import { lastLogTerm } from "../../walproposer/term_history.ts";
import { formatLsn, type Lsn } from "../../wire/lsn.ts";
import type { AcceptorMessage, ProposerMessage } from "../../wire/safekeeper/messages.ts";
import { WAL_PAGE_MAGIC } from "../../wire/wal/page_header.ts";
import { encodeRecord } from "../record_text.ts";
import { fromAcceptorFile, toAcceptorFile } from "./acceptor_file.ts";
import { findDurableEnd, lastRecordBefore } from "./durable_end.ts";
import { type AcceptorStatus, timelineKey, type WalTimeline } from "./wal_timeline.ts";
import { WalTracker } from "./wal_tracker.ts";
import { WalWriter } from "./wal_writer.ts";

/** This process is node 1 of its storage. */
const NODE_ID = 1n;

/** The other end of a proposer's connection. */
export interface ProposerPeer {
  send(message: AcceptorMessage): void;
  /** Tells why and hangs up. */
  close(error: CodedError): void;
}

/** Somebody who reads this timeline's WAL. */
export interface WalFollower {
  /** More can be read, or the writer's term is another. */
  changed(): void;
  readonly application: string;
  readonly sentLsn: Lsn;
}

export interface AcceptorDriverOptions {
  readonly timeline: WalTimeline;
  readonly log: Logger;
  /** After whatever may have moved an LSN. */
  readonly onProgress: (flushLsn: Lsn, commitLsn: Lsn, lastRecordStart: Lsn) => void;
}

/**
 * Runs the acceptor of one timeline on its files: does each step before the next, so that nothing is promised before it is
 * durable. When the disk fails, every connection is closed with the reason and the acceptor starts again from what was
 * promised; proposers come back and try again.
 */
export class AcceptorDriver {
  readonly timeline: WalTimeline;
  readonly #options: AcceptorDriverOptions;
  readonly #peers = new Map<number, ProposerPeer>();
  readonly #followers = new Set<WalFollower>();
  #state: AcceptorState | undefined;
  #opening: Promise<void> | undefined;
  /** Files of before a failure are given back. */
  #cleaning: Promise<void> | undefined;
  #writer: WalWriter;
  #connections = 0;
  #lastRecordStart: Lsn = 0n;
  /** Set after a failed step: how far WAL is known to be durable, whatever a scan would find in the page cache. */
  #durable: Lsn | undefined;
  /** After a failed step: the state file may be one whose replacement failed half-way, and is not durable yet. */
  #unsure = false;
  #closed = false;

  constructor(options: AcceptorDriverOptions) {
    this.#options = options;
    this.timeline = options.timeline;
    this.#writer = new WalWriter(options.timeline.walDir, options.log);
  }

  get name(): string {
    return timelineKey(this.timeline.tenantId, this.timeline.timelineId);
  }

  /** What {@link open} found, or what has become of it. */
  get state(): AcceptorState {
    if (!this.#state) throw new CodedError("acceptor_not_open", `the acceptor of ${this.name} is not open`);
    return this.#state;
  }

  /**
   * Reads the state file and finds the end of the WAL, once.
   *
   * @throws StoreError `damaged_file`; CodedError `timeline_closed`
   */
  async open(): Promise<void> {
    if (this.#closed) throw closed(this.name);
    if (this.#state) return;
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    await this.#opening;
  }

  /** As {@link open}, for somebody who brings WAL. @throws CodedError `wal_write_failed` when the disk still fails */
  async openForWriting(): Promise<void> {
    await this.open();
    if (!this.#unsure) return;
    try {
      this.#persist(this.state.record);
    } catch (error) {
      throw this.#writeFailed(error);
    }
    this.#unsure = false;
  }

  status(): AcceptorStatus {
    const { record, flushLsn, commitLsn, peerHorizonLsn, connections } = this.state;
    return {
      term: record.term,
      epoch: lastLogTerm(record.history, flushLsn),
      history: record.history,
      pgVersion: record.server.pgVersion,
      flushLsn,
      commitLsn,
      timelineStartLsn: record.timelineStartLsn,
      localStartLsn: record.localStartLsn,
      peerHorizonLsn,
      receivers: [...connections].map(([connection, { lastAnswer }]) => ({
        connection,
        status: lastAnswer ? "Streaming" : "Voting",
      })),
      senders: [...this.#followers].map(({ application, sentLsn }) => ({ application, sentLsn })),
    };
  }

  /** A proposer's new connection; the acceptor must be open. Its number. */
  connect(peer: ProposerPeer): number {
    if (!this.#state) throw new CodedError("acceptor_not_open", `the acceptor of ${this.name} is not open`);
    const connection = ++this.#connections;
    this.#peers.set(connection, peer);
    this.#handle({ type: "connected", connection });
    return connection;
  }

  receive(connection: number, message: ProposerMessage): void {
    this.#handle({ type: "message", connection, message });
  }

  /** Nothing more of this connection is at hand: the moment to write, and to answer. */
  queueEmpty(connection: number): void {
    this.#handle({ type: "queue_empty", connection });
  }

  disconnect(connection: number): void {
    if (this.#peers.delete(connection)) this.#handle({ type: "disconnected", connection });
  }

  /** Proposers are told why; they may come back. */
  disconnectAll(reason: CodedError): void {
    for (const [connection, peer] of this.#peers) {
      peer.close(reason);
      this.disconnect(connection);
    }
  }

  /** To be called about every second. */
  tick(): void {
    if (this.#peers.size > 0) this.#handle({ type: "tick" });
  }

  follow(follower: WalFollower): void {
    this.#followers.add(follower);
  }

  unfollow(follower: WalFollower): void {
    this.#followers.delete(follower);
  }

  /** Ends every connection with this reason and gives the files back. Idempotent. */
  async close(reason: CodedError): Promise<void> {
    this.#closed = true;
    await this.#opening?.catch(() => undefined);
    this.disconnectAll(reason);
    // Else the next start would have to scan more than it must.
    this.#storeCommit();
    this.#state = undefined;
    this.#tellFollowers();
    await this.#cleaning;
    await this.#writer.close();
  }

  #storeCommit(): void {
    const state = this.#state;
    if (!state || state.commitLsn <= state.record.commitLsn) return;
    try {
      this.#persist({ ...state.record, commitLsn: state.commitLsn, peerHorizonLsn: state.peerHorizonLsn });
    } catch (error) {
      this.#log("warn", "could not store the commit LSN, a scan finds it again", { error: errorChain(error) });
    }
  }

  #handle(input: AcceptorInput): void {
    const before = this.#state;
    // The connection was told already that something failed.
    if (!before) return;
    const { state, steps } = advanceAcceptor(before, input, performance.now());
    this.#state = state;
    let told = state.flushLsn === before.flushLsn && state.commitLsn === before.commitLsn;
    try {
      for (const step of steps) {
        // Who got the answer must find what it says everywhere in the store. What made it durable came before.
        if (step.kind === "send" && !told) {
          told = true;
          this.#progressed(state);
        }
        this.#do(step);
      }
    } catch (error) {
      this.#fail(before, steps, error);
      return;
    }
    if (!told) this.#progressed(state);
  }

  #progressed(state: AcceptorState): void {
    if (state.tracker instanceof WalTracker) this.#lastRecordStart = state.tracker.lastRecordStart ?? 0n;
    this.#options.onProgress(state.flushLsn, state.commitLsn, this.#lastRecordStart);
    this.#tellFollowers();
  }

  #do(step: AcceptorStep): void {
    switch (step.kind) {
      case "write":
        this.#writer.write(step.lsn, step.bytes);
        return;
      case "flush":
        this.#writer.flush();
        return;
      case "send":
        this.#peers.get(step.connection)?.send(step.message);
        return;
      case "persist":
        this.#persist(step.record);
        return;
      case "truncate":
        this.#writer.truncate(step.lsn);
        return;
      case "close":
        this.#log("warn", "closed a proposer's connection", { error: errorChain(step.error) });
        this.#peers.get(step.connection)?.close(step.error);
        this.#peers.delete(step.connection);
        return;
      case "writer_changed":
        this.#log("info", "another proposer writes from now on", { term: String(step.term) });
        this.#tellFollowers();
        return;
      case "committed":
        return;
      case "log":
        this.#log(step.level, step.message);
        return;
      case "initialise":
        // Timelines of this store are made with a start LSN, so they are never without one.
        throw new CodedError("timeline_without_start", `the acceptor of ${this.name} has no start LSN`);
    }
  }

  #persist(record: AcceptorRecord): void {
    replaceFileSync(this.timeline.acceptorFile, encodeRecord(toAcceptorFile(record)));
  }

  /** What was not finished is not promised either: it starts again from what was. */
  #fail(before: AcceptorState, steps: readonly AcceptorStep[], error: unknown): void {
    const failure = this.#writeFailed(error);
    this.#log("error", "storing WAL failed, all proposers are disconnected", { error: errorChain(error) });
    let durable = before.flushLsn;
    for (const step of steps) if (step.kind === "truncate" && step.lsn < durable) durable = step.lsn;
    this.#durable = durable;
    this.#unsure = true;
    this.#state = undefined;
    for (const peer of this.#peers.values()) peer.close(failure);
    this.#peers.clear();
    this.#tellFollowers();
    const writer = this.#writer;
    this.#writer = new WalWriter(this.timeline.walDir, this.#options.log);
    this.#cleaning = writer
      .close()
      .catch((problem: unknown) => this.#log("warn", "could not close WAL files", { error: errorChain(problem) }));
  }

  #writeFailed(cause: unknown): CodedError {
    return new CodedError("wal_write_failed", `could not store WAL of timeline ${this.name}`, { cause, status: 503 });
  }

  async #open(): Promise<void> {
    const { timeline } = this;
    await this.#cleaning;
    // Brings its schema library along, which the thread can do without until somebody comes.
    const { readAcceptorFile } = await import("./acceptor_schema.ts");
    const record = fromAcceptorFile(await readAcceptorFile(timeline.acceptorFile));
    const { systemIdentifier } = timeline;
    const magic = WAL_PAGE_MAGIC[timeline.pgVersion];
    // Replay stops, without a word, at a record that does not point at the one before it.
    const previous = (lsn: Lsn): Lsn | undefined =>
      lsn === this.#state?.flushLsn && this.#lastRecordStart !== 0n ? this.#lastRecordStart : undefined;
    const tracking = (lsn: Lsn) => new WalTracker(lsn, { magic, systemIdentifier, previous: previous(lsn) });
    const found =
      this.#durable === undefined
        ? await findDurableEnd(timeline, record.commitLsn)
        : await lastRecordBefore(timeline, this.#durable);
    this.#lastRecordStart = found.lastRecordStart ?? 0n;
    if (this.#closed) throw closed(this.name);
    const identity = {
      nodeId: NODE_ID,
      tenantId: timeline.tenantId,
      timelineId: timeline.timelineId,
      // Base images carry the identifier: another server's WAL could never be replayed on them.
      foreignSystemId: "refuse" as const,
    };
    this.#durable = undefined;
    this.#state = openAcceptor(identity, record, found.end, tracking, performance.now());
    this.#options.onProgress(this.#state.flushLsn, this.#state.commitLsn, this.#lastRecordStart);
    this.#log("info", "opened the WAL", {
      term: String(record.term),
      flush: display(formatLsn(this.#state.flushLsn)),
      commit: display(formatLsn(record.commitLsn)),
    });
  }

  #tellFollowers(): void {
    for (const follower of this.#followers) follower.changed();
  }

  #log(level: "info" | "warn" | "error", message: string, fields: Record<string, unknown> = {}): void {
    this.#options.log[level](message, { timeline: display(this.name), ...fields });
  }
}

function closed(name: string): CodedError {
  return new CodedError("timeline_closed", `timeline ${name} is not served any more`, { status: 503 });
}
