import { Proposer } from "../../src/walproposer/proposer.ts";
import type { ProposerEffect, ProposerEvent } from "../../src/walproposer/proposer_events.ts";
import type { Lsn } from "../../src/wire/lsn.ts";
import { encodeCopyData } from "../../src/wire/postgres_protocol.ts";
import { protocol3 } from "../../src/wire/safekeeper/protocol3.ts";
import { WAL_SEGMENT_SIZE } from "../../src/wire/wal/segment.ts";
import { type PushTarget, walAt } from "./push_client.ts";
import { RawClient } from "./raw_client.ts";

/** A server's WAL, made up, and what of it was acknowledged; outlives every proposer. */
export class Ledger {
  readonly start: Lsn;
  readonly records: { readonly start: Lsn; readonly end: Lsn }[] = [];
  /** Everything up to here was promised to somebody. */
  acknowledged: Lsn;
  #bytes = Buffer.alloc(1024 * 1024);
  #length = 0;
  #firstWaiting = 0;

  constructor(start: Lsn) {
    this.start = start;
    this.acknowledged = start;
  }

  get end(): Lsn {
    return this.start + BigInt(this.#length);
  }

  /** Records that were not acknowledged yet. */
  get waiting(): number {
    while ((this.records[this.#firstWaiting]?.end ?? this.acknowledged + 1n) <= this.acknowledged) this.#firstWaiting++;
    return this.records.length - this.#firstWaiting;
  }

  read(begin: Lsn, end: Lsn): Buffer {
    return Buffer.from(this.#bytes.subarray(Number(begin - this.start), Number(end - this.start)));
  }

  /** A new server goes on at an LSN: what is behind it was never acknowledged. */
  cut(lsn: Lsn): void {
    this.#length = Number(lsn - this.start);
    while ((this.records.at(-1)?.end ?? 0n) > lsn) this.records.pop();
    this.#firstWaiting = Math.min(this.#firstWaiting, this.records.length);
  }

  write(target: PushTarget, previous: Lsn | undefined, body: Buffer): void {
    const wal = walAt(target, this.end, this.records.at(-1)?.start ?? previous);
    const bytes = wal.record(body).take();
    while (this.#length + bytes.length > this.#bytes.length)
      this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(this.#bytes.length)]);
    bytes.copy(this.#bytes, this.#length);
    this.#length += bytes.length;
    this.records.push(...wal.records);
  }
}

/** A compute's proposer over real sockets, with a server that keeps a few commits waiting all the time. */
export class PushingProposer implements AsyncDisposable {
  readonly #proposer: Proposer;
  readonly #target: PushTarget;
  readonly #ledger: Ledger;
  readonly #previous: Lsn | undefined;
  readonly #body: () => Buffer;
  readonly #ticks: NodeJS.Timeout;
  #client: RawClient | undefined;
  #writing = false;
  #stopped = false;
  /** Set when it is over. */
  failure: Error | undefined;
  /** Why connections ended. */
  readonly refusals: string[] = [];

  constructor(target: PushTarget, ledger: Ledger, options: { previous: Lsn | undefined; body: () => Buffer }) {
    this.#target = target;
    this.#ledger = ledger;
    this.#previous = options.previous;
    this.#body = options.body;
    const { tenantId, timelineId, pgVersion, systemId } = target;
    this.#proposer = new Proposer({
      tenantId,
      timelineId,
      pgVersion,
      systemId,
      walSegSize: WAL_SEGMENT_SIZE,
      acceptors: 1,
      mode: "stream",
    });
    this.#ticks = setInterval(() => this.#handle({ type: "tick" }), 50);
    this.#handle({ type: "tick" });
  }

  /** No more WAL; what is there is still sent. */
  quiet(): void {
    this.#stopped = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#ticks);
    this.#stopped = true;
    this.failure ??= new Error("stopped");
    this.#client?.socket.destroy();
    await this.#client?.hungUp();
  }

  #handle(event: ProposerEvent): void {
    if (this.failure) return;
    for (const effect of this.#proposer.handle(event, performance.now())) this.#do(effect);
  }

  #do(effect: ProposerEffect): void {
    switch (effect.kind) {
      case "connect":
        void this.#connect(effect.peer, effect.connection);
        return;
      case "send":
        this.#client?.socket.write(encodeCopyData(protocol3.encodeProposerMessage(effect.message)));
        return;
      case "close":
        this.#client?.socket.destroy();
        return;
      case "read_wal": {
        const { peer, connection, begin, end } = effect;
        const bytes = this.#ledger.read(begin, end);
        setImmediate(() => this.#handle({ type: "wal", peer, connection, begin, bytes }));
        return;
      }
      case "elected":
        // What was acknowledged must be part of every later history.
        if (effect.startLsn < this.#ledger.acknowledged)
          this.failure = new Error(`lost: elected at ${effect.startLsn}`);
        else if (!this.#writing) this.#ledger.cut(effect.startLsn);
        return;
      case "synced":
        if (!this.#writing) {
          this.#writing = true;
          setImmediate(() => this.#write());
        }
        return;
      case "committed":
        this.#ledger.acknowledged = effect.lsn;
        setImmediate(() => this.#write());
        return;
      case "fenced":
        this.failure = new Error(effect.reason);
        return;
      case "failed":
        this.failure = effect.error;
        return;
    }
  }

  #write(): void {
    if (this.#stopped || this.failure) return;
    for (let { waiting } = this.#ledger; waiting < 8; waiting++)
      this.#ledger.write(this.#target, this.#previous, this.#body());
    this.#handle({ type: "local_flushed", lsn: this.#ledger.end });
  }

  async #connect(peer: number, connection: number): Promise<void> {
    try {
      const { address, tenantId, timelineId } = this.#target;
      const client = await RawClient.connect(address, {
        options: `-c timeline_id=${timelineId} tenant_id=${tenantId}`,
      });
      await client.startCopy("START_WAL_PUSH (proto_version '3', allow_timeline_creation 'false')");
      this.#client = client;
      this.#handle({ type: "connected", peer, connection });
      for (;;) {
        const message = await client.next();
        if (message?.type === "errorResponse") throw new Error(message.fields.message);
        if (message?.type !== "copyData") break;
        this.#handle({ type: "message", peer, connection, message: protocol3.decodeAcceptorMessage(message.data) });
      }
      this.#handle({ type: "disconnected", peer, connection });
    } catch (error) {
      const refusal = error instanceof Error ? error.message : String(error);
      this.refusals.push(refusal);
      this.#handle({ type: "disconnected", peer, connection, refusal });
    }
  }
}
