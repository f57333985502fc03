/**
 * A route: its place, the schemas of its input and its answers, and its handler. The same description
 * gives the check of each request and the OpenAPI document, so the two never differ.
 */
import { z } from "zod";
import type { CallerClient } from "../faces/caller_client.ts";
import { type ErrorName, HttpError } from "./errors.ts";

/** The context of a request, beside its checked input. */
export interface RouteContext {
  /** Acts for the caller. @throws HttpError, when it is read, if the caller has none. */
  readonly client: CallerClient;
  /** Ends with the request: its time is over, or the caller is gone. */
  readonly signal: AbortSignal;
  /** The header, as sent; `null` if there is none. */
  header(name: string): string | null;
  /** `http://host:port`, as the caller named it. */
  readonly baseUrl: string;
  /** The correlation id of the request. */
  readonly requestId: string;
}

/** The answer of a handler. */
export interface RouteAnswer {
  /** Default: the lowest one that the route describes. */
  readonly status?: number;
  /**
   * A JSON document, also as text whose length is known; or text or bytes of the type that `headers` name;
   * or an event stream.
   */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Logged with the route and the status. */
  readonly facts?: AnswerFacts;
}

/** Facts for the log, under the names that its readers look for. */
export interface AnswerFacts {
  readonly descriptor_id?: string;
  /** Version of the descriptor, or the global one of a change. */
  readonly version?: number;
}

