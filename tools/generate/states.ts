import { statusText } from "../../src/http/compute_status.ts";
import { publicStatus, STATE_TABLE, STATES, type State, TRIGGERS, type Trigger } from "../../src/node/state_table.ts";

/** What each trigger is, for people. */
const WORDS: Readonly<Record<Trigger, string>> = {
  spec_at_start: "a spec at process start",
  configure: "POST /configure or a renewed certificate",
  start_begins: "the main line picks the spec up",
  start_done: "started",
  start_fails: "the start failed",
  reconfiguration_begins: "its turn has come",
  reconfiguration_done: "applied",
  reconfiguration_fails: "could not be applied",
  terminate_fast: "POST /terminate",
  terminate_immediate: "POST /terminate?mode=immediate",
  refresh: "POST /refresh_configuration",
  refresh_begins: "its turn has come",
  refresh_done: "applied, or nothing new",
  refresh_fails: "could not be fetched or applied",
  storage_lost: "storage went to another compute",
  postgres_gone: "Postgres is gone, its WAL in storage",
};

const REQUESTS: readonly Trigger[] = ["configure", "terminate_fast", "terminate_immediate", "refresh"];

/** `docs/states.md`: the diagram and the table of what is accepted where, out of the state table. */
export function renderStates(): string {
  return `# States of a compute

Made from \`src/node/state_table.ts\` by \`npm run generate\`.

\`\`\`mermaid
stateDiagram-v2
  [*] --> empty
${STATES.flatMap(edges)
  .map((line) => `  ${line}`)
  .join("\n")}
  start_failed --> [*]: 30 s later, exit 1
  terminated --> [*]: 30 s later, at once after an immediate one
\`\`\`

In every state the end of Postgres ends the process; a signal does too.

## Names

\`/status\` shows a state under this name; log lines, the metric \`compute_ctl_up\` and refusals have hyphens in it.

| state | status | text |
|---|---|---|
${STATES.map((state) => `| \`${state}\` | \`${publicStatus(state)}\` | \`${statusText(publicStatus(state))}\` |`).join("\n")}

## Requests

| state | ${REQUESTS.map((trigger) => WORDS[trigger]).join(" | ")} |
|---|${REQUESTS.map(() => "---|").join("")}
${STATES.map((state) => `| \`${state}\` | ${REQUESTS.map((trigger) => cell(state, trigger)).join(" | ")} |`).join("\n")}

A refused \`/refresh_configuration\` is answered with 500, the others with 412; \`/terminate\` in \`terminated\` answers 201 with what it
answered before.
`;
}

function edges(state: State): string[] {
  return TRIGGERS.flatMap((trigger) => {
    const to = STATE_TABLE[state][trigger];
    return to === "refused" || to === "ignored" || to === "never" ? [] : [`${state} --> ${to}: ${WORDS[trigger]}`];
  });
}

function cell(state: State, trigger: Trigger): string {
  const to = STATE_TABLE[state][trigger];
  if (to === "ignored") return "accepted, no effect";
  return to === "refused" || to === "never" ? "refused" : `\`${to}\``;
}
