/**
 * Every route of the HTTP face, given values that its schemas describe, mixed with junk, before a real
 * registry: each request gets an answer of the closed set, an error in its envelope, and never by a
 * fault of the face.
 */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { z } from "zod";
import { ERROR_STATUSES } from "../../src/http/errors.ts";
import type { HttpRoute } from "../../src/http/route.ts";
import { A, B, C } from "../support/governance.ts";
import { firstSigners, placeGoverned } from "../support/governed_registry.ts";
import { type FaceRequest, type HttpFace, openRegistryFace } from "../support/http_face.ts";

const RUNS = 5;
const STATUSES = new Set<number>(Object.values(ERROR_STATUSES));

// deno-lint-ignore no-explicit-any -- a JSON schema of any shape.
type Schema = any;

/** Returns values that a schema describes, and now and then others. */
function valuesOf(schema: Schema, root: Schema = schema): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 9, arbitrary: fitting(schema, root) }, {
    weight: 1,
    arbitrary: fc.oneof(fc.jsonValue(), fc.string({ unit: "binary" })),
  });
}

function fitting(schema: Schema, root: Schema): fc.Arbitrary<unknown> {
  const ref = /^#\/\$defs\/(.*)$/.exec(schema.$ref ?? "")?.[1];
  if (ref !== undefined) return valuesOf(root.$defs[ref], root);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) {
    return fc.oneof(...choices.map((one: Schema) => valuesOf(one, root)));
  }
  switch (schema.type) {
    case "string":
      return schema.pattern === undefined
        ? fc.oneof(fc.string({ maxLength: 30 }), fc.domain())
        : fc.stringMatching(new RegExp(schema.pattern), { maxLength: 60 });
    case "integer":
    case "number":
      return fc.oneof(fc.integer({ min: -1, max: 10 }), fc.integer());
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "array":
      return fc.array(valuesOf(schema.items ?? {}, root), { maxLength: 3 });
    case "object":
      return objectOf(schema, root);
    default:
      return fc.jsonValue();
  }
}

function objectOf(
  { properties = {}, required = [], additionalProperties }: Schema,
  root: Schema,
): fc.Arbitrary<unknown> {
  const members = Object.entries(properties).map(([name, one]) => [name, valuesOf(one, root)]);
  const known = fc.record(Object.fromEntries(members), { requiredKeys: required });
  if (typeof additionalProperties !== "object") return known;
  const others = fc.dictionary(fc.string({ maxLength: 8 }), valuesOf(additionalProperties, root));
  return fc.tuple(known, others).map(([first, second]) => ({ ...second, ...first as object }));
}

function jsonSchema(schema: z.ZodType): Schema {
  return z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
}

/** Returns targets of a route: its path and query, filled. */
function targetsOf(route: HttpRoute): fc.Arbitrary<string> {
  return fc.tuple(
    valuesOf(jsonSchema(route.pathSchema)),
    valuesOf(jsonSchema(route.querySchema)),
  ).map(([path, query]) => {
    const parts = Object(path) as Record<string, unknown>;
    const filled = route.path.replace(
      /\{(\w+)\}/g,
      (_, name: string) => encodeURIComponent(wellFormed(parts[name] ?? "x")) || "x",
    );
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(Object(query) as Record<string, unknown>)) {
      for (const one of Array.isArray(value) ? value : [value]) {
        search.append(wellFormed(name), wellFormed(one));
      }
    }
    return `${filled}?${search}`;
  });
}

function wellFormed(value: unknown): string {
  return (typeof value === "string" ? value : JSON.stringify(value) ?? "").toWellFormed();
}

const HEADERS = fc.record({
  "if-match": fc.oneof(fc.constant("*"), fc.constant('"1.2"'), visible()),
  "if-none-match": visible(),
  "last-event-id": fc.oneof(fc.nat().map(String), visible()),
}, { requiredKeys: [] });

function visible(): fc.Arbitrary<string> {
  return fc.stringMatching(/^[ -~]*$/, { maxLength: 40 });
}

function requestsOf({ bodySchema }: HttpRoute): fc.Arbitrary<FaceRequest> {
  const bodies: fc.Arbitrary<unknown> = bodySchema === undefined
    ? fc.constant(undefined)
    : fc.oneof(
      { weight: 8, arbitrary: valuesOf(jsonSchema(bodySchema)) },
      { weight: 1, arbitrary: fc.string() },
    );
  return fc.tuple(bodies, HEADERS).map(([body, headers]) => ({
    headers: {
      ...headers,
      ...(typeof body === "string" ? { "content-type": "application/json" } : {}),
    },
    ...(body === undefined ? {} : { body }),
  }));
}

async function check(
  face: HttpFace,
  route: HttpRoute,
  target: string,
  request: FaceRequest,
): Promise<void> {
  const { body, ...others } = request;
  const isRead = route.method === "GET";
  const response = await face.open(route.method, target, isRead ? others : { ...others, body });
  const type = response.headers.get("content-type") ?? "";
  if (type.startsWith("text/event-stream")) return await response.body?.cancel();
  const text = await response.text();
  if (response.status < 400) return;
  if (response.status === 503 && route.path.endsWith("/readyz")) return;
  assert.ok(STATUSES.has(response.status), `${response.status} ${text}`);
  const { error } = JSON.parse(text);
  assert.is(error.request_id, response.headers.get("x-corr-id"));
  assert.is.not(error.reason, "internal", text);
  assert.ok(error.message.length < 2_000, text);
}

test("every route answers whatever it is asked, never by a fault of its own", async () => {
  const { face, harness } = await openRegistryFace();
  await placeGoverned(harness);
  const client = await harness.client();
  await harness.world.wait(client.governed.init(firstSigners([A, B, C]), 2));
  for (const route of face.app.routes) {
    const asked = fc.asyncProperty(
      targetsOf(route),
      requestsOf(route),
      (target, request) => check(face, route, target, request),
    );
    await fc.assert(asked, { numRuns: RUNS });
  }
});

test.run();
