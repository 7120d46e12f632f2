import * as z from "zod/mini";
import { EXTERNAL_ROUTES } from "../../src/http/external_routes.ts";
import { INTERNAL_ROUTES } from "../../src/http/internal_routes.ts";
import type { Route, RouteResponse } from "../../src/http/route.ts";
import { errorSchema } from "../../src/http/routes/error_schema.ts";
import { statusSchema } from "../../src/http/routes/status.ts";
import { computeCtlConfigSchema } from "../../src/spec/compute_ctl_config.ts";
import { computeSpecSchema } from "../../src/spec/schema.ts";

type Json = Record<string, unknown>;

/** Schemas that the document names; everything else stands where it is used. */
const components = z.registry<{ id: string }>();
components.add(errorSchema, { id: "Error" });
components.add(statusSchema, { id: "Status" });
components.add(computeSpecSchema, { id: "ComputeSpec" });
components.add(computeCtlConfigSchema, { id: "ComputeCtlConfig" });

const UNAUTHORIZED: Readonly<Record<string, string>> = {
  400: "no usable Authorization header",
  401: "the token is not good",
  403: "the token is for another compute",
};

/** The OpenAPI 3.1 document of both servers, out of their route tables. */
export function renderOpenApi(): string {
  const schemas: Json = {};
  const paths: Record<string, Json> = {};
  for (const route of EXTERNAL_ROUTES) add(paths, route, operation(route, schemas));
  for (const route of INTERNAL_ROUTES) {
    const item = add(paths, route, operation(route, schemas));
    item.servers = [{ url: "http://localhost:3081", description: "the internal port" }];
  }
  const document = {
    openapi: "3.1.0",
    info: {
      title: "compute_ctl",
      version: "1",
      description: "Control of one compute node. Made from the programs' route tables.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "http://localhost:3080", description: "the external port" }],
    paths,
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer", bearerFormat: "JWT" } },
      schemas: Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1))),
    },
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function add(paths: Record<string, Json>, route: Route, operation: Json): Json {
  // The router's `:name{.+}` is the document's `{name}`.
  const path = route.path.replace(/:(\w+)(\{[^}]*\})?/g, "{$1}");
  const item = paths[path] ?? {};
  paths[path] = item;
  item[route.method.toLowerCase()] = operation;
  return item;
}

function operation(route: Route, schemas: Json): Json {
  const names = [...route.path.matchAll(/:(\w+)/g)].map(([, name]) => name);
  const parameters = [
    ...names.map((name) => ({ name, in: "path", required: true, schema: { type: "string" } })),
    ...(route.query === undefined ? [] : queryParameters(toJsonSchema(route.query, "input", schemas))),
  ];
  const body = route.request;
  return {
    operationId: operationId(route),
    summary: route.summary,
    ...(route.authorized ? { security: [{ token: [] }] } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: { "application/json": { schema: toJsonSchema(body, "input", schemas) } },
          },
        }),
    responses: responses(route, schemas),
  };
}

function operationId({ method, path }: Route): string {
  const words = path.split(/[^A-Za-z]+/).filter((word) => word !== "" && word !== "filename");
  return [method.toLowerCase(), ...words].join("_");
}

function queryParameters(schema: Json): Json[] {
  const required = new Set((schema.required as string[] | undefined) ?? []);
  return Object.entries(schema.properties as Record<string, Json>).map(([name, property]) => ({
    name,
    in: "query",
    required: required.has(name),
    schema: property,
  }));
}

function responses(route: Route, schemas: Json): Json {
  const refusals = route.authorized
    ? Object.entries(UNAUTHORIZED).map(([status, description]) => [status, { description, schema: errorSchema }])
    : [];
  const all: Record<string, RouteResponse> = { ...Object.fromEntries(refusals), ...route.responses };
  // Any handler may meet a fault of ours.
  all[500] ??= { description: "an internal error", schema: errorSchema };
  return Object.fromEntries(Object.entries(all).map(([status, each]) => [status, response(each, schemas)]));
}

function response({ description, schema, contentType }: RouteResponse, schemas: Json): Json {
  if (schema === undefined && contentType === undefined) return { description };
  const type = contentType ?? "application/json";
  return {
    description,
    content: { [type]: schema === undefined ? {} : { schema: toJsonSchema(schema, "output", schemas) } },
  };
}

/** The JSON Schema of a schema; named ones become references, and their definitions are added to `schemas`. */
function toJsonSchema(schema: z.ZodMiniType, io: "input" | "output", schemas: Json): Json {
  const {
    $schema: _dialect,
    $defs,
    ...own
  } = z.toJSONSchema(schema, { io, metadata: components, unrepresentable: "any" });
  for (const [name, definition] of Object.entries($defs ?? {})) schemas[name] = withReferences(definition);
  const id = components.get(schema)?.id;
  if (id === undefined) return withReferences(own) as Json;
  // A schema with a name is its own definition, unless the generator has made it one already.
  if (!("$ref" in own)) schemas[id] = withReferences(own);
  return { $ref: `#/components/schemas/${id}` };
}

function withReferences(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withReferences);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      // The name that the registry gave a schema; a property named id is an object.
      .filter(([key, inner]) => key !== "id" || typeof inner !== "string")
      .map(([key, inner]) => [
        key,
        key === "$ref" && typeof inner === "string"
          ? inner.replace("#/$defs/", "#/components/schemas/")
          : withReferences(inner),
      ]),
  );
}
