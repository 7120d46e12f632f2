import type { Owner } from "../disk/atomic_file.ts";

/** One line of the user database: uid and gid with a name and a home. */
export interface UnixUser extends Owner {
  readonly name: string;
  readonly home: string;
}
