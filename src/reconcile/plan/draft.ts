import type { Observed, ObservedDatabase, ObservedRole } from "../observed.ts";

/** A database as it will be at this point of the plan. */
export interface DraftDatabase extends Omit<ObservedDatabase, "oid"> {
  /** Its name when we looked; undefined for one that the plan creates. */
  readonly observedName: string | undefined;
}

export interface DraftRole extends Omit<ObservedRole, "password"> {
  /** Undefined when a rename has left it unknown. */
  readonly password: string | null | undefined;
}

/** The catalogs as the plan goes on: actions are booked here when they are planned, and nowhere else. */
export class Draft {
  readonly roles: Map<string, DraftRole>;
  readonly databases: Map<string, DraftDatabase>;

  constructor(observed: Observed) {
    this.roles = new Map(observed.roles);
    this.databases = new Map(
      [...observed.databases].map(([name, { oid: _, ...database }]) => [name, { ...database, observedName: name }]),
    );
  }

  renameRole(name: string, newName: string): void {
    const role = this.roles.get(name);
    if (!role) return;
    this.roles.delete(name);
    // An MD5 hash is cleared by the rename (the name is its salt), so it has to be set again.
    this.roles.set(newName, { ...role, password: undefined });
    for (const [database, state] of this.databases)
      if (state.owner === name) this.databases.set(database, { ...state, owner: newName });
  }

  /** Databases of a removed role go to the administrator (contract: reconcile.md 6.7). */
  removeRole(name: string, admin: string): void {
    this.roles.delete(name);
    for (const [database, state] of this.databases)
      if (state.owner === name) this.databases.set(database, { ...state, owner: admin });
  }

  renameDatabase(name: string, newName: string): void {
    const database = this.databases.get(name);
    if (!database) return;
    this.databases.delete(name);
    this.databases.set(newName, database);
  }
}
