import { CodedError, errorCode } from "../../errors/coded_error.ts";
import { formatLsn, type Lsn } from "../../wire/lsn.ts";
import {
  encodeCommandComplete,
  encodeCopyDataHeader,
  encodeCopyDone,
  encodeCopyOutResponse,
  encodeDataRow,
  encodeRowDescription,
  TYPE_OID,
} from "../../wire/postgres_protocol.ts";
import type { LibpqFailure, LibpqHandler, LibpqService, LibpqSession, QueryProtocol } from "../libpq/session.ts";
import type { Store } from "../store.ts";
import { StoreError } from "../store_error.ts";
import type { Timeline } from "../timeline.ts";
import { checkPermission } from "../token.ts";
import { type PageserverCommand, parsePageserverCommand } from "./command.ts";
import { describePageserverFailure } from "./failure.ts";

/** The part of a pageserver that starts computes (contract: storage-protocols.md 1). */
export function pageserverService(store: Store): LibpqService {
  return (session) => new PageserverHandler(store, session);
}

type Backup = Extract<PageserverCommand, { name: "basebackup" | "fullbackup" }>;

class PageserverHandler implements LibpqHandler {
  readonly #store: Store;
  readonly #session: LibpqSession;
  #tenantId: string | undefined;
  /** A failed lease is worded alike in both protocols and keeps the connection. */
  #leasing = false;

  constructor(store: Store, session: LibpqSession) {
    this.#store = store;
    this.#session = session;
  }

  async execute(query: string): Promise<"done"> {
    this.#leasing = false;
    const command = parsePageserverCommand(query);
    switch (command.name) {
      case "basebackup":
      case "fullbackup":
        await this.#backup(command);
        break;
      case "lease lsn":
        this.#leasing = true;
        await this.#lease(command.tenant.tenantId, command.tenant.shardCount, command.timelineId, command.lsn);
        break;
      case "set":
        break;
    }
    await this.#session.send(encodeCommandComplete("SELECT 1"));
    return "done";
  }

  describe(error: unknown, protocol: QueryProtocol): LibpqFailure {
    const failure = describePageserverFailure(error, this.#leasing ? "extended" : protocol);
    return this.#leasing ? { ...failure, closes: false } : failure;
  }

  async #backup(command: Backup): Promise<void> {
    const { send, signal } = this.#session;
    const timeline = this.#timeline(command.tenantId, command.timelineId);
    const { gzip, replica } = command.name === "basebackup" ? command : { gzip: false, replica: false };
    const request = { timeline, lsn: command.lsn, gzip, replica, signal };
    try {
      await this.#store.withBaseBackup(request, async (backup, lsn) => {
        if (command.name === "fullbackup") await checkPrevious(timeline, lsn, command.previousLsn);
        await send(encodeCopyOutResponse());
        for await (const data of backup.data) await send(encodeCopyDataHeader(data.length), data);
        await send(encodeCopyDone());
      });
    } catch (error) {
      if (errorCode(error) === "lsn_below_cutoff")
        throw new CodedError("lsn_below_cutoff", "invalid basebackup lsn", { cause: error });
      throw error;
    }
  }

  async #lease(tenantId: string, shardCount: number, timelineId: string, lsn: Lsn): Promise<void> {
    if (shardCount > 0) throw new StoreError("tenant_not_found", `tenant ${tenantId} has no shards`);
    const until = this.#store.leases.take(this.#timeline(tenantId, timelineId), lsn);
    await this.#session.send(
      encodeRowDescription([{ name: "valid_until", typeOid: TYPE_OID.text }]),
      encodeDataRow([until === undefined ? null : String(until)]),
    );
  }

  #timeline(tenantId: string, timelineId: string): Timeline {
    if (this.#tenantId !== undefined && this.#tenantId !== tenantId)
      throw new StoreError("bad_request", `this connection belongs to tenant ${this.#tenantId}`);
    checkPermission(this.#session.claims, tenantId, "pageserver");
    const timeline = this.#store.tenants.timeline(tenantId, timelineId);
    this.#tenantId = tenantId;
    return timeline;
  }
}

async function checkPrevious(timeline: Timeline, lsn: Lsn, previous: Lsn | undefined): Promise<void> {
  const { end, lastRecordStart } = await timeline.walEnd();
  if (previous === undefined || lsn !== end || lastRecordStart === undefined || previous === lastRecordStart) return;
  throw new StoreError(
    "bad_request",
    `backup_prev ${formatLsn(lastRecordStart)} != provided_prev_lsn ${formatLsn(previous)}`,
  );
}
