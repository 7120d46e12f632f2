import type { Lsn } from "../../../src/wire/lsn.ts";
import { formatLsn } from "../../../src/wire/lsn.ts";
import type { TermHistory } from "../../../src/wire/safekeeper/history.ts";
import type { AcceptorMessage } from "../../../src/wire/safekeeper/messages.ts";
import type { Disk } from "./disk.ts";
import { TIMELINE_START } from "./fake_wal.ts";

/** A broken promise. */
export class Violation extends Error {
  readonly kind: "safety" | "liveness";

  constructor(message: string, kind: "safety" | "liveness" = "safety") {
    super(message);
    this.kind = kind;
  }
}

/** What a server wrote, from where it began; it may outlive a term. */
export interface ServerWal {
  readonly beganAt: Lsn;
  readonly bytes: number[];
}

interface ElectedTerm {
  readonly compute: number;
  readonly startLsn: Lsn;
  readonly history: TermHistory;
  readonly server: ServerWal;
  commitLsn: Lsn;
  /** Up to here its log was compared with what is committed. */
  comparedTo: number;
}

interface Promises {
  term: bigint;
  flushLsn: Lsn;
  /** What it acknowledged to the leader of a term. */
  acknowledged: { term: bigint; lsn: Lsn };
  /** Who got the vote of a term. */
  readonly votes: Map<bigint, number>;
}

/**
 * Knows everything and remembers every promise. Each term has one writer, so the log of a term follows from its history:
 * every byte belongs to the server of the term that the history names for its position.
 */
export class Oracle {
  readonly #terms = new Map<bigint, ElectedTerm>();
  readonly #committed: number[] = [];
  readonly #acceptors: Promises[];
  elections = 0;
  commits = 0;

