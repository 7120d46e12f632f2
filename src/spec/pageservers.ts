import * as z from "zod/mini";
import { dictionary, type Immutable, optional, unsigned, unsigned8, unsigned32, variant } from "./field.ts";

const pageserverSchema = z.object({
  id: optional(unsigned),
  libpq_url: optional(z.string()),
  grpc_url: optional(z.string()),
});

const shardIndexSchema = z
  .string()
  .check(
    z.regex(/^[0-9a-fA-F]{4}$/, { error: "not a shard index: four hexadecimal digits expected" }),
    z.toLowerCase(),
  );

/** Where the pages are (contract: spec.md 4.6). Whether the shards fit together is looked at when the spec is resolved. */
export const pageserverConnectionInfoSchema = z.object({
  shard_count: unsigned8,
  stripe_size: optional(unsigned32),
  shards: dictionary(shardIndexSchema, z.object({ pageservers: z.array(pageserverSchema) })),
  prefer_protocol: z.prefault(variant(["libpq", "grpc"]), "libpq"),
});

export type PageserverConnectionInfo = Immutable<z.output<typeof pageserverConnectionInfoSchema>>;
/** The protocol of base backups and leases; page requests of Postgres are always libpq. */
export type PageserverProtocol = PageserverConnectionInfo["prefer_protocol"];

/** Two hex digits of the shard's number and two of the count; `0000` is the one shard of an unsharded tenant. */
function shardIndex(number: number, count: number): string {
  return hexByte(number) + hexByte(count);
}

/** The indexes that a count calls for, in shard order: 0 means unsharded. */
export function shardIndexes(count: number): string[] {
  return Array.from({ length: Math.max(count, 1) }, (_, number) => shardIndex(number, count));
}

function hexByte(value: number): string {
  return value.toString(16).padStart(2, "0");
}
