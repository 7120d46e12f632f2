import { setTimeout as delay } from "node:timers/promises";
import { CodedError, errorChain } from "../../errors/coded_error.ts";
import { formatLsn, type Lsn } from "../../wire/lsn.ts";
import type { TermHistory } from "../../wire/safekeeper/history.ts";
import type { HotStandbyFeedback } from "../../wire/safekeeper/messages.ts";
import { earlier } from "../lsn_order.ts";
import { Proposer } from "../proposer.ts";
import type { ProposerEffect, ProposerEvent } from "../proposer_events.ts";
import { FirstRecordCheck, type FirstRecordExpectation } from "./first_record.ts";
import { PushConnection } from "./push_connection.ts";
import { WalBuffer } from "./wal_buffer.ts";
import { WalSource, type WalSourceOptions } from "./wal_source.ts";

const TICK_MS = 100;
/** WAL in memory that safekeepers have not been sent: above the first reading stops, below the second it goes on. */
const PAUSE_BYTES = 64 * 1024 * 1024;
const RESUME_BYTES = 32 * 1024 * 1024;
/** How often the server hears of us while nothing happens, and how soon we attach again after the stream broke. */
const STATUS_MS = 1000;
const REATTACH_MS = 200;
const FINISH_LOOK_MS = 20;
const FINISH_LOOKS = 25;

export interface ProposerDriverOptions {
  readonly tenantId: string;
  readonly timelineId: string;
  /** server_version_num. */
  readonly pgVersion: number;
  /** `host:port` each. */
  readonly safekeepers: readonly string[];
  readonly token: string | undefined;
}

/** What the driver tells its owner. */
export type ProposerReport =
  /** A quorum elected us and holds everything up to `startLsn`: the base backup is to be cut there. */
  | { readonly type: "synced"; readonly term: bigint; readonly startLsn: Lsn; readonly history: TermHistory }
  /** Another compute took over: the server must be killed, it can commit nothing any more. */
  | { readonly type: "fenced"; readonly term: bigint; readonly reason: string }
  | { readonly type: "failed"; readonly error: CodedError }
  | { readonly type: "status"; readonly status: ProposerStatus }
  | { readonly type: "log"; readonly level: "info" | "warn" | "error"; readonly message: string };

/** For metrics and readiness; sent when something changed, at most every {@link TICK_MS}. */
export interface ProposerStatus {
  readonly term: bigint;
  readonly receivedLsn: Lsn;
  readonly committedLsn: Lsn;
  /** Safekeepers in the running term, of how many. */
  readonly active: number;
  readonly safekeepers: number;
  readonly quorum: boolean;
  /** Milliseconds since the oldest byte that waits was received; 0 when none waits. */
  readonly lagMs: number;
}

/** How to reach the server. */
export type ServerSource = Pick<WalSourceOptions, "target" | "user" | "password" | "name">;

export type AttachOptions = ServerSource & FirstRecordExpectation;

/**
 * Runs a {@link Proposer} with real sockets: elects, holds the term, and once attached to the server streams its WAL to the
 * safekeepers and their acknowledgements to the server. Everything happens in the turn in which bytes arrive.
 */
export class ProposerDriver {
  readonly #options: ProposerDriverOptions;
  readonly #report: (report: ProposerReport) => void;
  readonly #proposer: Proposer;
  readonly #connections = new Map<number, PushConnection>();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #events: ProposerEvent[] = [];
  readonly #waiters: { readonly lsn: Lsn; readonly resolve: () => void }[] = [];
  #handling = false;
  #finishing = false;
  #history: TermHistory = [];
  #buffer: WalBuffer | undefined;
  #source: WalSource | undefined;
  #attach: AttachOptions | undefined;
  #firstRecord: FirstRecordCheck | undefined;
  readonly #verified = Promise.withResolvers<void>();
  #startLsn: Lsn | undefined;
  #committed: Lsn = 0n;
  #paused = false;
  #over = false;
  #waitingSince: number | undefined;
  #feedback: HotStandbyFeedback | undefined;
  #lastStatus = "";
  #lastRefusal = "";

