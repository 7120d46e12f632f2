import { readFileSync } from "node:fs";
import fc from "fast-check";

export type Schema = Readonly<Record<string, unknown>>;

export interface Operation {
  readonly method: string;
  readonly path: string;
  /** Of the internal port. */
  readonly internal: boolean;
  readonly authorized: boolean;
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly schema: Schema }[];
  readonly body: Schema | undefined;
  /** By status: the schemas by content type; undefined for one that is not JSON. */
  readonly responses: Readonly<Record<string, Readonly<Record<string, Schema | undefined>>>>;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

/** All operations of our document, references replaced by what they refer to. */
export function readOperations(): Operation[] {
  const document = JSON.parse(readFileSync("specs/openapi.json", "utf8")) as Document;
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([method]) => ["get", "post", "put", "delete"].includes(method))
      .map(([method, value]) => {
        const operation = value as {
          readonly security?: unknown;
          readonly parameters?: Operation["parameters"];
          readonly requestBody?: { readonly content: Record<string, { readonly schema: Schema }> };
          readonly responses: Record<string, { readonly content?: Record<string, { readonly schema?: Schema }> }>;
        };
        const body = operation.requestBody?.content["application/json"]?.schema;
        return {
          method: method.toUpperCase(),
          path,
          internal: "servers" in item,
          authorized: operation.security !== undefined,
          parameters: operation.parameters ?? [],
          body: body === undefined ? undefined : resolve(body, document),
          responses: Object.fromEntries(
            Object.entries(operation.responses).map(([status, { content }]) => [
              status,
              Object.fromEntries(
                Object.entries(content ?? {}).map(([type, { schema }]) => [
                  type,
                  schema === undefined ? undefined : resolve(schema, document),
                ]),
              ),
            ]),
          ),
        };
      }),
  );
}

function resolve<T>(value: T, document: Document): T {
  if (Array.isArray(value)) return value.map((inner) => resolve(inner, document)) as T;
  if (typeof value !== "object" || value === null) return value;
  const name = (value as { $ref?: string }).$ref?.split("/").at(-1);
  if (name !== undefined) return resolve(document.components.schemas[name], document) as T;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, resolve(inner, document)])) as T;
}

/** Values that fit a schema, and now and then something else. */
export function valuesOf(schema: Schema): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 40, arbitrary: fitting(schema) }, { weight: 1, arbitrary: fc.jsonValue() });
}

function fitting(schema: Schema): fc.Arbitrary<unknown> {
  if ("const" in schema) return fc.constant(schema.const);
  if (Array.isArray(schema.enum)) return fc.constantFrom(...(schema.enum as unknown[]));
  const branches = schema.anyOf as Schema[] | undefined;
  if (branches) return fc.oneof(...branches.map(valuesOf));
  switch (schema.type) {
    case "string":
      return typeof schema.pattern === "string" ? fc.stringMatching(new RegExp(schema.pattern, "u")) : fc.string();
    case "integer":
      return fc.maxSafeInteger().map((value) => clamp(value, schema));
    case "number":
      return fc.double({ noNaN: true, noDefaultInfinity: true });
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "array":
      return fc.array(valuesOf((schema.items as Schema | undefined) ?? {}), { maxLength: 3 });
    case "object":
      return objects(schema);
    default:
      return fc.jsonValue();
  }
}

function clamp(value: number, { minimum, maximum }: Schema): number {
  return Math.min(Math.max(value, Number(minimum ?? -1e9)), Number(maximum ?? 1e9));
}

function objects(schema: Schema): fc.Arbitrary<unknown> {
  const properties = (schema.properties ?? {}) as Record<string, Schema>;
  if (Object.keys(properties).length === 0) {
    const others = schema.additionalProperties;
    const values = typeof others === "object" ? valuesOf(others as Schema) : fc.jsonValue();
    const names = fitting((schema.propertyNames as Schema | undefined) ?? { type: "string" }) as fc.Arbitrary<string>;
    return fc.dictionary(names, values, { maxKeys: 2 });
  }
  const required = (schema.required ?? []) as string[];
  return fc.record(Object.fromEntries(Object.entries(properties).map(([name, each]) => [name, valuesOf(each)])), {
    requiredKeys: required,
  });
}
