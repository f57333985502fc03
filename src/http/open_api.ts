/** The OpenAPI 3.1 document of the routes, made of the schemas that check their requests. */
import { z } from "zod";
import { VERSION } from "../base/version.ts";
import { ERROR_STATUSES, type ErrorName } from "./errors.ts";
import type { AnswerSpec, HttpRoute } from "./route.ts";
import { errorSchema } from "./schemas.ts";

type Json = Record<string, unknown>;

/** Errors that every route may answer with. */
const COMMON_ERRORS: readonly ErrorName[] = [
  "BadRequest",
  "Unauthorized",
  "Forbidden",
  "WriteRateLimited",
  "StoreUnavailable",
];

/** Errors of routes that take a body. */
const BODY_ERRORS: readonly ErrorName[] = ["PayloadTooLarge", "UnsupportedMediaType"];

/** Collects the schemas that have a name while a document is made. */
class Components {
  readonly schemas: Json = {};

  /** Returns the JSON schema of a schema; parts that have a name are referred to. */
  add(schema: z.ZodType, io: "input" | "output"): unknown {
    const made = z.toJSONSchema(schema, { io, unrepresentable: "any" }) as Json;
    const { $schema: _, $defs = {}, ...rest } = made;
    for (const [name, part] of Object.entries($defs as Json)) {
      this.schemas[name] = referring(part);
    }
    return referring(rest);
  }
}

/** Returns a schema with references as they are in a document. */
function referring(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(referring);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [
      name,
      name === "$ref" && typeof part === "string"
        ? part.replace("#/$defs/", "#/components/schemas/")
        : referring(part),
    ]),
  );
}

/** Returns the document of some routes. */
export function openApiDocument(routes: readonly HttpRoute[]): Json {
  const components = new Components();
  const error = components.add(errorSchema, "output");
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = paths[route.path] ??= {};
    path[route.method.toLowerCase()] = operationOf(route, components, error);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Central registry",
      version: VERSION,
      description: "Live records, identities and the governed plane over HTTP.",
    },
    paths,
    components: { schemas: components.schemas },
  };
}

function operationOf(route: HttpRoute, components: Components, error: unknown): Json {
  const { name, tag, summary, bodySchema, answers, errors, requestHeaders } = route;
  const responses: Json = {};
  for (const [status, answer] of Object.entries(answers)) {
    responses[status] = responseOf(answer, components);
  }
  const all = [...COMMON_ERRORS, ...errors, ...(bodySchema === undefined ? [] : BODY_ERRORS)];
  for (const code of all) {
    responses[ERROR_STATUSES[code]] ??= {
      description: code,
      content: { "application/json": { schema: error } },
    };
  }
  return {
    operationId: name,
    tags: [tag],
    summary,
    parameters: [
      ...parametersOf(route.pathSchema, "path", components),
      ...parametersOf(route.querySchema, "query", components),
      ...Object.entries(requestHeaders).map(([header, description]) => ({
        name: header,
        in: "header",
        required: false,
        description,
        schema: { type: "string" },
      })),
    ],
    ...(bodySchema === undefined ? {} : {
      requestBody: {
        required: !bodySchema.safeParse(undefined).success,
        content: { "application/json": { schema: components.add(bodySchema, "input") } },
      },
    }),
    responses,
  };
}

function parametersOf(
  schema: z.ZodObject,
  place: "path" | "query",
  components: Components,
): Json[] {
  return Object.entries(schema.shape).map(([name, part]) => {
    const type = part as z.ZodType;
    const { description, ...found } = components.add(type, "input") as Json;
    return {
      name,
      in: place,
      required: !type.safeParse(undefined).success,
      ...(description === undefined ? {} : { description }),
      schema: found,
    };
  });
}

function responseOf(answer: AnswerSpec, components: Components): Json {
  const { description, schema, type, headers } = answer;
  return {
    description,
    ...(headers === undefined ? {} : {
      headers: Object.fromEntries(
        Object.entries(headers).map(([name, text]) => [
          name,
          { description: text, schema: { type: "string" } },
        ]),
      ),
    }),
    ...(schema === undefined && type === undefined ? {} : {
      content: {
        [type ?? "application/json"]: {
          schema: schema === undefined ? { type: "string" } : components.add(schema, "output"),
        },
      },
    }),
  };
}
