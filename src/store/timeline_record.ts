import * as z from "zod";
import { lsnText } from "./image.ts";

const id = z.string().regex(/^[0-9a-f]{32}$/);

/** `timeline.json`. Fields about an ancestor are null for a timeline that was made by initdb. */
export const timelineSchema = z.strictObject({
  format: z.number().int(),
  tenant_id: id,
  timeline_id: id,
  pg_version: z.number().int(),
  build_id: z.string(),
  system_identifier: z.string().regex(/^\d+$/),
  ancestor_timeline_id: id.nullable(),
  ancestor_lsn: lsnText.nullable(),
  /** Where its own WAL begins to be written: the end of initdb's last record, or the branch point. */
  start_lsn: lsnText,
  /** LSNs of its own images, oldest first. */
  images: z.array(lsnText),
  created_at: z.string(),
});

export type TimelineRecord = z.infer<typeof timelineSchema>;

/** `tenant.json`: what was last told about the tenant's location (contract: storage-protocols.md 7.1). */
export const tenantSchema = z.strictObject({
  format: z.number().int(),
  tenant_id: id,
  mode: z.enum(["AttachedSingle", "AttachedMulti", "AttachedStale", "Detached"]),
  generation: z.number().int().nullable(),
  tenant_conf: z.record(z.string(), z.unknown()),
});

export type TenantRecord = z.infer<typeof tenantSchema>;
