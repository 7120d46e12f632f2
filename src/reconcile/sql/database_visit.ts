import { doBlock, quoteIdentifier, quoteLiteral } from "../../wire/sql_quoting.ts";

/** Whose default privileges, for whom, and who gets schema `public`. */
export interface SchemaVisit {
  readonly owner: string;
  readonly privilegedRole: string;
  readonly admin: string;
  readonly serverMajor: number;
}

/**
 * Hands `public` to the database's owner where it still belongs to the administrator (14 only, and old clusters), and
 * makes relations that the administrator creates there usable for the privileged role. Looks first and writes only on a
 * difference (contract: reconcile.md 6.8).
 */
export function adjustSchema({ owner, privilegedRole, admin, serverMajor }: SchemaVisit): string {
  const to = quoteIdentifier(privilegedRole);
  const grants = (["TABLES", "SEQUENCES"] as const).map((objects) => {
    const type = objects === "TABLES" ? "'r'" : "'S'";
    // acldefault knows which privileges exist in this version: 17 added MAINTAIN.
    const owned = `acldefault(${objects === "TABLES" ? "'r'" : "'s'"}, me)`;
    return `  IF EXISTS (
      SELECT privilege_type FROM aclexplode(${owned})
      EXCEPT
      SELECT e.privilege_type FROM pg_default_acl d, aclexplode(d.defaclacl) e
      WHERE d.defaclrole = me AND d.defaclnamespace = public_id AND d.defaclobjtype = ${type}
        AND e.grantee = (SELECT oid FROM pg_authid WHERE rolname = ${quoteLiteral(privilegedRole)}) AND e.is_grantable) THEN
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON ${objects} TO ${to} WITH GRANT OPTION;
  END IF;`;
  });
  return doBlock(`DECLARE
  me oid := (SELECT oid FROM pg_authid WHERE rolname = current_user);
  public_id oid;
  public_owner name;
BEGIN
  SELECT n.oid, a.rolname INTO public_id, public_owner
    FROM pg_namespace n JOIN pg_authid a ON a.oid = n.nspowner WHERE n.nspname = 'public';
  IF NOT FOUND THEN RETURN; END IF;
  IF public_owner IN (${quoteLiteral(admin)}, 'cloud_admin', 'zenith_admin') AND public_owner <> ${quoteLiteral(owner)} THEN
    ALTER SCHEMA public OWNER TO ${quoteIdentifier(owner)};
  END IF;
${grants.join("\n")}${serverMajor >= 15 ? WEB_ACCESS : ""}
END`);
}

const WEB_ACCESS = `
  IF EXISTS (SELECT FROM pg_authid WHERE rolname = 'web_access')
      AND NOT has_schema_privilege('web_access', public_id, 'CREATE') THEN
    GRANT CREATE ON SCHEMA public TO web_access;
  END IF;`;

/** Goes first, in a transaction of its own, so that the workers of this database leave by themselves. */
export const DISABLE_SUBSCRIPTIONS = `UPDATE pg_catalog.pg_subscription SET subenabled = false
  WHERE subenabled AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())`;

const ORIGIN_TRIES = 500;

/**
 * Drops every subscription of this database without a word to the publisher, whose slots the parent branch is using: not
 * the subscription's own slot, and not those of table synchronisations that have not finished, which would also make
 * DROP wait for an unreachable publisher. What such a synchronisation leaves in `pg_replication_origin` goes too
 * (contract: reconcile.md 6.9). The lock keeps two databases from waiting for each other.
 */
export const DROP_SUBSCRIPTIONS = doBlock(`DECLARE
  subscription record;
  origin record;
BEGIN
  LOCK TABLE pg_catalog.pg_subscription IN ACCESS EXCLUSIVE MODE;
  FOR subscription IN SELECT oid, subname FROM pg_subscription
      WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) LOOP
    EXECUTE format('ALTER SUBSCRIPTION %I DISABLE', subscription.subname);
    EXECUTE format('ALTER SUBSCRIPTION %I SET (slot_name = NONE)', subscription.subname);
    DELETE FROM pg_subscription_rel WHERE srsubid = subscription.oid;
    EXECUTE format('DROP SUBSCRIPTION %I', subscription.subname);
    FOR origin IN SELECT roname FROM pg_replication_origin
        WHERE roname ~ ('^pg_' || subscription.oid || '_[0-9]+$') LOOP
      -- A worker that was told to stop lets go of its origin a moment after it counts as stopped.
      FOR tries IN 1..${ORIGIN_TRIES} LOOP
        BEGIN
          PERFORM pg_replication_origin_drop(origin.roname);
          EXIT;
        EXCEPTION WHEN object_in_use THEN
          IF tries = ${ORIGIN_TRIES} THEN RAISE; END IF;
          PERFORM pg_sleep(0.02);
        END;
      END LOOP;
    END LOOP;
  END LOOP;
END`);
