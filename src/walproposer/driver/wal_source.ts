import { CodedError, errorChain, errorCode } from "../../errors/coded_error.ts";
import { formatLsn, type Lsn, parseLsn } from "../../wire/lsn.ts";
import type { HotStandbyFeedback } from "../../wire/safekeeper/messages.ts";
import { CopyBothSession, type SessionTarget } from "./copy_both_session.ts";
import { decodeWalSenderMessage, encodeHotStandbyFeedback, encodeStandbyStatus } from "./replication_messages.ts";

/** How we are seen in `pg_stat_replication`, and the only name that commits wait for. */
export interface WalSourceOptions {
  /** The server's Unix socket, or its address. */
  readonly target: SessionTarget;
  readonly user: string;
  readonly password: string | undefined;
  /** Application name and slot name: random for each start, so that nobody else can stand in. */
  readonly name: string;
  /** Identifier of the cluster that the base backup came from; checked when given. */
  readonly systemIdentifier: bigint | undefined;
  /** Where to begin: the end of the WAL in storage. */
  readonly start: Lsn;
}

export interface WalSourceHandlers {
  /** The stream begins; comes before its first bytes and before its end. */
  onOpen(source: WalSource): void;
  onWal(start: Lsn, bytes: Buffer): void;
  /** The stream ended; `reason` when the server gave one. */
  onEnd(reason: string | undefined): void;
}

const CONNECT_TIMEOUT_MS = 10_000;
const ALREADY_EXISTS = "42710";

/**
 * The server's WAL as its only synchronous standby sees it (contract: storage-protocols.md 10.3). The slot keeps what we
 * have not acknowledged; it is made anew with every start because base backups carry none.
 */
export class WalSource {
  readonly #session: CopyBothSession;
  #acknowledged: Lsn = 0n;

  private constructor(session: CopyBothSession) {
    this.#session = session;
  }

  /** Attaches and begins to stream. Resolves with the position that the server had flushed when we came. */
  static async attach(
    options: WalSourceOptions,
    handlers: WalSourceHandlers,
  ): Promise<{ source: WalSource; flushed: Lsn }> {
    const session = await CopyBothSession.connect({
      target: options.target,
      parameters: { user: options.user, database: "replication", replication: "true", application_name: options.name },
      password: options.password,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
    });
    try {
      const [identity] = await session.query("IDENTIFY_SYSTEM");
      const [system, timeline, position] = identity ?? [];
      if (options.systemIdentifier !== undefined && system !== options.systemIdentifier.toString())
        throw new CodedError(
          "base_mismatch",
          `the server belongs to the system ${system ?? "?"}, but storage holds the system ${options.systemIdentifier}`,
        );
      if (timeline !== "1")
        throw new CodedError(
          "wrong_timeline",
          `the server is on timeline ${timeline ?? "?"}, storage only knows timeline 1`,
        );
      await session.query(`CREATE_REPLICATION_SLOT ${options.name} PHYSICAL RESERVE_WAL`).catch((error: unknown) => {
        // We attached before: the slot has kept what we need.
        if (errorCode(error) !== ALREADY_EXISTS) throw error;
      });
      const source = new WalSource(session);
      const command = `START_REPLICATION SLOT ${options.name} PHYSICAL ${formatLsn(options.start)} TIMELINE 1`;
      await session.startCopy(command, {
        onStart: () => handlers.onOpen(source),
        onData: (payload) => source.#receive(payload, handlers),
        onEnd: (reason) => handlers.onEnd(reason),
      });
      return { source, flushed: parseLsn(position ?? "0/0") };
    } catch (error) {
      session.close();
      throw new CodedError("attach_failed", `cannot attach to the server's WAL: ${errorChain(error)}`, {
        cause: error,
      });
    }
  }

  /** Tells the server what is durable: commits up to here return. */
  acknowledge(lsn: Lsn): void {
    this.#acknowledged = lsn;
    this.#session.send(encodeStandbyStatus(lsn, epochMicros()));
  }

  /** Says the same again, 0/0 before anything is durable: the server wants to hear us now and then. */
  repeat(): void {
    this.acknowledge(this.#acknowledged);
  }

  feedback(feedback: HotStandbyFeedback): void {
    this.#session.send(encodeHotStandbyFeedback(feedback, epochMicros()));
  }

  pause(): void {
    this.#session.pause();
  }

  resume(): void {
    this.#session.resume();
  }

  close(): void {
    this.#session.close();
  }

  #receive(payload: Buffer, handlers: WalSourceHandlers): void {
    const message = decodeWalSenderMessage(payload);
    if (message.type === "wal") handlers.onWal(message.start, message.bytes);
    else if (message.type === "keepalive" && message.replyRequested) this.repeat();
  }
}

function epochMicros(): bigint {
  return BigInt(Date.now()) * 1000n;
}
