/**
 * What the reconciler remembers, in schema `neon` of the system database: which databases it has visited, and which
 * operations are done. The rows can be written by members of `pg_write_all_data`, so nothing that is read here may do
 * more than cause or save work.
 */
export const STATE_TABLE = "neon.compute_ctl_state";

/** Raise it when a visit to a database does something new: every database is then visited once more. */
const VISIT_LEVEL = 1;

/** Above this a stored value is not ours. */
export const MAX_STATE_BYTES = 8_000_000;

/** Visited databases by oid, as `level/major` (17 adds MAINTAIN to what is granted, so a new major means a new visit). */
export type Visits = ReadonlyMap<number, string>;

export function visitMark(serverMajor: number): string {
  return `${VISIT_LEVEL}/${serverMajor}`;
}

/** Tolerates any content: what is not understood was not visited. */
export function parseVisits(text: string | null | undefined): Visits {
  const visits = new Map<number, string>();
  for (const entry of (text ?? "").split(" ")) {
    const match = /^(\d+)=(\d+\/\d+)$/.exec(entry);
    if (match?.[1] && match[2]) visits.set(Number(match[1]), match[2]);
  }
  return visits;
}

export function formatVisits(visits: Visits): string {
  return [...visits].map(([oid, mark]) => `${oid}=${mark}`).join(" ");
}