  constructor(options: ProposerDriverOptions, report: (report: ProposerReport) => void) {
    this.#options = options;
    this.#report = report;
    this.#proposer = new Proposer({
      tenantId: options.tenantId,
      timelineId: options.timelineId,
      pgVersion: options.pgVersion,
      // Unknown before the base backup; 0 leaves the stored one as it is.
      systemId: 0n,
      walSegSize: 16 * 1024 * 1024,
      acceptors: options.safekeepers.length,
      mode: "stream",
    });
  }

  /** Begins to dial; `synced` follows when a quorum is there, however long that takes. */
  start(): void {
    const tick = setInterval(() => this.#tick(), TICK_MS);
    const repeat = setInterval(() => this.#source?.repeat(), STATUS_MS);
    this.#timers.push(tick, repeat);
    this.#handle({ type: "tick" });
  }

  /**
   * The server runs: stream its WAL from the start LSN on. Resolves when its first record has turned out to be the right one.
   *
   * @returns what it had flushed when we came
   */
  async attach(options: AttachOptions): Promise<Lsn> {
    const start = this.#startLsn;
    if (start === undefined) throw new CodedError("not_synced", "no start LSN: the election is not over");
    this.#attach = options;
    this.#buffer = new WalBuffer(start);
    this.#firstRecord = new FirstRecordCheck(start, options);
    const flushed = await this.#openSource(start);
    if (flushed < start) {
      const error = new CodedError(
        "base_mismatch",
        `the server's WAL ends at ${formatLsn(flushed)}, before the LSN ${formatLsn(start)} up to which storage gave it: recovery lost WAL`,
      );
      this.#fail(error);
      throw error;
    }
    // Recovery always ends with a record; without recovery none may come for a long time.
    if (flushed > start) await this.#verified.promise;
    return flushed;
  }

  /** Pushes WAL that no server streams, from the start LSN on. Resolves when a quorum holds it up to `end`. */
  async pushLocal(pieces: Iterable<Buffer>, end: Lsn): Promise<void> {
    const start = this.#startLsn;
    if (start === undefined) throw new CodedError("not_synced", "no start LSN: the election is not over");
    const buffer = new WalBuffer(start);
    this.#buffer = buffer;
    for (const bytes of pieces) {
      while (this.#unsent() > PAUSE_BYTES && !this.#over) await delay(FINISH_LOOK_MS);
      buffer.append(buffer.end, bytes);
      this.#handle({ type: "local_flushed", lsn: buffer.end });
    }
    await this.whenCommitted(end);
  }

  /** Resolves when a quorum holds everything up to `lsn`; never, when the driver is stopped before. */
  whenCommitted(lsn: Lsn): Promise<void> {
    if (this.#committed >= lsn) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ lsn, resolve }));
  }

  /**
   * The server is gone: resolves with the end of what storage has when nothing more can come. A server that was killed may
   * leave a piece of a record behind, which no safekeeper will ever acknowledge.
   */
  async finish(): Promise<Lsn> {
    this.#finishing = true;
    for (let unchanged = 0; !this.#isDrained() && unchanged < FINISH_LOOKS; unchanged++) {
      const before = this.#committed;
      await delay(FINISH_LOOK_MS);
      if (this.#committed > before || !this.#isSent()) unchanged = 0;
    }
    // The last commit has no WAL behind it that would carry the news.
    this.#handle({ type: "tick" });
    return this.#committed;
  }

  #isDrained(): boolean {
    return this.#source === undefined && (this.#buffer === undefined || this.#committed >= this.#buffer.end);
  }

  /** A quorum has everything that came from the server, acknowledged or not. */
  #isSent(): boolean {
    const { state } = this.#proposer;
    const end = this.#buffer?.end ?? 0n;
    const having = state.peers.filter((peer) => peer.phase === "active" && peer.position >= end).length;
    return this.#source === undefined && having > Math.floor(state.peers.length / 2);
  }

  /** Gives up everything. Safe to call again. */
  stop(): void {
    this.#over = true;
    for (const timer of this.#timers) clearInterval(timer);
    this.#source?.close();
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
  }

  async #openSource(start: Lsn): Promise<Lsn> {
    const attach = this.#attach as AttachOptions;
    const opening = await WalSource.attach(
      { ...attach, start },
      {
        onOpen: (source) => {
          this.#source = source;
          this.#paused = false;
          // Before that the positions of the two need not mean the same.
          if (this.#firstRecord === undefined) source.acknowledge(this.#committed);
          // What was said while nobody listened would hold vacuum for ever.
          if (this.#feedback !== undefined) source.feedback(this.#feedback);
        },
        onWal: (at, bytes) => this.#received(at, bytes),
        onEnd: (reason) => this.#sourceEnded(reason),
      },
    );
    // Stopped while it was dialled.
    if (this.#over) opening.source.close();
    return opening.flushed;
  }

  #received(start: Lsn, bytes: Buffer): void {
    const buffer = this.#buffer;
    if (this.#over || buffer === undefined) return;
    try {
      if (this.#firstRecord !== undefined) {
        this.#firstRecord.push(bytes);
        const { found } = this.#firstRecord;
        if (found !== undefined) {
          this.#firstRecord = undefined;
          this.#handle({ type: "server_began", lsn: found });
          this.#verified.resolve();
        }
      }
      buffer.append(start, bytes);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#waitingSince ??= performance.now();
    // Nothing of a server that is not proven to be the right one leaves this process.
    if (this.#firstRecord === undefined) this.#handle({ type: "local_flushed", lsn: buffer.end });
    if (!this.#paused && this.#unsent() > PAUSE_BYTES) {
      this.#paused = true;
      this.#source?.pause();
    }
  }

  /**
   * Bytes that the slowest safekeeper of the running term has not been sent. What was sent does not count: safekeepers
   * acknowledge whole records only, and one record may be larger than any limit.
   */
  #unsent(): number {
    const buffer = this.#buffer;
    if (buffer === undefined) return 0;
    const active = this.#proposer.state.peers.filter((peer) => peer.phase === "active");
    const sent = active.map((peer) => peer.position).reduce((a, b) => (a < b ? a : b), buffer.end);
    return active.length === 0 || sent < buffer.start ? buffer.size : Number(buffer.end - sent);
  }

  #readOn(): void {
    if (!this.#paused || this.#unsent() >= RESUME_BYTES) return;
    this.#paused = false;
    this.#source?.resume();
  }

  #sourceEnded(reason: string | undefined): void {
    this.#source = undefined;
    if (this.#over || this.#finishing) return;
    if (reason !== undefined)
      this.#report({ type: "log", level: "warn", message: `the server's WAL stream ended: ${reason}` });
    this.#reattach();
  }

  /** The server is going down, or somebody ended our walsender: its slot has kept what we lack. */
  #reattach(): void {
    setTimeout(() => {
      if (this.#over || this.#finishing || this.#buffer === undefined || this.#source !== undefined) return;
      this.#openSource(this.#buffer.end).catch((error: unknown) => {
        const message = errorChain(error);
        // A server that goes down refuses us until it is gone.
        if (message !== this.#lastRefusal) this.#report({ type: "log", level: "info", message });
        this.#lastRefusal = message;
        this.#reattach();
      });
    }, REATTACH_MS).unref();
  }

  #tick(): void {
    this.#handle({ type: "tick" });
    this.#readOn();
    const { state } = this.#proposer;
    const active = state.peers.filter((peer) => peer.phase === "active").length;
    const status: ProposerStatus = {
      term: state.term,
      receivedLsn: this.#buffer?.end ?? 0n,
      committedLsn: this.#committed,
      active,
      safekeepers: state.peers.length,
      quorum: state.phase === "elected" && active > Math.floor(state.peers.length / 2),
      lagMs: this.#waitingSince === undefined ? 0 : Math.round(performance.now() - this.#waitingSince),
    };
    const text = JSON.stringify(status, (_key, value: unknown) =>
      typeof value === "bigint" ? value.toString() : value,
    );
    if (text === this.#lastStatus) return;
    this.#lastStatus = text;
    this.#report({ type: "status", status });
  }

  /** Effects run in their order: an event that one of them brings about waits for the rest. */
  #handle(event: ProposerEvent): void {
    this.#events.push(event);
    if (this.#handling) return;
    this.#handling = true;
    try {
      for (let next = this.#events.shift(); next !== undefined && !this.#over; next = this.#events.shift())
        for (const effect of this.#proposer.handle(next, performance.now())) this.#run(effect);
    } finally {
      this.#handling = false;
    }
  }

  #run(effect: ProposerEffect): void {
    switch (effect.kind) {
      case "connect":
        this.#connect(effect.peer, effect.connection);
        return;
      case "send":
        this.#connections.get(effect.peer)?.send(effect.message);
        return;
      case "close":
        this.#connections.get(effect.peer)?.close();
        this.#connections.delete(effect.peer);
        return;
      case "read_wal":
        this.#readWal(effect);
        return;
      case "elected":
        this.#history = effect.history;
        this.#report({
          type: "log",
          level: "info",
          message: `elected with term ${effect.term}, WAL begins at ${formatLsn(effect.startLsn)}`,
        });
        return;
      case "synced": {
        const { term } = this.#proposer.state;
        this.#startLsn = effect.lsn;
        // After another election the server may already hold more than the new term begins with.
        if (effect.lsn > this.#committed) this.#committed = effect.lsn;
        this.#report({ type: "synced", term, startLsn: effect.lsn, history: this.#history });
        return;
      }
      case "committed":
        this.#commit(effect.lsn);
        return;
      case "hot_standby":
        this.#feedback = effect.hotStandby;
        this.#source?.feedback(effect.hotStandby);
        return;
      case "fenced":
        this.#report({ type: "fenced", term: effect.term, reason: effect.reason });
        this.stop();
        return;
      case "failed":
        this.#fail(effect.error);
        return;
      case "stepped_down":
        this.#report({ type: "log", level: "warn", message: `stepped down: ${effect.reason}` });
        return;
      case "log":
        this.#report({ type: "log", level: effect.level, message: effect.message });
        return;
      case "pageserver_feedback":
        // Back-pressure by a pageserver is for Neon's own Postgres; here storage is full backups and WAL.
        return;
    }
  }

  #connect(peer: number, connection: number): void {
    const { safekeepers, tenantId, timelineId, token } = this.#options;
    const address = safekeepers[peer] ?? "";
    const opened = new PushConnection(
      { address, tenantId, timelineId, token },
      {
        onConnected: () => this.#handle({ type: "connected", peer, connection }),
        onMessage: (message) => this.#handle({ type: "message", peer, connection, message }),
        onEnd: (reason) =>
          this.#handle({
            type: "disconnected",
            peer,
            connection,
            ...(reason === undefined ? {} : { refusal: reason }),
          }),
      },
    );
    this.#connections.set(peer, opened);
  }

  #readWal({ peer, connection, begin, end, source }: Extract<ProposerEffect, { kind: "read_wal" }>): void {
    const bytes = source.from === "local" ? this.#buffer?.read(begin, end) : undefined;
    const answer: ProposerEvent =
      bytes === undefined
        ? { type: "wal_unavailable", peer, connection }
        : { type: "wal", peer, connection, begin, bytes };
    this.#connections.get(peer)?.whenDrained(() => {
      this.#handle(answer);
      this.#readOn();
    });
  }

  #commit(lsn: Lsn): void {
    this.#committed = lsn;
    this.#source?.acknowledge(lsn);
    const buffer = this.#buffer;
    if (buffer !== undefined) {
      const { truncateLsn, peers } = this.#proposer.state;
      // A switch record makes the acknowledged end jump over padding that is still to be sent.
      const positions = peers.filter(({ phase }) => phase === "active").map(({ position }) => position);
      buffer.trim([lsn, truncateLsn, ...positions].reduce(earlier));
      this.#handle({ type: "local_removed", before: buffer.start });
      this.#waitingSince = lsn >= buffer.end ? undefined : performance.now();
      this.#readOn();
    }
    for (let index = this.#waiters.length - 1; index >= 0; index--) {
      const waiter = this.#waiters[index];
      if (waiter === undefined || waiter.lsn > lsn) continue;
      this.#waiters.splice(index, 1);
      waiter.resolve();
    }
  }

  #fail(error: unknown): void {
    const failure =
      error instanceof CodedError ? error : new CodedError("proposer_failed", errorChain(error), { cause: error });
    this.#report({ type: "failed", error: failure });
    this.stop();
  }
}
