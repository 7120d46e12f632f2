import { CodedError } from "../errors/coded_error.ts";
import type { ProposerMessage } from "../wire/safekeeper/messages.ts";
import { append } from "./acceptor_append.ts";
import { acceptElected } from "./acceptor_elected.ts";
import { greet } from "./acceptor_greeting.ts";
import type { AcceptorConnection, AcceptorState } from "./acceptor_state.ts";
import type { AcceptorInput, AcceptorStep, AcceptorTransition } from "./acceptor_step.ts";
import { answerAppend, flushWholeRecords, flushWritten, setConnection, storeCommit } from "./acceptor_storage.ts";
import { vote } from "./acceptor_vote.ts";

/** How often the commit LSN is stored when nothing else asks for it, in milliseconds. */
const STORE_COMMIT_EVERY_MS = 300_000;

/**
 * One move of an acceptor (contract: storage-protocols.md 5.7.2, 5.7.3): what it is from now on, and what has to be done for
 * that, in order. Messages of all connections of a timeline go through one acceptor, one at a time. `now` is in
 * milliseconds, of any clock that does not go back.
 */
export function advanceAcceptor(state: AcceptorState, input: AcceptorInput, now: number): AcceptorTransition {
  switch (input.type) {
    case "connected":
      return { state: setConnection(state, input.connection, NEW_CONNECTION), steps: [] };
    case "message": {
      const connection = state.connections.get(input.connection);
      // Closed by us already: what it sent before it noticed means nothing.
      if (!connection) return { state, steps: [] };
      try {
        return receive(state, input.connection, connection, input.message, now);
      } catch (error) {
        if (!(error instanceof CodedError)) throw error;
        return refuse(state, input.connection, error);
      }
    }
    case "queue_empty":
      return answer(state, [input.connection]);
    case "disconnected": {
      const steps: AcceptorStep[] = [];
      return { state: removeConnection(flushWritten(state, steps), input.connection), steps };
    }
    case "tick":
      return tick(state, now);
    case "hot_standby":
      return { state: { ...state, hotStandby: input.hotStandby }, steps: [] };
    case "pageserver_feedback":
      return {
        state,
        steps: [...state.connections].flatMap(([connection, { lastAnswer }]): AcceptorStep[] =>
          lastAnswer ? [{ kind: "send", connection, message: { ...lastAnswer, feedback: input.feedback } }] : [],
        ),
      };
  }
}

const NEW_CONNECTION: AcceptorConnection = { greeted: false, unanswered: undefined, lastAnswer: undefined };

function receive(
  state: AcceptorState,
  from: number,
  connection: AcceptorConnection,
  message: ProposerMessage,
  now: number,
): AcceptorTransition {
  if (message.type === "greeting") return greet(state, from, connection, message);
  if (!connection.greeted)
    throw new CodedError("greeting_missing", `got ${message.type} before a greeting`, { status: 400 });
  if (message.generation !== 0)
    throw new CodedError(
      "generation_mismatch",
      `refusing ${message.type}: generation mismatch, this safekeeper has no membership configuration (0), the proposer's is ${message.generation}`,
      { status: 409 },
    );
  switch (message.type) {
    case "vote_request":
      return vote(state, from, message);
    case "elected":
      return acceptElected(state, message, now);
    case "append":
      return append(state, from, connection, message, now);
  }
}

/** What a connection broke ends that connection only. What it wrote is kept, but no more WAL is taken before an `e`. */
function refuse(state: AcceptorState, connection: number, error: CodedError): AcceptorTransition {
  const steps: AcceptorStep[] = [];
  const flushed = flushWritten(state, steps);
  steps.push({ kind: "close", connection, error });
  // A tracker that threw may have changed itself, so it must not be used again.
  const tracker = error.code === "wal_invalid" ? undefined : flushed.tracker;
  return { state: removeConnection({ ...flushed, tracker }, connection), steps };
}

function answer(state: AcceptorState, connections: Iterable<number>): AcceptorTransition {
  const steps: AcceptorStep[] = [];
  let next = state;
  for (const connection of connections) {
    const remembered = next.connections.get(connection);
    if (remembered?.unanswered === undefined) continue;
    next = flushWholeRecords(next, steps);
    next = answerAppend(next, connection, remembered, steps);
  }
  return { state: next, steps };
}

function tick(state: AcceptorState, now: number): AcceptorTransition {
  const answered = answer(state, state.connections.keys());
  if (now - state.commitStoredAt < STORE_COMMIT_EVERY_MS) return answered;
  const steps = [...answered.steps];
  if (answered.state.commitLsn === answered.state.record.commitLsn)
    return { state: { ...answered.state, commitStoredAt: now }, steps };
  return { state: storeCommit(answered.state, steps, now), steps };
}

function removeConnection(state: AcceptorState, connection: number): AcceptorState {
  const connections = new Map(state.connections);
  connections.delete(connection);
  return { ...state, connections };
}
