import * as z from "zod/mini";

/** What a schema yields, for readers only: everybody shares one decoded spec, and nobody may change it in place. */
export type Immutable<T> = T extends readonly (infer Item)[]
  ? readonly Immutable<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Immutable<T[Key]> }
    : T;

/** A field marked `T?` in the contract: absent and `null` both decode to `null` (contract: spec.md 2 rule 2). */
export function optional<Inner extends z.core.$ZodType>(inner: Inner) {
  return z._default(z.nullable(inner), null as never);
}

export const unsigned8 = z.int().check(z.minimum(0), z.maximum(255));
export const unsigned32 = z.int().check(z.minimum(0), z.maximum(4_294_967_295));
/** Sizes and counts; integers above 2^53 are refused rather than rounded. */
export const unsigned = z.int().check(z.minimum(0));
export const integer = z.int();

/** Tenant or timeline id: 32 hex digits of either case, lower-case once decoded (contract: spec.md 2 rule 7). */
export const identifier = z
  .string()
  .check(z.regex(/^[0-9a-fA-F]{32}$/, { error: "not an id: 32 hexadecimal digits expected" }), z.toLowerCase());

/**
 * A closed enum without payloads. The original also takes a variant as `{"Name": null}`; the string is what is written
 * (contract: spec.md 2 rules 1 and 5).
 */
export function variant<const Names extends readonly [string, ...string[]]>(names: Names) {
  type Name = Names[number];
  return z.pipe(
    z.union([z.enum(names), ...names.map((name) => z.strictObject({ [name]: z.null() }))], {
      error: expecting(`one of ${names.map((name) => JSON.stringify(name)).join(", ")}`),
    }),
    z.transform((value) => onlyName(value as Name | Record<Name, null>)),
  );
}

/** The message of a union, which has no better one; that a field is missing is said by the decoder. */
export function expecting(what: string): (issue: z.core.$ZodRawIssue) => string | undefined {
  return (issue) => (issue.input === undefined ? undefined : `expected ${what}`);
}

/** The variant's name, out of either spelling. */
export function onlyName<Name extends string>(value: Name | Record<Name, null>): Name {
  return typeof value === "string" ? value : (Object.keys(value)[0] as Name);
}

/** An object with free keys. It has no prototype: names such as `constructor` are only there when the sender put them. */
export function dictionary<Key extends z.core.$ZodRecordKey, Value extends z.core.$ZodType>(key: Key, value: Value) {
  return z.pipe(
    z.record(key, value),
    z.transform((entries) => Object.assign(Object.create(null) as typeof entries, entries)),
  );
}
