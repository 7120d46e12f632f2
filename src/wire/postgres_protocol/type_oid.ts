/** Object ids of the types that storage answers with; the same in every PostgreSQL. */
export const TYPE_OID = { bool: 16, bytea: 17, int8: 20, int4: 23, text: 25, oid: 26 } as const;

const SIZES: Readonly<Record<number, number>> = {
  [TYPE_OID.bool]: 1,
  [TYPE_OID.int8]: 8,
  [TYPE_OID.int4]: 4,
  [TYPE_OID.oid]: 4,
};

/** `typlen` of a type in {@link TYPE_OID}; -1 (variable) for everything else. */
export function typeSize(oid: number): number {
  return SIZES[oid] ?? -1;
}