/** The description of one status that a route answers with. */
export interface AnswerSpec {
  readonly description: string;
  /** Of a JSON document; absent: another type of content, or none. */
  readonly schema?: z.ZodType;
  /** Default: `application/json` if there is a schema. */
  readonly type?: string;
  /** Headers by name, with their descriptions. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** The input of a route, after its check. */
export interface RouteInput<Path, Query, Body> {
  readonly path: Path;
  readonly query: Query;
  readonly body: Body;
}

/** The methods that routes have. */
export type RouteMethod = "GET" | "POST" | "PUT" | "DELETE";

/** A route without the types of its input. */
export interface HttpRoute {
  readonly method: RouteMethod;
  /** With parameters in braces: `/v1/agents/{id}`. */
  readonly path: string;
  /** A name that no other route has. */
  readonly name: string;
  readonly tag: string;
  readonly summary: string;
  readonly pathSchema: z.ZodObject;
  readonly querySchema: z.ZodObject;
  readonly bodySchema: z.ZodType | undefined;
  /** Headers of the request that matter, with their descriptions. */
  readonly requestHeaders: Readonly<Record<string, string>>;
  readonly answers: Readonly<Record<number, AnswerSpec>>;
  /** Names of the errors that it answers with, beside those of all routes. */
  readonly errors: readonly ErrorName[];
  /** Whether it answers with an event stream, which lasts. */
  readonly isStream: boolean;
  handle(input: RouteInput<unknown, unknown, unknown>, context: RouteContext): Promise<RouteAnswer>;
  /**
   * Answers a GET without a query from memory, with what everybody may read. Returns undefined if
   * `handle` must answer; otherwise both give the same answer. Absent: only `handle` answers.
   */
  readonly atOnce:
    | ((path: unknown, context: QuickContext) => RouteAnswer | undefined)
    | undefined;
}

/** The context of a request that may be answered at once. */
export type QuickContext = Pick<RouteContext, "client" | "header">;

const NOTHING = z.strictObject({});
type Nothing = typeof NOTHING;

/** Describes a route; absent schemas accept nothing. */
export function route<
  Path extends z.ZodObject = Nothing,
  Query extends z.ZodObject = Nothing,
  Body extends z.ZodType = z.ZodUndefined,
>(
  description:
    & Pick<HttpRoute, "method" | "path" | "name" | "tag" | "summary" | "answers">
    & Partial<Pick<HttpRoute, "requestHeaders" | "errors" | "isStream">>
    & {
      readonly params?: Path;
      readonly query?: Query;
      readonly body?: Body;
      handle(
        input: RouteInput<z.output<Path>, z.output<Query>, z.output<Body>>,
        context: RouteContext,
      ): Promise<RouteAnswer>;
      atOnce?(
        path: z.output<Path>,
        context: QuickContext,
      ): RouteAnswer | undefined;
    },
): HttpRoute {
  const { params, query, body, handle, atOnce, ...rest } = description;
  return {
    requestHeaders: {},
    errors: [],
    isStream: false,
    ...rest,
    pathSchema: params ?? NOTHING,
    querySchema: query ?? NOTHING,
    bodySchema: body,
    handle: handle as HttpRoute["handle"],
    atOnce: atOnce as HttpRoute["atOnce"],
  };
}

/**
 * Checks the parameters in the path and in the query of a request.
 *
 * @throws HttpError BadRequest.
 */
export function checkedParameters(
  route: HttpRoute,
  path: Readonly<Record<string, string>>,
  query: URLSearchParams | undefined,
): { readonly path: unknown; readonly query: unknown } {
  return {
    path: checkedPath(route, path),
    query: checked(route.querySchema, queryValue(route.querySchema, query), "query"),
  };
}

/** Checks the parameters in the path of a request. @throws HttpError BadRequest. */
export function checkedPath(route: HttpRoute, path: Readonly<Record<string, string>>): unknown {
  return checked(route.pathSchema, path, "path");
}

/** Checks a body. @throws HttpError BadRequest. */
export function checkedBody(route: HttpRoute, body: unknown): unknown {
  if (route.bodySchema !== undefined) return checked(route.bodySchema, body, "body");
  if (body === undefined) return undefined;
  throw new HttpError("BadRequest", "This request takes no body: found one", {
    hint: "Send it without a body.",
  });
}

/** Returns the value of a query, with the types that its schema has; refuses nothing yet. */
function queryValue(
  schema: z.ZodObject,
  query: URLSearchParams | undefined,
): Record<string, unknown> {
  const value: Record<string, unknown> = Object.create(null);
  if (query === undefined) return value;
  for (const name of new Set(query.keys())) {
    const texts = query.getAll(name);
    const type = Object.hasOwn(schema.shape, name)
      ? inner(schema.shape[name] as z.ZodType)
      : undefined;
    if (type instanceof z.ZodArray) value[name] = texts;
    // A name that is given twice has no single value: the list is refused by its type.
    else value[name] = texts.length === 1 ? typed(type, texts[0]!) : texts;
  }
  return value;
}

/** Returns the schema without what makes it optional. */
function inner(schema: z.ZodType): z.ZodType {
  let type = schema;
  while (type instanceof z.ZodOptional || type instanceof z.ZodDefault) {
    type = type.unwrap() as z.ZodType;
  }
  return type;
}

function typed(type: z.ZodType | undefined, text: string): unknown {
  if (type instanceof z.ZodNumber) return /^-?\d{1,15}$/.test(text) ? Number(text) : text;
  if (type instanceof z.ZodBoolean && (text === "true" || text === "false")) return text === "true";
  return text;
}

function checked(schema: z.ZodType, value: unknown, place: "path" | "query" | "body"): unknown {
  const result = schema.safeParse(value, { error: missing });
  if (result.success) return result.data;
  const issues = result.error.issues.slice(0, 4).map((issue) => {
    const at = issue.path.map(String).join(".");
    return at === "" ? issue.message : `${at}: ${issue.message}`;
  });
  throw new HttpError(
    "BadRequest",
    `The ${place} of the request is not valid: ${issues.join("; ")}`,
    {
      hint: "GET /openapi.json describes every request.",
    },
  );
}

/** Says that a value is missing, in place of the schema's words for an undefined one. */
function missing({ code, input }: z.core.$ZodRawIssue): string | undefined {
  return code === "invalid_type" && input === undefined ? "it is missing" : undefined;
}
