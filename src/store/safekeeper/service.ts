import { CodedError, errorChain, errorCode } from "../../errors/coded_error.ts";
import { formatLsn } from "../../wire/lsn.ts";
import { encodeCommandComplete, encodeDataRow, encodeRowDescription, TYPE_OID } from "../../wire/postgres_protocol.ts";
import { protocol2 } from "../../wire/safekeeper/protocol2.ts";
import { protocol3 } from "../../wire/safekeeper/protocol3.ts";
import { WAL_TIMELINE } from "../../wire/wal/segment.ts";
import type { LibpqFailure, LibpqHandler, LibpqService, LibpqSession } from "../libpq/session.ts";
import { StoreError } from "../store_error.ts";
import { checkPermission } from "../token.ts";
import type { AcceptorDriver } from "../wal_service/acceptor_driver.ts";
import { pushWal } from "../wal_service/push_session.ts";
import { sendWal } from "../wal_service/replication_session.ts";
import { parseSafekeeperCommand, type SafekeeperCommand } from "./command.ts";
import { parseStartOptions, type SafekeeperStartOptions } from "./start_options.ts";

const INTERNAL_ERROR = "XX000";
const CODECS = { 2: protocol2, 3: protocol3 } as const;

/** Finds the acceptor of a timeline that is served; undefined for one that is not known. */
export type FindAcceptor = (tenantId: string, timelineId: string) => AcceptorDriver | undefined;

/** A safekeeper's commands (contract: storage-protocols.md 5). */
export function safekeeperService(find: FindAcceptor): LibpqService {
  return (session) => new SafekeeperHandler(find, session);
}

class SafekeeperHandler implements LibpqHandler {
  readonly #find: FindAcceptor;
  readonly #session: LibpqSession;
  readonly #options: SafekeeperStartOptions;

  constructor(find: FindAcceptor, session: LibpqSession) {
    this.#find = find;
    this.#session = session;
    this.#options = parseStartOptions(session.parameters.get("options"));
  }

  async execute(query: string): Promise<"done" | "close"> {
    const command = parseSafekeeperCommand(query);
    switch (command.name) {
      case "set":
        await this.#session.send(encodeCommandComplete("SELECT 1"));
        return "done";
      case "IDENTIFY_SYSTEM":
        await this.#identifySystem();
        return "done";
      case "TIMELINE_STATUS":
        await this.#timelineStatus();
        return "done";
      case "START_WAL_PUSH":
        return await this.#startWalPush(command);
      case "START_REPLICATION":
        return await sendWal(this.#session, this.#acceptor(), command);
    }
  }

  describe(error: unknown): LibpqFailure {
    // A token for something else is not told more than that.
    const message = errorCode(error) === "unauthorized" ? "JWT authentication error" : errorChain(error);
    return { code: INTERNAL_ERROR, message, closes: false };
  }

  async #startWalPush(command: Extract<SafekeeperCommand, { name: "START_WAL_PUSH" }>): Promise<"close"> {
    const codec =
      command.protocolVersion === 2 || command.protocolVersion === 3 ? CODECS[command.protocolVersion] : undefined;
    if (!codec) throw new CodedError("bad_command", `unsupported proto_version ${command.protocolVersion}`);
    // Whatever the proposer allows: a greeting that made a timeline would hide a lost disk.
    return await pushWal(this.#session, this.#acceptor(), codec);
  }

  async #identifySystem(): Promise<void> {
    const acceptor = this.#acceptor();
    await acceptor.open();
    const { flushLsn, commitLsn } = acceptor.state;
    const name = this.#session.parameters.get("application_name") ?? "";
    const recovers = name === "wal_proposer_recovery" || name.startsWith("safekeeper");
    await this.#session.send(
      encodeRowDescription([
        { name: "systemid", typeOid: TYPE_OID.text },
        { name: "timeline", typeOid: TYPE_OID.int4 },
        { name: "xlogpos", typeOid: TYPE_OID.text },
        { name: "dbname", typeOid: TYPE_OID.text },
      ]),
      encodeDataRow([
        String(acceptor.timeline.systemIdentifier),
        String(WAL_TIMELINE),
        formatLsn(recovers ? flushLsn : commitLsn),
        null,
      ]),
      encodeCommandComplete("IDENTIFY_SYSTEM"),
    );
  }

  async #timelineStatus(): Promise<void> {
    const { tenantId, timelineId } = this.#ids();
    // A timeline that is not here is no error: the original answers no row.
    const acceptor = this.#find(tenantId, timelineId);
    await acceptor?.open();
    await this.#session.send(
      encodeRowDescription([
        { name: "flush_lsn", typeOid: TYPE_OID.text },
        { name: "commit_lsn", typeOid: TYPE_OID.text },
      ]),
      ...(acceptor ? [encodeDataRow([formatLsn(acceptor.state.flushLsn), formatLsn(acceptor.state.commitLsn)])] : []),
      encodeCommandComplete("TIMELINE_STATUS"),
    );
  }

  #acceptor(): AcceptorDriver {
    const { tenantId, timelineId } = this.#ids();
    const acceptor = this.#find(tenantId, timelineId);
    if (!acceptor) throw new StoreError("timeline_not_found", `timeline ${tenantId}/${timelineId} was not found`);
    return acceptor;
  }

  #ids(): { tenantId: string; timelineId: string } {
    const { tenantId, timelineId } = this.#options;
    if (tenantId === undefined) throw new CodedError("bad_options", "tenantid is required");
    if (timelineId === undefined) throw new CodedError("bad_options", "timelineid is required");
    checkPermission(this.#session.claims, tenantId, "safekeeper");
    return { tenantId, timelineId };
  }
}
