import { CodedError } from "../errors/coded_error.ts";
import type { PageserverProtocol } from "./pageservers.ts";
import type { ComputeSpec } from "./schema.ts";

/** A spec with everything settled that can come from more than one place (contract: spec.md 5). */
export interface ResolvedSpec {
  readonly spec: ComputeSpec;
  /** 32 lower-case hex digits. */
  readonly tenantId: string;
  /** 32 lower-case hex digits. */
  readonly timelineId: string;
  readonly pageservers: ResolvedPageservers;
  /** `host:port` each, without a generation prefix; empty unless the spec lists some or is a primary's. */
  readonly safekeepers: readonly string[];
  /** Null when none is given, or when there are no safekeepers. */
  readonly safekeepersGeneration: number | null;
  readonly endpointStorageAddr: string | null;
  readonly endpointStorageToken: string | null;
  /** What works, but probably not as meant. For the log; holds no secrets. */
  readonly warnings: readonly string[];
}

export interface ResolvedPageservers {
  /** 0 for an unsharded tenant, which has one shard nevertheless. */
  readonly shardCount: number;
  /** In pages of 8 KiB. */
  readonly stripeSize: number | null;
  readonly preferProtocol: PageserverProtocol;
  /** In shard order, as many as the count says. */
  readonly shards: readonly ResolvedShard[];
}

interface ResolvedShard {
  /** Four hex digits: number, count. */
  readonly index: string;
  /** Only the first is used, except for leases. */
  readonly pageservers: readonly ResolvedPageserver[];
}

export interface ResolvedPageserver {
  readonly id: number | null;
  readonly libpqUrl: string | null;
  readonly grpcUrl: string | null;
}

/** A spec that decodes and cannot be run. Code `spec_resolution`, status 400. */
export class SpecResolutionError extends CodedError {
  /** What in the document is to blame, such as `spec.tenant_id`. */
  readonly path: string;

  constructor(path: string, message: string) {
    super("spec_resolution", message, { status: 400 });
    this.path = path;
  }
}
