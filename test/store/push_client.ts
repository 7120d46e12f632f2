import { CodedError } from "../../src/errors/coded_error.ts";
import type { ListenAddress } from "../../src/store/listen_address.ts";
import type { Timeline } from "../../src/store/timeline.ts";
import { streamingStart } from "../../src/walproposer/term_history.ts";
import { formatLsn, type Lsn } from "../../src/wire/lsn.ts";
import { encodeCopyData } from "../../src/wire/postgres_protocol.ts";
import { NO_CONFIGURATION } from "../../src/wire/safekeeper/configuration.ts";
import type { TermHistory } from "../../src/wire/safekeeper/history.ts";
import type {
  AcceptorMessage,
  AppendResponse,
  ProposerGreeting,
  ProposerMessage,
  SafekeeperCodec,
  Vote,
} from "../../src/wire/safekeeper/messages.ts";
import { protocol3 } from "../../src/wire/safekeeper/protocol3.ts";
import { WAL_PAGE_MAGIC } from "../../src/wire/wal/page_header.ts";
import { WAL_SEGMENT_SIZE } from "../../src/wire/wal/segment.ts";
import { WalBuilder } from "../wire/wal/wal_builder.ts";
import { RawClient } from "./raw_client.ts";

/** What a proposer has to say about its timeline. */
export interface PushTarget {
  readonly address: ListenAddress;
  readonly tenantId: string;
  readonly timelineId: string;
  readonly pgVersion: number;
  readonly systemId: bigint;
}

export function targetOf(timeline: Timeline, address: ListenAddress): PushTarget {
  const { tenant_id, timeline_id, pg_version, system_identifier } = timeline.record;
  return {
    address,
    tenantId: tenant_id,
    timelineId: timeline_id,
    pgVersion: pg_version * 10_000 + 5,
    systemId: BigInt(system_identifier),
  };
}

/** WAL that goes on at an LSN of a timeline's cluster. */
export function walAt(target: PushTarget, lsn: Lsn, previous: Lsn = 0n): WalBuilder {
  const magic = WAL_PAGE_MAGIC[Math.floor(target.pgVersion / 10_000)] ?? 0;
  return new WalBuilder(lsn, previous, { magic, systemIdentifier: target.systemId });
}

/** A proposer's connection, message by message. */
export class PushClient implements AsyncDisposable {
  readonly target: PushTarget;
  readonly raw: RawClient;
  readonly #codec: SafekeeperCodec;
  term = 0n;
  history: TermHistory = [];
  /** Where the next append begins. */
  position: Lsn = 0n;

  private constructor(target: PushTarget, raw: RawClient, codec: SafekeeperCodec) {
    this.target = target;
    this.raw = raw;
    this.#codec = codec;
  }

  static async connect(target: PushTarget, codec: SafekeeperCodec = protocol3): Promise<PushClient> {
    const raw = await RawClient.connect(target.address, {
      options: `-c timeline_id=${target.timelineId} tenant_id=${target.tenantId}`,
    });
    await raw.startCopy(`START_WAL_PUSH (proto_version '${codec.version}', allow_timeline_creation 'false')`);
    return new PushClient(target, raw, codec);
  }

  /** Connected, greeted, elected in a term of its own. */
  static async elected(target: PushTarget): Promise<PushClient> {
    const client = await PushClient.connect(target);
    await client.elect();
    return client;
  }

  send(...messages: ProposerMessage[]): void {
    this.raw.socket.write(
      Buffer.concat(messages.map((message) => encodeCopyData(this.#codec.encodeProposerMessage(message)))),
    );
  }

  /** The next message. Rejects with the server's words when it ends the connection. */
  async next(): Promise<AcceptorMessage> {
    for (;;) {
      const message = await this.raw.next();
      if (message === undefined) throw new CodedError("hung_up", "the server hung up");
      if (message.type === "copyData") return this.#codec.decodeAcceptorMessage(message.data);
      if (message.type === "errorResponse") throw new CodedError(message.fields.code, message.fields.message);
    }
  }

  async ask<T extends AcceptorMessage["type"]>(
    type: T,
    ...messages: ProposerMessage[]
  ): Promise<Extract<AcceptorMessage, { type: T }>> {
    this.send(...messages);
    const answer = await this.next();
    if (answer.type !== type) throw new Error(`got ${answer.type} instead of ${type}`);
    return answer as Extract<AcceptorMessage, { type: T }>;
  }

  greeting(changes: Partial<ProposerGreeting> = {}): ProposerGreeting {
    const { tenantId, timelineId, pgVersion, systemId } = this.target;
    const what = { tenantId, timelineId, pgVersion, systemId, conf: NO_CONFIGURATION, walSegSize: WAL_SEGMENT_SIZE };
    return { type: "greeting", ...what, ...changes };
  }

  async vote(term: bigint): Promise<Vote> {
    return await this.ask("vote", { type: "vote_request", generation: 0, term });
  }

  /** Greets and wins; the vote tells what is there. */
  async elect(): Promise<Vote> {
    const greeted = await this.ask("greeting", this.greeting());
    this.term = greeted.term + 1n;
    const vote = await this.vote(this.term);
    if (!vote.given) throw new Error(`no vote in term ${this.term}`);
    this.history = [...vote.history, { term: this.term, lsn: vote.flushLsn }];
    this.position = streamingStart(this.history, vote.history, vote.flushLsn);
    this.send({
      type: "elected",
      generation: 0,
      term: this.term,
      startStreamingAt: this.position,
      history: this.history,
    });
    return vote;
  }

  /** Sends WAL that goes on where the last call ended, in as many appends as it takes, and waits for one answer. */
  async append(wal: Uint8Array = new Uint8Array(0), commitLsn: Lsn = 0n, piece = 131_072): Promise<AppendResponse> {
    const end = this.position + BigInt(wal.length);
    this.sendAppends(wal, commitLsn, piece);
    for (;;) {
      const answer = await this.next();
      if (answer.type !== "append_response") throw new Error(`got ${answer.type}`);
      // A large append may be answered in parts, the last of which comes when nothing more is at hand.
      if (wal.length <= piece || answer.flushLsn >= end - 8n || answer.term !== this.term) return answer;
    }
  }

  sendAppends(wal: Uint8Array, commitLsn: Lsn = 0n, piece = 131_072): void {
    for (let at = 0; at === 0 || at < wal.length; at += piece) {
      const bytes = wal.subarray(at, at + piece);
      const head = { generation: 0, term: this.term, commitLsn, truncateLsn: 0n };
      const endLsn = this.position + BigInt(bytes.length);
      this.send({ type: "append", ...head, beginLsn: this.position, endLsn, wal: bytes });
      this.position = endLsn;
    }
  }

  get where(): string {
    return formatLsn(this.position);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.raw.socket.destroy();
    await this.raw.hungUp();
  }
}