  constructor(acceptors: number) {
    this.#acceptors = Array.from({ length: acceptors }, () => ({
      term: 0n,
      flushLsn: 0n,
      acknowledged: { term: 0n, lsn: 0n },
      votes: new Map(),
    }));
  }

  get committedTo(): Lsn {
    return TIMELINE_START + BigInt(this.#committed.length);
  }

  elected(compute: number, term: bigint, startLsn: Lsn, history: TermHistory, server: ServerWal): void {
    const other = this.#terms.get(term);
    if (other) throw new Violation(`computes ${other.compute} and ${compute} were both elected in term ${term}`);
    const elected = { compute, startLsn, history, server, commitLsn: 0n, comparedTo: 0 };
    this.#terms.set(term, elected);
    this.elections++;
    for (const [older, { commitLsn }] of this.#terms) if (older < term) this.#mustHold(term, elected, older, commitLsn);
  }

  /** The server of `term` was told that everything up to `lsn` is durable. */
  committed(term: bigint, lsn: Lsn): void {
    const elected = this.#terms.get(term);
    if (!elected) throw new Violation(`commit in term ${term}, which nobody won`);
    this.commits++;
    if (lsn > elected.commitLsn) elected.commitLsn = lsn;
    this.#compare(term, elected, lsn);
    for (const [newer, other] of this.#terms) if (newer > term) this.#mustHold(newer, other, term, lsn);
  }

  /** An acceptor is about to say this. `to`: the compute. */
  sends(acceptor: number, to: number, message: AcceptorMessage, disk: Disk): void {
    const promises = this.#acceptors[acceptor]!;
    if (message.term < promises.term)
      throw new Violation(`acceptor ${acceptor} spoke of term ${promises.term} and now of ${message.term}`);
    promises.term = message.term;
    if (message.type === "vote" && message.given) {
      const holder = promises.votes.get(message.term);
      if (holder !== undefined && holder !== to)
        throw new Violation(
          `acceptor ${acceptor} gave its vote of term ${message.term} to computes ${holder} and ${to}`,
        );
      promises.votes.set(message.term, to);
    }
    if (message.type === "greeting" || message.flushLsn === 0n) return;
    if (message.flushLsn < promises.flushLsn)
      throw new Violation(
        `acceptor ${acceptor} had flushed ${formatLsn(promises.flushLsn)} and now only ${formatLsn(message.flushLsn)}`,
      );
    promises.flushLsn = message.flushLsn;
    if (message.type === "append_response") promises.acknowledged = { term: message.term, lsn: message.flushLsn };
    if (message.type === "vote") this.logMatches(acceptor, disk, message.history, message.flushLsn);
  }

  /** An acceptor of this term cuts its log. What it acknowledged may go only when a newer leader says so. */
  truncated(acceptor: number, term: bigint, lsn: Lsn): void {
    const promises = this.#acceptors[acceptor]!;
    const { acknowledged } = promises;
    if (acknowledged.term >= term && lsn < acknowledged.lsn)
      throw new Violation(
        `acceptor ${acceptor} cuts at ${formatLsn(lsn)} what it acknowledged in term ${term} up to ${formatLsn(acknowledged.lsn)}`,
      );
    if (lsn < promises.flushLsn) promises.flushLsn = lsn;
  }

  /** The bytes an acceptor claims to have are those its history names. */
  logMatches(acceptor: number, disk: Disk, history: TermHistory, flushLsn: Lsn): void {
    const bytes = disk.bytes(TIMELINE_START, flushLsn);
    this.#eachByte(history, 0, bytes.length, (at, expected) => {
      if (bytes[at] !== expected)
        throw new Violation(
          `acceptor ${acceptor}: its byte at ${formatLsn(TIMELINE_START + BigInt(at))} is ${bytes[at]}, its history says ${expected}`,
        );
    });
  }

  /** The acceptor's log holds everything that was ever committed. */
  holdsCommitted(acceptor: number, disk: Disk): void {
    const bytes = disk.bytes(TIMELINE_START, this.committedTo);
    const wrong = this.#committed.findIndex((byte, at) => byte !== bytes[at]);
    if (wrong >= 0)
      throw new Violation(
        `acceptor ${acceptor} has other bytes than were committed at ${formatLsn(TIMELINE_START + BigInt(wrong))}`,
      );
  }

  #mustHold(term: bigint, elected: ElectedTerm, older: bigint, commitLsn: Lsn): void {
    if (elected.startLsn < commitLsn)
      throw new Violation(
        `term ${term} starts at ${formatLsn(elected.startLsn)}, but term ${older} committed up to ${formatLsn(commitLsn)}`,
      );
    this.#compare(term, elected, commitLsn);
  }

  /** The log of a term up to `lsn` is what was committed; what nobody committed before is committed now. */
  #compare(term: bigint, elected: ElectedTerm, lsn: Lsn): void {
    const to = Number(lsn - TIMELINE_START);
    if (to <= elected.comparedTo) return;
    this.#eachByte(elected.history, elected.comparedTo, to, (at, byte) => {
      const committed = this.#committed[at];
      if (committed === undefined) this.#committed.push(byte);
      else if (committed !== byte)
        throw new Violation(
          `term ${term} has byte ${byte} at ${formatLsn(TIMELINE_START + BigInt(at))}, but ${committed} was committed there`,
        );
    });
    elected.comparedTo = to;
  }

  #eachByte(history: TermHistory, from: number, to: number, visit: (at: number, byte: number) => void): void {
    for (let i = 0; i < history.length; i++) {
      const entry = history[i]!;
      const next = history[i + 1];
      const begin = Number(entry.lsn - TIMELINE_START);
      const end = next ? Math.min(to, Number(next.lsn - TIMELINE_START)) : to;
      const server = this.#terms.get(entry.term)?.server;
      const first = server ? Number(server.beganAt - TIMELINE_START) : 0;
      for (let at = Math.max(from, begin); at < end; at++) visit(at, server?.bytes[at - first] ?? 0);
    }
  }
}
