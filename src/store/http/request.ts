import type { Context } from "hono";
import * as z from "zod";
import { SUPPORTED_MAJORS } from "../../postgres/supported_majors.ts";
import { tryParseLsn } from "../../wire/lsn.ts";
import { parseId, parseTenantShardId } from "../ids.ts";
import { StoreError } from "../store_error.ts";

const id = z
  .string()
  .refine((text) => parseId(text) !== undefined, "expected 32 hexadecimal digits")
  .transform((text) => text.toLowerCase());

/** `PUT …/location_config`; unknown fields are refused (contract: storage-protocols.md 7.1). */
export const locationConfigBody = z.strictObject({
  mode: z.enum(["AttachedSingle", "AttachedMulti", "AttachedStale", "Secondary", "Detached"]),
  generation: z.number().int().nonnegative().nullable().optional(),
  secondary_conf: z.unknown().optional(),
  shard_number: z.number().int().optional(),
  shard_count: z.number().int().optional(),
  shard_stripe_size: z.number().int().optional(),
  tenant_conf: z.record(z.string(), z.unknown()).optional(),
});

/** `POST …/timeline` without the keys of the other kinds of creation. */
export const bootstrapBody = z.strictObject({
  new_timeline_id: id,
  pg_version: z.literal(SUPPORTED_MAJORS).optional(),
});

const lsnField = z.string().transform((text, context) => {
  const lsn = tryParseLsn(text);
  if (lsn !== undefined) return lsn;
  context.addIssue({ code: "custom", message: "expected an LSN" });
  return z.NEVER;
});

/** `POST …/timeline` with `ancestor_timeline_id`; the last two say nothing here, as in the original. */
export const branchBody = z.strictObject({
  new_timeline_id: id,
  ancestor_timeline_id: id,
  ancestor_start_lsn: lsnField.nullable().optional(),
  read_only: z.unknown().optional(),
  pg_version: z.unknown().optional(),
});

export const leaseBody = z.strictObject({ lsn: lsnField });

/** @throws StoreError `bad_request` that says what is wrong where */
export async function readBody<T>(context: Context, schema: z.ZodType<T>): Promise<T> {
  const result = schema.safeParse(await readJson(context));
  if (!result.success) throw new StoreError("bad_request", `bad request body: ${z.prettifyError(result.error)}`);
  return result.data;
}

export async function readJson(context: Context): Promise<unknown> {
  try {
    return JSON.parse(await context.req.text()) as unknown;
  } catch (error) {
    if (error instanceof SyntaxError) throw new StoreError("bad_request", "the request body is not JSON", error);
    throw error;
  }
}

/** The unsharded tenant that a path names. */
export function tenantOf(context: Context): string {
  const text = context.req.param("tenant") ?? "";
  const shard = parseTenantShardId(text);
  if (!shard) throw new StoreError("bad_request", `not a tenant id: ${JSON.stringify(text)}`);
  if (shard.shardCount !== 0) throw new StoreError("tenant_not_found", `tenant ${shard.tenantId} has no shards`);
  return shard.tenantId;
}

export function timelineOf(context: Context): string {
  const text = context.req.param("timeline") ?? "";
  const timelineId = parseId(text);
  if (timelineId === undefined) throw new StoreError("bad_request", `not a timeline id: ${JSON.stringify(text)}`);
  return timelineId;
}
