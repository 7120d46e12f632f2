/** Phases in the order in which they run (contract: reconcile.md 5; `Repair…`, `Disable…` and `Record…` are ours). */
export const PHASES = [
  "PreDropSubscriptions",
  "CreatePrivilegedRole",
  "RepairPrivilegedRole",
  "CreateDatabricksRoles",
  "AlterDatabricksRoles",
  "DropInvalidDatabases",
  "RenameRoles",
  "CreateAndAlterRoles",
  "RenameAndDeleteDatabases",
  "CreateAndAlterDatabases",
  "CreateSchemaNeon",
  "RunInEachDatabase",
  "DisableOtherSubscriptions",
  "HandleOtherExtensions",
  "HandleNeonExtension",
  "HandleDatabricksAuthExtension",
  "CreateAvailabilityCheck",
  "DropRoles",
  "AddDatabricksGrants",
  "CreateDatabricksMisc",
  "FinalizeDropLogicalSubscriptions",
  "CreatePgauditExtension",
  "CreatePgauditlogtofileExtension",
  "DisablePostgresDBPgAudit",
  "RecordState",
] as const;

export type Phase = (typeof PHASES)[number];

/** How long statements of a phase may wait and run, in milliseconds (contract: reconcile.md 14). */
export interface PhaseLimits {
  readonly lockTimeoutMs: number;
  readonly statementTimeoutMs: number;
}

const MINUTE = 60_000;
const LIMITS: Partial<Record<Phase, PhaseLimits>> = {
  // All databases queue for one lock on a shared catalog.
  PreDropSubscriptions: { lockTimeoutMs: MINUTE, statementTimeoutMs: 5 * MINUTE },
  // Copies a template, however large it is.
  CreateAndAlterDatabases: { lockTimeoutMs: MINUTE, statementTimeoutMs: 60 * MINUTE },
  RenameAndDeleteDatabases: { lockTimeoutMs: MINUTE, statementTimeoutMs: 10 * MINUTE },
  DropInvalidDatabases: { lockTimeoutMs: MINUTE, statementTimeoutMs: 10 * MINUTE },
  RunInEachDatabase: { lockTimeoutMs: 30_000, statementTimeoutMs: 10 * MINUTE },
  RenameRoles: { lockTimeoutMs: 30_000, statementTimeoutMs: 10 * MINUTE },
  DropRoles: { lockTimeoutMs: 30_000, statementTimeoutMs: 10 * MINUTE },
};

/** The limits of a phase, with those of `overrides` first. */
export function phaseLimits(phase: Phase, overrides: Partial<PhaseLimits> = {}): PhaseLimits {
  return { lockTimeoutMs: 30_000, statementTimeoutMs: 2 * MINUTE, ...LIMITS[phase], ...overrides };
}
