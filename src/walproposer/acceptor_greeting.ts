import { CodedError } from "../errors/coded_error.ts";
import { NO_CONFIGURATION } from "../wire/safekeeper/configuration.ts";
import type { ProposerGreeting } from "../wire/safekeeper/messages.ts";
import type { AcceptorConnection, AcceptorState } from "./acceptor_state.ts";
import type { AcceptorStep, AcceptorTransition } from "./acceptor_step.ts";
import { persist, setConnection } from "./acceptor_storage.ts";

/** `g`: is this the right timeline and the right kind of server? (contract: storage-protocols.md 5.7.3) */
export function greet(
  state: AcceptorState,
  from: number,
  connection: AcceptorConnection,
  message: ProposerGreeting,
): AcceptorTransition {
  const { identity, record } = state;
  const steps: AcceptorStep[] = [];
  if (message.tenantId !== identity.tenantId || message.timelineId !== identity.timelineId)
    throw refused(
      `it is for timeline ${message.tenantId}/${message.timelineId}, this is ${identity.tenantId}/${identity.timelineId}`,
    );
  if (message.conf.generation !== 0)
    throw refused(
      `generation mismatch: membership generation ${message.conf.generation} is not supported, only 0 (no configuration)`,
    );
  if (major(message.pgVersion) !== major(record.server.pgVersion))
    throw refused(`its server has version ${message.pgVersion}, this timeline's is ${record.server.pgVersion}`);
  if (message.walSegSize !== record.server.walSegSize)
    throw refused(`its WAL segments have ${message.walSegSize} bytes, this timeline's ${record.server.walSegSize}`);
  const next = setConnection(adoptSystemId(state, message, steps), from, { ...connection, greeted: true });
  steps.push({
    kind: "send",
    connection: from,
    message: { type: "greeting", nodeId: identity.nodeId, conf: NO_CONFIGURATION, term: record.term },
  });
  return { state: next, steps };
}

/** System id 0 (sync mode) never changes the stored one. */
function adoptSystemId(state: AcceptorState, message: ProposerGreeting, steps: AcceptorStep[]): AcceptorState {
  const stored = state.record.server.systemId;
  if (message.systemId === 0n || message.systemId === stored) return state;
  if (stored !== 0n) {
    const difference = `its server has system identifier ${message.systemId}, this timeline's is ${stored}`;
    if (state.identity.foreignSystemId === "refuse") throw refused(difference);
    steps.push({ kind: "log", level: "warn", message: `adopting a proposer's system identifier: ${difference}` });
  }
  const server = { ...state.record.server, systemId: message.systemId, pgVersion: message.pgVersion };
  return persist(state, { ...state.record, server }, steps);
}

function refused(reason: string): CodedError {
  return new CodedError("greeting_refused", `refusing a proposer: ${reason}`, { status: 409 });
}

function major(pgVersion: number): number {
  return Math.floor(pgVersion / 10_000);
}
