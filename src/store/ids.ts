const ID = /^[0-9a-fA-F]{32}$/;
const SHARD = /^([0-9a-fA-F]{32})(?:-([0-9a-fA-F]{4}))?$/;

/** A tenant or timeline id as 32 lower-case hex digits; undefined when the text is none (contract: storage-protocols.md 0). */
export function parseId(text: string): string | undefined {
  return ID.test(text) ? text.toLowerCase() : undefined;
}

export interface TenantShardId {
  readonly tenantId: string;
  /** Zero-based. */
  readonly shardNumber: number;
  /** 0 for an unsharded tenant, which is the only kind this store has. */
  readonly shardCount: number;
}

/** `<tenant>` or `<tenant>-<number and count, two hex digits each>`. */
export function parseTenantShardId(text: string): TenantShardId | undefined {
  const match = SHARD.exec(text);
  if (!match?.[1]) return undefined;
  const shard = parseShardIndex(match[2] ?? "0000");
  return shard && { tenantId: match[1].toLowerCase(), ...shard };
}

/** Four hex digits: number, then count. */
export function parseShardIndex(text: string): { shardNumber: number; shardCount: number } | undefined {
  if (!/^[0-9a-fA-F]{4}$/.test(text)) return undefined;
  const shardNumber = Number.parseInt(text.slice(0, 2), 16);
  const shardCount = Number.parseInt(text.slice(2), 16);
  return shardCount === 0 ? (shardNumber === 0 ? { shardNumber, shardCount } : undefined) : { shardNumber, shardCount };
}
