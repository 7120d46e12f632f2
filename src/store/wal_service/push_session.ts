import { CodedError, errorChain } from "../../errors/coded_error.ts";
import { encodeCopyBothResponse, encodeCopyData, encodeErrorResponse } from "../../wire/postgres_protocol.ts";
import type { AcceptorMessage, SafekeeperCodec } from "../../wire/safekeeper/messages.ts";
import type { LibpqSession, MessageBatch, TakenConnection } from "../libpq/session.ts";
import type { AcceptorDriver, ProposerPeer } from "./acceptor_driver.ts";

const INTERNAL_ERROR = "XX000";

/**
 * `START_WAL_PUSH`: a proposer's connection from CopyBothResponse to its end (contract: storage-protocols.md 5.3). Answers
 * are sent when a read of the socket has been dealt with, so several appends in one read cost one write and one answer.
 */
export async function pushWal(session: LibpqSession, driver: AcceptorDriver, codec: SafekeeperCodec): Promise<"close"> {
  await driver.openForWriting();
  await session.send(encodeCopyBothResponse());
  const push = new PushSession(driver, codec);
  const onGone = (): void => push.end();
  session.signal.addEventListener("abort", onGone, { once: true });
  push.start((receive) => session.takeOver(receive));
  if (session.signal.aborted) push.end();
  await push.over;
  session.signal.removeEventListener("abort", onGone);
  return "close";
}

class PushSession implements ProposerPeer {
  readonly over: Promise<void>;
  readonly #driver: AcceptorDriver;
  readonly #codec: SafekeeperCodec;
  readonly #settle: () => void;
  #connection = 0;
  #socket: TakenConnection | undefined;
  #isOver = false;
  #answering: NodeJS.Immediate | undefined;

  constructor(driver: AcceptorDriver, codec: SafekeeperCodec) {
    this.#driver = driver;
    this.#codec = codec;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.over = promise;
    this.#settle = resolve;
  }

  start(takeOver: (receive: (batch: MessageBatch) => void) => TakenConnection): void {
    this.#connection = this.#driver.connect(this);
    // What is queued already is handed over inside this call, but handled after it.
    const early: MessageBatch[] = [];
    let receive = (batch: MessageBatch): void => void early.push(batch);
    this.#socket = takeOver((batch) => receive(batch));
    receive = (batch) => this.#receive(batch);
    for (const batch of early) this.#receive(batch);
  }

  send(message: AcceptorMessage): void {
    this.#socket?.write(encodeCopyData(this.#codec.encodeAcceptorMessage(message)));
  }

  close(error: CodedError): void {
    if (this.#isOver) return;
    this.#finish();
    this.#socket?.end(encodeErrorResponse({ severity: "ERROR", code: INTERNAL_ERROR, message: errorChain(error) }));
  }

  /** The proposer is gone. */
  end(): void {
    if (this.#isOver) return;
    this.#finish();
    this.#driver.disconnect(this.#connection);
    this.#socket?.end();
  }

  #finish(): void {
    this.#isOver = true;
    clearImmediate(this.#answering);
    this.#settle();
  }

  #receive({ messages, more, failure }: MessageBatch): void {
    for (const message of messages) {
      if (this.#isOver) return;
      if (message.type === "copyData") this.#message(message.data);
      else this.end();
    }
    if (this.#isOver) return;
    if (failure !== undefined) this.#refuse(failure);
    else if (!more) this.#answer();
    // Reads that are already waiting come before this.
    else this.#answering ??= setImmediate(() => this.#answer());
  }

  #message(data: Buffer): void {
    try {
      this.#driver.receive(this.#connection, this.#codec.decodeProposerMessage(data));
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      this.#refuse(error);
    }
  }

  #answer(): void {
    clearImmediate(this.#answering);
    this.#answering = undefined;
    this.#driver.queueEmpty(this.#connection);
  }

  #refuse(error: unknown): void {
    const refusal = error instanceof CodedError ? error : new CodedError("protocol_violation", errorChain(error));
    this.close(refusal);
    this.#driver.disconnect(this.#connection);
  }
}
