/** What an action, a problem or a failure is about. */
export type ObjectRef =
  | { readonly kind: "role" | "database" | "extension" | "schema" | "table"; readonly name: string }
  | { readonly kind: "cluster" };

/** `role "ann"`, `the cluster`. */
export function formatObject(object: ObjectRef): string {
  return object.kind === "cluster" ? "the cluster" : `${object.kind} ${JSON.stringify(object.name)}`;
}

/** Two references to one object have one key. */
export function objectKey(object: ObjectRef): string {
  return object.kind === "cluster" ? "cluster" : `${object.kind}:${object.name}`;
}

/** Something that a plan cannot do, found before anything was changed. */
export interface Problem {
  readonly object: ObjectRef;
  /** A SQLSTATE where the server would have said the same, else a word. */
  readonly code: string;
  readonly message: string;
  /** Ends the run even where single objects may fail. */
  readonly fatal: boolean;
}
