import type { ComputeStatus } from "../http/compute_status.ts";

/**
 * The states of a compute. Two of the public statuses mean two different things each, and here they are two states:
 * `configuration_pending` before the first start and later, `failed` after a failed start and after a failed
 * reconfiguration (contract: lifecycle.md 5).
 */
export const STATES = [
  "empty",
  "first_configuration_pending",
  "init",
  "running",
  "configuration_pending",
  "configuration",
  "start_failed",
  "reconfiguration_failed",
  "refresh_configuration_pending",
  "refresh_configuration",
  "termination_pending_fast",
  "termination_pending_immediate",
  "terminated",
] as const;
export type State = (typeof STATES)[number];

/** What can happen to a compute. */
export const TRIGGERS = [
  /** A spec was at hand when the process started. */
  "spec_at_start",
  /** `POST /configure`, or a new TLS certificate. */
  "configure",
  "start_begins",
  "start_done",
  "start_fails",
  "reconfiguration_begins",
  "reconfiguration_done",
  "reconfiguration_fails",
  "terminate_fast",
  "terminate_immediate",
  /** `POST /refresh_configuration`. */
  "refresh",
  "refresh_begins",
  "refresh_done",
  "refresh_fails",
  /** A running compute's storage went to another one: Postgres was killed, the process ends. */
  "storage_lost",
  /** Postgres ended and what follows its end is done; also: there never was one. */
  "postgres_gone",
] as const;
export type Trigger = (typeof TRIGGERS)[number];

/**
 * What a trigger does in a state: it leads to a state, or is `refused` (the caller is told the status), `ignored` (accepted
 * without effect), or is `never`: only a fault of ours can cause it there.
 */
export type Cell = State | "refused" | "ignored" | "never";

/** Requests come from outside and are refused where a state does not name them; our own steps never happen there. */
const REQUESTS = {
  configure: "refused",
  terminate_fast: "refused",
  terminate_immediate: "refused",
  refresh: "refused",
} as const;
const STEPS = {
  spec_at_start: "never",
  start_begins: "never",
  start_done: "never",
  start_fails: "never",
  reconfiguration_begins: "never",
  reconfiguration_done: "never",
  reconfiguration_fails: "never",
  refresh_begins: "never",
  refresh_done: "never",
  refresh_fails: "never",
  storage_lost: "start_failed",
  postgres_gone: "ignored",
} as const;
const DEFAULTS: Readonly<Record<Trigger, Cell>> = { ...REQUESTS, ...STEPS };
const TERMINATES = {
  terminate_fast: "termination_pending_fast",
  terminate_immediate: "termination_pending_immediate",
} as const;

/** Every state with every trigger. */
export const STATE_TABLE: Readonly<Record<State, Readonly<Record<Trigger, Cell>>>> = {
  empty: {
    ...DEFAULTS,
    storage_lost: "never",
    spec_at_start: "init",
    configure: "first_configuration_pending",
    ...TERMINATES,
  },
  first_configuration_pending: { ...DEFAULTS, start_begins: "init" },
  // A refresh asked for while the first start runs is answered with 200 and forgotten.
  init: { ...DEFAULTS, start_done: "running", start_fails: "start_failed", refresh: "ignored" },
  running: { ...DEFAULTS, configure: "configuration_pending", refresh: "refresh_configuration_pending", ...TERMINATES },
  configuration_pending: { ...DEFAULTS, reconfiguration_begins: "configuration" },
  configuration: { ...DEFAULTS, reconfiguration_done: "running", reconfiguration_fails: "reconfiguration_failed" },
  // The process ends 30 s later; a refresh must not hide the failure.
  // Storage may be lost while a new spec is applied; how that ends no longer matters.
  start_failed: {
    ...DEFAULTS,
    refresh: "ignored",
    storage_lost: "ignored",
    reconfiguration_begins: "ignored",
    reconfiguration_done: "ignored",
    reconfiguration_fails: "ignored",
    refresh_begins: "ignored",
    refresh_done: "ignored",
    refresh_fails: "ignored",
  },
  // Postgres still runs: everything that `running` accepts is accepted.
  reconfiguration_failed: {
    ...DEFAULTS,
    configure: "configuration_pending",
    refresh: "refresh_configuration_pending",
    ...TERMINATES,
  },
  refresh_configuration_pending: { ...DEFAULTS, refresh: "ignored", refresh_begins: "refresh_configuration" },
  refresh_configuration: { ...DEFAULTS, refresh_done: "running", refresh_fails: "refresh_configuration_pending" },
  termination_pending_fast: { ...DEFAULTS, postgres_gone: "terminated" },
  termination_pending_immediate: { ...DEFAULTS, postgres_gone: "terminated" },
  terminated: { ...DEFAULTS, storage_lost: "ignored" },
};

/** The status by which the outside knows a state. */
export function publicStatus(state: State): ComputeStatus {
  switch (state) {
    case "first_configuration_pending":
      return "configuration_pending";
    case "start_failed":
    case "reconfiguration_failed":
      return "failed";
    default:
      return state;
  }
}
