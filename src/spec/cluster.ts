import * as z from "zod/mini";
import { type Immutable, optional } from "./field.ts";

/**
 * A name with a value: a Postgres setting, or an option of `CREATE ROLE` or `CREATE DATABASE`. Only the `vartype`
 * `string` means that the value is quoted (contract: spec.md 4.4).
 */
const genericOptionSchema = z.object({
  name: z.string(),
  value: optional(z.string()),
  vartype: z.string(),
});

const roleSchema = z.object({
  name: z.string(),
  encrypted_password: optional(z.string()),
  options: optional(z.array(genericOptionSchema)),
});

/** `restrict_conn` and `invalid` are derived by whoever reports databases and are never read (contract: spec.md 4.3). */
const databaseSchema = z.object({
  name: z.string(),
  owner: z.string(),
  options: optional(z.array(genericOptionSchema)),
});

export const clusterSchema = z.object({
  cluster_id: optional(z.string()),
  name: optional(z.string()),
  state: optional(z.string()),
  roles: z.array(roleSchema),
  databases: z.array(databaseSchema),
  postgresql_conf: optional(z.string()),
  settings: optional(z.array(genericOptionSchema)),
});

/** What a target state cannot say: deletions and renames. Unknown actions decode (contract: spec.md 4.5). */
export const deltaOperationSchema = z.object({
  action: z.string(),
  name: z.string(),
  new_name: optional(z.string()),
});

export type GenericOption = Immutable<z.output<typeof genericOptionSchema>>;
export type Database = Immutable<z.output<typeof databaseSchema>>;
export type DeltaOperation = Immutable<z.output<typeof deltaOperationSchema>>;
