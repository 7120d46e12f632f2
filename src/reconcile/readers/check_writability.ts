import { sqlState } from "../failure.ts";
import type { Session } from "../session.ts";

const DISK_FULL = "53100";

/**
 * Writes to the availability table (contract: reconcile.md 10). A full disk is the tenant's business: it counts as
 * writable, and the answer says `disk_full`, for the warning `Tenant disk is full`.
 *
 * The write is a superuser's, and members of `pg_write_all_data` or a wrong grant must not make it run their code:
 * triggers are off, and the table has to be the administrator's.
 */
export async function checkWritability(session: Session): Promise<"written" | "disk_full"> {
  try {
    await session.script(`SET LOCAL session_replication_role = replica;
      DO $x$ BEGIN
        IF (SELECT relowner <> current_user::regrole::oid FROM pg_class WHERE oid = to_regclass('public.health_check')) THEN
          RAISE insufficient_privilege USING MESSAGE = 'table public.health_check does not belong to the administrator';
        END IF;
      END $x$;
      INSERT INTO public.health_check VALUES (1, now()) ON CONFLICT (id) DO UPDATE SET updated_at = now()`);
    return "written";
  } catch (error) {
    if (sqlState(error) === DISK_FULL) return "disk_full";
    throw error;
  }
}
