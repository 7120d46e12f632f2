import type * as z from "zod/mini";
import { CodedError } from "../errors/coded_error.ts";
import type { Immutable } from "./field.ts";
import { findSyntaxFault } from "./json_syntax.ts";
import { formatProblems, joinPath, type Problem } from "./problem.ts";
import {
  type ComputeConfig,
  type ComputeSpec,
  type ConfigurationRequest,
  type ControlPlaneConfigResponse,
  computeConfigSchema,
  computeSpecSchema,
  configurationRequestSchema,
  controlPlaneConfigResponseSchema,
  type PromoteRequest,
  promoteRequestSchema,
} from "./schema.ts";

/** The text is no JSON. Code `spec_syntax`, status 400. */
export class SpecSyntaxError extends CodedError {
  readonly line: number;
  readonly column: number;

  constructor(message: string, line: number, column: number) {
    super("spec_syntax", `${message} at line ${line} column ${column}`, { status: 400 });
    this.line = line;
    this.column = column;
  }
}

/** The JSON has not the shape that is wanted. Code `spec_shape`, status 422; the message names path and field. */
export class SpecShapeError extends CodedError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super("spec_shape", formatProblems(problems), { status: 422 });
    this.problems = problems;
  }
}

/** Reads a `--config` file's text (contract: spec.md 1.2). */
export function decodeComputeConfig(text: string): ComputeConfig {
  return decodeJson(computeConfigSchema, text);
}

/** Reads a bare spec, without the envelope: the value of the old flag `--spec` (contract: lifecycle.md 1.2). */
export function decodeComputeSpec(text: string): ComputeSpec {
  return decodeJson(computeSpecSchema, text);
}

/** Reads a control plane's answer (contract: spec.md 1.4). `attached` without a spec decodes: that is not retried. */
export function decodeControlPlaneResponse(text: string): ControlPlaneConfigResponse {
  return decodeJson(controlPlaneConfigResponseSchema, text);
}

/** Reads the body of `POST /configure`. */
export function decodeConfigurationRequest(text: string): ConfigurationRequest {
  return decodeJson(configurationRequestSchema, text);
}

/** Reads the body of `POST /promote`. */
export function decodePromoteRequest(text: string): PromoteRequest {
  return decodeJson(promoteRequestSchema, text);
}

/** Reads JSON of a shape. Throws {@link SpecSyntaxError} or {@link SpecShapeError}, neither of which quotes the document. */
export function decodeJson<Schema extends z.ZodMiniType>(schema: Schema, text: string): Immutable<z.output<Schema>> {
  const result = schema.safeParse(parseJson(text), { error: describe });
  if (result.success) return result.data as Immutable<z.output<Schema>>;
  throw new SpecShapeError(result.error.issues.map(toProblem));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    // Not kept as the cause: its message quotes the document.
    const fault = findSyntaxFault(text);
    if (!fault) throw cause;
    throw new SpecSyntaxError(fault.message, fault.line, fault.column);
  }
}

function toProblem(issue: z.core.$ZodIssue): Problem {
  // The issue of a key says only that it is wrong; why is in the issues below it.
  const message = issue.code === "invalid_key" ? (issue.issues[0]?.message ?? issue.message) : issue.message;
  return { path: joinPath(issue.path), message };
}

/** The message of an issue for which its schema has none. Says what was found, never its value. */
function describe(issue: z.core.$ZodRawIssue): string {
  if (issue.input === undefined) return `missing field \`${String(issue.path?.at(-1))}\``;
  switch (issue.code) {
    case "invalid_type":
      return `expected ${withArticle(issue.expected)}, found ${typeName(issue.input)}`;
    case "too_small":
      return `must be at least ${issue.minimum}`;
    case "too_big":
      return `must be at most ${issue.maximum}`;
    default:
      return "invalid value";
  }
}

const ARTICLES: Readonly<Record<string, string>> = {
  int: "an integer",
  record: "an object",
  object: "an object",
  array: "an array",
};

function withArticle(expected: string): string {
  return ARTICLES[expected] ?? `a ${expected}`;
}

function typeName(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object") return "an object";
  // JSON has no infinity: it is what a number with too many digits turns into.
  if (typeof value === "number") return Number.isFinite(value) ? "a number" : "a number that is too large";
  return `a ${typeof value}`;
}
