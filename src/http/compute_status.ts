/** The eleven statuses of a compute as `/status` spells them (contract: lifecycle.md 5.1). */
export const COMPUTE_STATUSES = [
  "empty",
  "configuration_pending",
  "init",
  "running",
  "configuration",
  "failed",
  "termination_pending_fast",
  "termination_pending_immediate",
  "terminated",
  "refresh_configuration_pending",
  "refresh_configuration",
] as const;
export type ComputeStatus = (typeof COMPUTE_STATUSES)[number];

/** The form of log lines, of the `compute_ctl_up` label and of 412 answers: `configuration-pending`. */
export function statusText(status: ComputeStatus): string {
  return status.replaceAll("_", "-");
}
