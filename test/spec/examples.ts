import { resolveSpec } from "../../src/spec/resolve.ts";
import { type ComputeSpec, computeSpecSchema } from "../../src/spec/schema.ts";

export const TENANT = "5f0c2b7e9d1a4c6e8b3f70d2a1c4e9b6";
export const TIMELINE = "0a9b8c7d6e5f40312233445566778899";

type Json = Record<string, unknown>;

/** The smallest modern spec, as JSON; `changes` replaces fields, undefined removes one. */
export function minimalSpec(changes: Json = {}): Json {
  return {
    format_version: 1,
    suspend_timeout_seconds: -1,
    cluster: { roles: [], databases: [] },
    tenant_id: TENANT,
    timeline_id: TIMELINE,
    pageserver_connection_info: {
      shard_count: 0,
      shards: { "0000": { pageservers: [{ libpq_url: "postgresql://no_user@ps-1:6400" }] } },
    },
    safekeeper_connstrings: ["sk-1:5454", "sk-2:5454", "sk-3:5454"],
    ...changes,
  };
}

export const OLDEST_SETTINGS: Readonly<Record<string, string>> = {
  "neon.tenant_id": TENANT,
  "neon.timeline_id": TIMELINE,
  "neon.stripe_size": "2048",
  "neon.pageserver_connstring": "host=ps-1 port=6400,host=ps-2 port=6400",
  "neon.safekeepers": "sk-1:5454,sk-2:5454,sk-3:5454",
};

/** The oldest form: everything through settings; `changes` replaces some, undefined removes one. */
export function oldestSpec(changes: Record<string, string | null | undefined> = {}, fields: Json = {}): Json {
  const settings = Object.entries({ ...OLDEST_SETTINGS, ...changes })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ({ name, value, vartype: "string" }));
  return {
    format_version: 1,
    suspend_timeout_seconds: 0,
    cluster: { roles: [], databases: [], settings },
    ...fields,
  };
}

/** A `--config` document around a spec. */
export function configText(spec: unknown, rest: Json = {}): string {
  return JSON.stringify({ spec, compute_ctl_config: { jwks: { keys: [] } }, ...rest });
}

export function decoded(spec: Json): ComputeSpec {
  return computeSpecSchema.parse(JSON.parse(JSON.stringify(spec))) as ComputeSpec;
}

export function resolved(spec: Json) {
  return resolveSpec(decoded(spec));
}
