import type { ErrorFields } from "./backend_message.ts";
import type { BodyReader } from "./body_reader.ts";

/** Field letters of ErrorResponse and NoticeResponse. */
const FIELD_NAMES: Readonly<Record<string, keyof ErrorFields>> = {
  S: "severity",
  V: "severityPlain",
  C: "code",
  M: "message",
  D: "detail",
  H: "hint",
  P: "position",
  p: "internalPosition",
  q: "internalQuery",
  W: "where",
  s: "schema",
  t: "table",
  c: "column",
  d: "dataType",
  n: "constraint",
  F: "file",
  L: "line",
  R: "routine",
};

export function readErrorFields(reader: BodyReader): ErrorFields {
  const fields: { -readonly [name in keyof ErrorFields]: ErrorFields[name] } = { severity: "", code: "", message: "" };
  for (let letter = reader.uint8(); letter !== 0; letter = reader.uint8()) {
    const text = reader.cstring();
    const name = FIELD_NAMES[String.fromCharCode(letter)];
    if (name !== undefined) fields[name] = text;
  }
  return fields;
}
