/** The keywords of JSON Schema that our generated schemas use; any other one is an error, so that none is overlooked. */
interface Schema {
  readonly [keyword: string]: unknown;
}

const ANNOTATIONS = new Set(["$schema", "title", "description", "default", "format"]);

/** Where a value breaks a schema, as `<JSON pointer>: <what>`; empty when it fits. */
export function violations(schema: Schema, value: unknown, at = ""): string[] {
  return Object.entries(schema).flatMap(([keyword, argument]): string[] => {
    if (ANNOTATIONS.has(keyword)) return [];
    const fail = (holds: boolean, what: string) => (holds ? [] : [`${at}: ${what}`]);
    switch (keyword) {
      case "type":
        return fail(
          [argument].flat().some((type) => hasType(type as string, value)),
          `is no ${String(argument)}`,
        );
      case "const":
        return fail(value === argument, "is another constant");
      case "enum":
        return fail((argument as unknown[]).includes(value), "is not in the enum");
      case "anyOf":
        return fail(
          (argument as Schema[]).some((branch) => violations(branch, value, at).length === 0),
          "fits none of anyOf",
        );
      case "minimum":
        return fail(typeof value !== "number" || value >= (argument as number), "is too small");
      case "maximum":
        return fail(typeof value !== "number" || value <= (argument as number), "is too big");
      case "pattern":
        return fail(typeof value !== "string" || new RegExp(argument as string, "u").test(value), "has another form");
      case "items":
        return Array.isArray(value)
          ? value.flatMap((item, index) => violations(argument as Schema, item, `${at}/${index}`))
          : [];
      case "required":
        return isObject(value)
          ? (argument as string[]).flatMap((key) => fail(Object.hasOwn(value, key), `has no ${key}`))
          : [];
      case "properties":
        return isObject(value)
          ? Object.entries(argument as Record<string, Schema>).flatMap(([key, below]) =>
              Object.hasOwn(value, key) ? violations(below, value[key], `${at}/${key}`) : [],
            )
          : [];
      case "propertyNames":
        return isObject(value) ? Object.keys(value).flatMap((key) => violations(argument as Schema, key, at)) : [];
      case "additionalProperties": {
        if (!isObject(value)) return [];
        const known = (schema.properties ?? {}) as object;
        const others = Object.keys(value).filter((key) => !Object.hasOwn(known, key));
        if (typeof argument === "boolean") return fail(argument || others.length === 0, "has unknown keys");
        return others.flatMap((key) => violations(argument as Schema, value[key], `${at}/${key}`));
      }
      default:
        throw new Error(`unknown JSON Schema keyword ${keyword}`);
    }
  });
}

function hasType(type: string, value: unknown): boolean {
  switch (type) {
    case "null":
      return value === null;
    case "array":
      return Array.isArray(value);
    case "object":
      return isObject(value);
    case "integer":
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
