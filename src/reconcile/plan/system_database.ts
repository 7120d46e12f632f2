import type { Planning } from "./plan.ts";

/** Everything that only concerns the system database (contract: reconcile.md 6.10-6.12). */
export function planSystemDatabase({ desired, observed, actions, warnings }: Planning): void {
  if (observed.neonSchemaOwner === undefined) actions.push({ kind: "create_schema_neon", phase: "CreateSchemaNeon" });
  else if (observed.neonSchemaOwner !== observed.admin)
    warnings.push(
      `schema neon of database ${desired.systemDatabase} belongs to ${observed.neonSchemaOwner}, not to ${observed.admin}`,
    );

  if (desired.statStatements && !observed.extensions.has("pg_stat_statements"))
    actions.push({
      kind: "create_extension",
      phase: "HandleOtherExtensions",
      extension: "pg_stat_statements",
      schema: "public",
    });

  const neonVersion = observed.available.get("neon");
  if (desired.neonServer && neonVersion !== undefined) {
    const phase = "HandleNeonExtension";
    const installed = observed.extensions.get("neon");
    if (!installed) actions.push({ kind: "create_extension", phase, extension: "neon", schema: "neon" });
    else {
      if (installed.schema !== "neon")
        actions.push({ kind: "move_extension", phase, extension: "neon", schema: "neon" });
      if (installed.version !== neonVersion) actions.push({ kind: "update_extension", phase, extension: "neon" });
    }
  }

  if (observed.healthCheckOwner === undefined)
    actions.push({ kind: "create_availability_table", phase: "CreateAvailabilityCheck" });
  else if (observed.healthCheckOwner !== observed.admin)
    // Whoever owns a table decides what runs when a superuser writes to it.
    warnings.push(
      `table public.health_check of database ${desired.systemDatabase} belongs to ${observed.healthCheckOwner}; it is not used`,
    );

  if (desired.audit === "none") return;
  const wanted = desired.audit === "pgaudit" ? (["pgaudit"] as const) : (["pgaudit", "pgauditlogtofile"] as const);
  const phases = { pgaudit: "CreatePgauditExtension", pgauditlogtofile: "CreatePgauditlogtofileExtension" } as const;
  for (const extension of wanted) {
    if (observed.extensions.has(extension)) continue;
    if (observed.available.has(extension))
      actions.push({ kind: "create_extension", phase: phases[extension], extension, schema: "public" });
    else warnings.push(`the spec asks for audit logging, but extension ${extension} is not available on this server`);
  }
  if (!observed.auditExcluded)
    actions.push({ kind: "exclude_from_audit", phase: "DisablePostgresDBPgAudit", database: desired.systemDatabase });
}
