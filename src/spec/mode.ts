import * as z from "zod/mini";
import { formatLsn, type Lsn, parseLsn } from "../wire/lsn.ts";
import { expecting, onlyName } from "./field.ts";

/** What a compute runs as (contract: spec.md 4.1). */
export type Mode =
  | { readonly kind: "primary" }
  | { readonly kind: "replica" }
  /** Read-only at one LSN. */
  | { readonly kind: "static"; readonly lsn: Lsn };

export type EncodedMode = "Primary" | "Replica" | { readonly Static: string };

/** An LSN as it stands in JSON: two halves of at most 32 bits; blanks around it and leading zeros are allowed. */
const lsnText = z.string().check(
  z.regex(/^\s*0*[0-9a-fA-F]{1,8}\/0*[0-9a-fA-F]{1,8}\s*$/, {
    error: "not an LSN: two hexadecimal numbers expected, such as 0/16B5A50",
  }),
);

export const lsnSchema = z.pipe(lsnText, z.transform(parseLsn));

const READ_WRITE_OR_STANDBY = ["Primary", "Replica"] as const;

export const modeSchema = z.prefault(
  z.pipe(
    z.union(
      [
        z.enum(READ_WRITE_OR_STANDBY),
        z.strictObject({ Primary: z.null() }),
        z.strictObject({ Replica: z.null() }),
        z.strictObject({ Static: lsnText }),
      ],
      { error: expecting('"Primary", "Replica" or {"Static": "<LSN>"}') },
    ),
    z.transform((value): Mode => {
      if (typeof value === "object" && "Static" in value) return { kind: "static", lsn: parseLsn(value.Static) };
      return { kind: onlyName<"Primary" | "Replica">(value as "Primary") === "Primary" ? "primary" : "replica" };
    }),
  ),
  "Primary",
);

/** The form that is written back (contract: spec.md 4.1). */
export function encodeMode(mode: Mode): EncodedMode {
  switch (mode.kind) {
    case "primary":
      return "Primary";
    case "replica":
      return "Replica";
    case "static":
      return { Static: formatLsn(mode.lsn) };
  }
}
