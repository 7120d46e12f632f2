import * as z from "zod/mini";
import { computeConfigSchema } from "../../src/spec/schema.ts";
import { describeFields } from "./spec_fields.ts";

/** The JSON Schema of a `--config` file, for editors and validators, out of the schemas that decode it. */
export function renderSpecSchema(): string {
  const { $schema, ...schema } = z.toJSONSchema(computeConfigSchema, { io: "input" });
  const document = {
    $schema,
    title: "compute_ctl config",
    description: "A --config file of compute_ctl: the spec of one compute and the settings of compute_ctl itself.",
    ...schema,
  };
  describeFields(document);
  return `${JSON.stringify(document, null, 2)}\n`;
}
