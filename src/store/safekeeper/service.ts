import { CodedError, errorChain, errorCode } from "../../errors/coded_error.ts";
import { formatLsn } from "../../wire/lsn.ts";
import { encodeCommandComplete, encodeDataRow, encodeRowDescription, TYPE_OID } from "../../wire/postgres_protocol.ts";
import { WAL_TIMELINE } from "../../wire/wal/segment.ts";
import type { LibpqFailure, LibpqHandler, LibpqService, LibpqSession } from "../libpq/session.ts";
import type { Store } from "../store.ts";
import { checkPermission } from "../token.ts";
import { parseStartOptions, type SafekeeperStartOptions } from "./start_options.ts";

const INTERNAL_ERROR = "XX000";

/** The commands of a safekeeper that ask about WAL (contract: storage-protocols.md 5.2). */
export function safekeeperService(store: Store): LibpqService {
  return (session) => new SafekeeperHandler(store, session);
}

class SafekeeperHandler implements LibpqHandler {
  readonly #store: Store;
  readonly #session: LibpqSession;
  readonly #options: SafekeeperStartOptions;

  constructor(store: Store, session: LibpqSession) {
    this.#store = store;
    this.#session = session;
    this.#options = parseStartOptions(session.parameters.get("options"));
  }

  async execute(query: string): Promise<void> {
    if (/^set\s/i.test(query)) await this.#session.send(encodeCommandComplete("SELECT 1"));
    else if (query.startsWith("IDENTIFY_SYSTEM")) await this.#identifySystem();
    else if (query.startsWith("TIMELINE_STATUS")) await this.#timelineStatus();
    else throw new CodedError("bad_command", `unsupported command ${query}`);
  }

  describe(error: unknown): LibpqFailure {
    // A token for something else is not told more than that.
    const message = errorCode(error) === "unauthorized" ? "JWT authentication error" : errorChain(error);
    return { code: INTERNAL_ERROR, message, closes: false };
  }

  async #identifySystem(): Promise<void> {
    const { tenantId, timelineId } = this.#ids();
    const timeline = this.#store.tenants.timeline(tenantId, timelineId);
    // With this one safekeeper all that is flushed is committed, so both kinds of client are told the same.
    const { end } = await timeline.walEnd();
    await this.#session.send(
      encodeRowDescription([
        { name: "systemid", typeOid: TYPE_OID.text },
        { name: "timeline", typeOid: TYPE_OID.int4 },
        { name: "xlogpos", typeOid: TYPE_OID.text },
        { name: "dbname", typeOid: TYPE_OID.text },
      ]),
      encodeDataRow([timeline.record.system_identifier, String(WAL_TIMELINE), formatLsn(end), null]),
      encodeCommandComplete("IDENTIFY_SYSTEM"),
    );
  }

  async #timelineStatus(): Promise<void> {
    const { tenantId, timelineId } = this.#ids();
    const end = await this.#endOf(tenantId, timelineId);
    await this.#session.send(
      encodeRowDescription([
        { name: "flush_lsn", typeOid: TYPE_OID.text },
        { name: "commit_lsn", typeOid: TYPE_OID.text },
      ]),
      ...(end === undefined ? [] : [encodeDataRow([end, end])]),
      encodeCommandComplete("TIMELINE_STATUS"),
    );
  }

  /** Undefined for a timeline that is not here, which is no error: the original answers no row. */
  async #endOf(tenantId: string, timelineId: string): Promise<string | undefined> {
    try {
      return formatLsn((await this.#store.tenants.timeline(tenantId, timelineId).walEnd()).end);
    } catch (error) {
      const code = errorCode(error);
      if (code === "tenant_not_found" || code === "timeline_not_found") return undefined;
      throw error;
    }
  }

  #ids(): { tenantId: string; timelineId: string } {
    const { tenantId, timelineId } = this.#options;
    if (tenantId === undefined) throw new CodedError("bad_options", "tenantid is required");
    if (timelineId === undefined) throw new CodedError("bad_options", "timelineid is required");
    checkPermission(this.#session.claims, tenantId, "safekeeper");
    return { tenantId, timelineId };
  }
}
