import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type DesiredContext, desiredState } from "../../src/reconcile/desired.ts";
import type { Observed, ObservedDatabase, ObservedRole } from "../../src/reconcile/observed.ts";
import { passwordIsSet } from "../../src/reconcile/password.ts";
import { plan } from "../../src/reconcile/plan/plan.ts";
import { planJson, planText } from "../../src/reconcile/plan/plan_text.ts";
import { type SpecParts, specOf } from "./cluster.ts";
import { simulate } from "./model.ts";

const context: DesiredContext = { systemDatabase: "postgres", privilegedRole: "neon_superuser", neonServer: true };
const HEX = "0123456789abcdef0123456789abcdef";

const name = fc.constantFrom("a", "b", "c", "d'\"$x$", "é\\", "select");
const password = fc.constantFrom(null, HEX, `md5${HEX}`, "SCRAM-SHA-256$4096:c2FsdA==$a2V5:a2V5");
const stored = fc.constantFrom(null, `md5${HEX}`, "SCRAM-SHA-256$4096:c2FsdA==$a2V5:a2V5");

const parts: fc.Arbitrary<SpecParts> = fc
  .record({
    roles: fc.uniqueArray(fc.record({ name, encrypted_password: password }), { selector: (role) => role.name }),
    databases: fc.uniqueArray(fc.record({ name, owner: name }), { selector: (database) => database.name }),
    operations: fc.array(
      fc.oneof(
        fc.record({ action: fc.constantFrom("delete_db", "delete_role", "unknown"), name }),
        fc.record({ action: fc.constantFrom("rename_db", "rename_role"), name, new_name: name }),
      ),
      { maxLength: 6 },
    ),
    operationUuid: fc.constant("6c2c8b4f"),
    jwksRoles: fc.subarray(["a", "b"]),
    settings: fc.constantFrom(
      [],
      [{ name: "shared_preload_libraries", value: "pg_stat_statements", vartype: "string" }],
    ),
    audit: fc.constantFrom("Disabled" as const, "Base" as const, "Full" as const),
    dropSubscriptionsFor: fc.constantFrom(undefined, "t1", "t2"),
  })
  .map(({ dropSubscriptionsFor, ...rest }) => ({
    ...rest,
    ...(dropSubscriptionsFor === undefined ? {} : { dropSubscriptionsFor }),
  }));

const attributes = fc.record({
  login: fc.boolean(),
  inherit: fc.boolean(),
  createrole: fc.boolean(),
  createdb: fc.boolean(),
  replication: fc.boolean(),
  bypassrls: fc.boolean(),
});

const observedDatabase: fc.Arbitrary<Omit<ObservedDatabase, "oid" | "owner"> & { ownerIndex: number }> = fc.record({
  ownerIndex: fc.nat(10),
  restricted: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  invalid: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  template: fc.boolean(),
  granted: fc.boolean(),
  defaultGrants: fc.integer({ min: 0, max: 3 }),
  visited: fc.boolean(),
  subscriptions: fc.constantFrom(0, 0, 2),
  enabledSubscriptions: fc.constant(0),
});

const observed: fc.Arbitrary<Observed> = fc
  .record({
    serverMajor: fc.constantFrom(14, 15, 16, 17, 18),
    roles: fc.dictionary(
      name,
      fc.record({ password: stored, attributes, references: fc.array(fc.nat(5), { maxLength: 2 }) }),
    ),
    databases: fc.dictionary(name, observedDatabase),
    privileged: fc.option(
      fc.record({
        attributes,
        memberOf: fc.dictionary(fc.constantFrom("pg_read_all_data", "pg_monitor"), fc.boolean()),
      }),
      { nil: undefined },
    ),
    neonSchemaOwner: fc.constantFrom(undefined, "cloud_admin"),
    healthCheckOwner: fc.constantFrom(undefined, "cloud_admin", "somebody"),
    extensions: fc.dictionary(
      fc.constantFrom("neon", "pg_stat_statements", "pgaudit"),
      fc.record({ version: fc.constantFrom("1.0", "1.6"), schema: fc.constantFrom("neon", "public") }),
    ),
    available: fc.constantFrom(
      new Map<string, string>(),
      new Map([
        ["neon", "1.6"],
        ["pgaudit", "1"],
        ["pgauditlogtofile", "1"],
      ]),
    ),
    auditExcluded: fc.boolean(),
    migration: fc.constantFrom(0, 5, 12, 99),
    subscriptionsDroppedFor: fc.constantFrom(undefined, "t1"),
  })
  .map((raw): Observed => {
    const admin: ObservedRole = {
      password: null,
      superuser: true,
      attributes: { login: true, inherit: true, createrole: true, createdb: true, replication: true, bypassrls: true },
      references: [],
    };
    const names = ["cloud_admin", ...Object.keys(raw.roles)];
    const databases = new Map<string, ObservedDatabase>(
      Object.entries(raw.databases).map(([key, { ownerIndex, ...database }], i) => [
        key,
        {
          ...database,
          oid: 100 + i,
          owner: names[ownerIndex % names.length] ?? "cloud_admin",
          enabledSubscriptions: database.subscriptions,
        },
      ]),
    );
    // References only where one can look, as the servers' own refusal is another test's business.
    const open = [...databases].filter(([, { restricted, invalid }]) => !restricted && !invalid).map(([key]) => key);
    const roles = new Map<string, ObservedRole>(
      Object.entries(raw.roles).map(([key, role]) => [
        key,
        {
          ...role,
          superuser: false,
          // An owner of a database has a shared reference.
          references: [
            ...new Set([
              ...role.references.map((index) => open[index] ?? null),
              ...([...databases.values()].some(({ owner }) => owner === key) ? [null] : []),
            ]),
          ],
        },
      ]),
    );
    roles.set("cloud_admin", admin).set("somebody", admin);
    if (raw.privileged)
      roles.set("neon_superuser", { ...admin, superuser: false, attributes: raw.privileged.attributes });
    return {
      ...raw,
      admin: "cloud_admin",
      roles,
      databases: databases.set("postgres", {
        oid: 5,
        owner: "cloud_admin",
        restricted: false,
        invalid: false,
        template: false,
        granted: false,
        defaultGrants: 0,
        visited: false,
        subscriptions: 0,
        enabledSubscriptions: 0,
      }),
      privileged: raw.privileged && { memberOf: new Map(Object.entries(raw.privileged.memberOf)), executes: new Set() },
      extensions: new Map(Object.entries(raw.extensions)),
      completedOperations: undefined,
    };
  });

