import type { PostgresMajor } from "../postgres/supported_majors.ts";
import { SUPPORTED_MAJORS } from "../postgres/supported_majors.ts";
import { parseId } from "./ids.ts";
import type { Store } from "./store.ts";
import { StoreError } from "./store_error.ts";

/** A timeline that must exist before anybody is served: for machines where nobody speaks to the management API. */
export interface WantedTimeline {
  readonly tenantId: string;
  readonly timelineId: string;
  readonly major: PostgresMajor;
}

/** Reads `<tenant>/<timeline>:<major>`; undefined when the text is nothing of the kind. */
export function parseWantedTimeline(text: string): WantedTimeline | undefined {
  const [, tenant = "", timeline = "", version] = /^([^/]*)\/([^:]*):(\d{2})$/.exec(text) ?? [];
  const tenantId = parseId(tenant);
  const timelineId = parseId(timeline);
  const major = SUPPORTED_MAJORS.find((each) => each === Number(version));
  return tenantId === undefined || timelineId === undefined || major === undefined
    ? undefined
    : { tenantId, timelineId, major };
}

/**
 * Attaches the tenant and makes the timeline by initdb where they are missing; what exists, a branch too, is left as it is.
 *
 * @throws StoreError `timeline_conflict` when it exists with another major; what `Store.bootstrap` throws
 */
export async function ensureTimeline(store: Store, wanted: WantedTimeline): Promise<void> {
  const { tenantId, timelineId, major } = wanted;
  const { tenants } = store;
  if (!tenants.list().some((tenant) => tenant.tenant_id === tenantId))
    await tenants.setLocation(tenantId, { mode: "AttachedSingle", generation: 1, tenant_conf: {} });
  const existing = tenants.timelines(tenantId).find(({ record }) => record.timeline_id === timelineId);
  if (existing === undefined) await store.bootstrap(tenantId, timelineId, major);
  else if (existing.record.pg_version !== major)
    throw new StoreError(
      "timeline_conflict",
      `timeline ${existing.name} is of PostgreSQL ${existing.record.pg_version}, not ${major}`,
    );
}
