import { CodedError, errorChain } from "../../errors/coded_error.ts";
import { formatLsn, type Lsn } from "../../wire/lsn.ts";
import { encodeCopyBothResponse, encodeCopyDataHeader, encodeErrorResponse } from "../../wire/postgres_protocol.ts";
import { MAX_APPEND_BYTES } from "../../wire/safekeeper/messages.ts";
import { segmentNumber, segmentStart, WAL_PAGE_SIZE } from "../../wire/wal/segment.ts";
import type { LibpqSession, TakenConnection } from "../libpq/session.ts";
import { WalReader } from "../wal_reader.ts";
import type { AcceptorDriver, WalFollower } from "./acceptor_driver.ts";

const INTERNAL_ERROR = "XX000";
const KEEPALIVE_MS = 1000;
const WAL_HEADER = 25;
const POSTGRES_EPOCH_MS = 946_684_800_000;

export interface ReplicationStart {
  readonly lsn: Lsn;
  readonly term: bigint | undefined;
}

/**
 * `START_REPLICATION`: sends WAL from an LSN on until the client goes: up to the commit LSN, or up to the flush LSN as long
 * as the acceptor is in the given term (contract: storage-protocols.md 5.8).
 */
export async function sendWal(
  session: LibpqSession,
  driver: AcceptorDriver,
  start: ReplicationStart,
): Promise<"close"> {
  await driver.open();
  const first = driver.timeline.spans[0].from;
  if (start.lsn < first)
    throw new CodedError(
      "wal_removed",
      `WAL before ${formatLsn(first)} is not kept; ${formatLsn(start.lsn)} was asked for`,
    );
  await session.send(encodeCopyBothResponse());
  const sender = new WalSender(session, driver, start);
  driver.follow(sender);
  try {
    await sender.run();
  } catch (error) {
    sender.end(error);
  } finally {
    driver.unfollow(sender);
    await sender.close();
  }
  return "close";
}

class WalSender implements WalFollower {
  readonly application: string;
  readonly #session: LibpqSession;
  readonly #driver: AcceptorDriver;
  readonly #term: bigint | undefined;
  readonly #reader: WalReader;
  readonly #writer: bigint;
  #at: Lsn;
  readonly #connection: TakenConnection;
  #wake: (() => void) | undefined;
  #began = false;
  #over = false;

  constructor(session: LibpqSession, driver: AcceptorDriver, { lsn, term }: ReplicationStart) {
    this.#session = session;
    this.#driver = driver;
    this.#term = term;
    this.#at = lsn;
    this.application = session.parameters.get("application_name") ?? "";
    this.#reader = new WalReader(driver.timeline.spans);
    this.#writer = driver.state.record.history.at(-1)?.term ?? 0n;
    session.signal.addEventListener("abort", () => this.changed(), { once: true });
    this.#connection = session.takeOver(({ messages, failure }) => {
      // Replies of standbys are read so that they do not pile up.
      if (failure === undefined && messages.every(({ type }) => type === "copyData")) return;
      this.#over = true;
      this.changed();
    });
  }

  get sentLsn(): Lsn {
    return this.#at;
  }

  changed(): void {
    this.#wake?.();
  }

  async run(): Promise<void> {
    while (!this.#over && !this.#session.signal.aborted) {
      const end = this.#end();
      if (this.#at < end) await this.#send(end);
      else if (!(await this.#rise())) await this.#keepalive(end);
    }
  }

  /** Says why nothing more comes. */
  end(error: unknown): void {
    this.#connection.end(encodeErrorResponse({ severity: "ERROR", code: INTERNAL_ERROR, message: errorChain(error) }));
  }

  async close(): Promise<void> {
    await this.#reader.close();
  }

  /** Up to where this client may read now. @throws CodedError when it must not go on */
  #end(): Lsn {
    const { record, flushLsn, commitLsn } = this.#driver.state;
    const writer = record.history.at(-1)?.term ?? 0n;
    if (this.#term !== undefined) {
      if (record.term !== this.#term)
        throw new CodedError(
          "term_changed",
          this.#began
            ? `term changed: requested ${this.#term}, now ${record.term}`
            : `failed to acquire term ${this.#term}, current term ${record.term}`,
        );
      this.#began = true;
      return flushLsn;
    }
    // A standby may hold a piece of a record that the new writer replaces: it has to read its segment again.
    if (writer !== this.#writer) throw new CodedError("writer_changed", "another proposer writes this timeline now");
    return commitLsn;
  }

  /** One message: to a page boundary, unless it reaches the end. */
  async #send(available: Lsn): Promise<void> {
    const segmentEnd = segmentStart(segmentNumber(this.#at) + 1n);
    let end = this.#at + BigInt(MAX_APPEND_BYTES);
    end -= end % BigInt(WAL_PAGE_SIZE);
    if (end > segmentEnd) end = segmentEnd;
    if (end > available) end = available;
    const wal = await this.#reader.read(this.#at, end);
    const header = Buffer.allocUnsafe(WAL_HEADER);
    header.write("w", 0, "latin1");
    header.writeBigUInt64BE(this.#at, 1);
    header.writeBigUInt64BE(available, 9);
    header.writeBigInt64BE(postgresMicros(), 17);
    await this.#session.send(encodeCopyDataHeader(header.length + wal.length), header, wal);
    this.#at = end;
  }

  /** True when there is something new to look at; false after a second without. */
  async #rise(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), KEEPALIVE_MS);
    this.#wake = () => resolve(true);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#wake = undefined;
    }
  }

  async #keepalive(end: Lsn): Promise<void> {
    const message = Buffer.allocUnsafe(18);
    message.write("k", 0, "latin1");
    message.writeBigUInt64BE(end, 1);
    message.writeBigInt64BE(postgresMicros(), 9);
    message.writeUInt8(1, 17);
    await this.#session.send(encodeCopyDataHeader(message.length), message);
  }
}

/** Microseconds since 2000-01-01 00:00 UTC. */
function postgresMicros(): bigint {
  return BigInt(Math.round((performance.timeOrigin + performance.now() - POSTGRES_EPOCH_MS) * 1000));
}