describe("plan", () => {
  test("for any state and any spec: carried out, it gives what the spec wants, and nothing is left to plan", () => {
    let interesting = 0;
    fc.assert(
      fc.property(parts, observed, (spec, before) => {
        const desired = desiredState(specOf(spec), context);
        const first = plan(desired, before);
        // A plan with problems is not carried out; owners that nobody makes are the server's to refuse.
        const there = new Set([...before.roles.keys(), ...desired.roles.map((role) => role.name)]);
        const deleted = new Set(
          desired.operations.filter(({ action }) => action === "delete_role").map((each) => each.name),
        );
        const renamed = new Set(
          desired.operations.filter(({ action }) => action === "rename_role").map((each) => each.name),
        );
        fc.pre(first.problems.length === 0);
        fc.pre(
          desired.databases.every(
            ({ owner }) =>
              (there.has(owner) && !deleted.has(owner) && !renamed.has(owner)) ||
              desired.roles.some((role) => role.name === owner && !deleted.has(owner)),
          ),
        );
        interesting++;
        const after = simulate(before, first.actions);
        for (const role of desired.roles) {
          if (deleted.has(role.name)) continue;
          const made = after.roles.get(role.name);
          expect(made).toBeDefined();
          expect(passwordIsSet(role.password, made?.password ?? null, role.name)).toBe(true);
        }
        for (const database of desired.databases)
          expect(after.databases.get(database.name)).toMatchObject({
            owner: database.owner,
            granted: true,
            invalid: false,
          });
        expect([...after.databases.values()].some(({ invalid }) => invalid)).toBe(false);
        if (
          desired.dropSubscriptionsFor !== undefined &&
          before.subscriptionsDroppedFor !== desired.dropSubscriptionsFor
        )
          expect([...after.databases.values()].some(({ enabledSubscriptions }) => enabledSubscriptions > 0)).toBe(
            false,
          );
        // What the spec and its operations do not name is as it was.
        const named = new Set(
          [...desired.databases, ...desired.operations].flatMap((each) => [
            each.name,
            "newName" in each ? each.newName : "",
          ]),
        );
        for (const [key, database] of before.databases)
          if (!named.has(key) && !database.invalid) expect(after.databases.get(key)?.oid).toBe(database.oid);
        const second = plan(desired, after);
        expect(second.problems).toEqual([]);
        expect(second.actions.map(({ kind }) => kind)).toEqual([]);
      }),
      { numRuns: 3000 },
    );
    expect(interesting).toBeGreaterThan(100);
  });

  test("without an id, operations are repeated, and repeating them takes nothing away that they had kept", () => {
    fc.assert(
      fc.property(
        observed,
        fc.shuffledSubarray(["a", "b", "c"], { minLength: 2, maxLength: 2 }),
        (before, [from = "", to = ""]) => {
          for (const kind of ["db", "role"] as const) {
            const spec: SpecParts = {
              operations: [
                { action: `delete_${kind}`, name: to },
                { action: `rename_${kind}`, name: from, new_name: to },
              ],
            };
            const desired = desiredState(specOf(spec), context);
            const after = simulate(before, plan(desired, before).actions);
            const again = plan(desired, after);
            expect(again.actions).toEqual([]);
          }
        },
      ),
    );
  });

  test("the same arguments give the same plan, and phases come in their order", () => {
    fc.assert(
      fc.property(parts, observed, (spec, before) => {
        const desired = desiredState(specOf(spec), context);
        expect(plan(desired, before)).toEqual(plan(desired, before));
      }),
      { numRuns: 100 },
    );
  });

  test("what is printed holds no password", () => {
    const desired = desiredState(
      specOf({ roles: [{ name: "ann", encrypted_password: HEX }], databases: [{ name: "shop", owner: "ann" }] }),
      context,
    );
    const [before] = fc.sample(observed, { numRuns: 1, seed: 1 });
    if (!before) throw new Error("no sample");
    const made = plan(desired, { ...before, roles: new Map(), databases: new Map() });
    const text = planText(made.actions);
    expect(text).toContain('CreateAndAlterRoles:\n  create role "ann" member=true password="set"');
    expect(text).toContain('  create database "shop" owner="ann"');
    expect(text + JSON.stringify(planJson(made))).not.toContain(HEX);
    expect(planText([])).toBe("nothing to do\n");
  });
});
