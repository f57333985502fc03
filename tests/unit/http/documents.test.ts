/** The documents of the HTTP face: all routes are in them, and answers are as they say. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { HttpRoute } from "../../../src/http/route.ts";
import { FakeClient } from "../../support/fake_client.ts";
import { HttpFace, openRegistryFace } from "../../support/http_face.ts";

// deno-lint-ignore no-explicit-any -- a document of any shape.
type Document = any;

test("GET /openapi.json has every route with its parameters, answers and errors", async () => {
  const face = new HttpFace({ client: new FakeClient({}).client });
  const { status, json } = await face.ask("GET", "/openapi.json");
  assert.equal([status, json.openapi], [200, "3.1.0"]);
  const described = Object.entries<Document>(json.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`)
  );
  const routes = face.app.routes.map(({ method, path }) => `${method} ${path}`);
  assert.equal(described.sort(), [...routes].sort());
  assert.is(new Set(face.app.routes.map(({ name }) => name)).size, routes.length);
  for (const route of face.app.routes) {
    const operation = json.paths[route.path][route.method.toLowerCase()];
    const names = operation.parameters.map((parameter: Document) => parameter.name);
    const wanted = [
      ...Object.keys(route.pathSchema.shape),
      ...Object.keys(route.querySchema.shape),
      ...Object.keys(route.requestHeaders),
    ];
    assert.equal(names, wanted, route.path);
    assert.equal([...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name), [
      ...Object.keys(route.pathSchema.shape),
    ]);
    assert.is("requestBody" in operation, route.bodySchema !== undefined);
    for (const code of ["400", "503"]) assert.ok(code in operation.responses, route.path);
  }
});

test("GET /openapi.json refers only to schemas that it has, each of which is refused unknown input", async () => {
  const face = new HttpFace({ client: new FakeClient({}).client });
  const { json, text } = await face.ask("GET", "/openapi.json");
  const referred = [...text.matchAll(/"\$ref":"([^"]*)"/g)].map(([, ref]) => ref!);
  assert.ok(referred.length > 10);
  for (const ref of referred) {
    const [, name] = /^#\/components\/schemas\/(\w+)$/.exec(ref) ?? [];
    assert.ok(name !== undefined && name in json.components.schemas, ref);
  }
  for (const name of ["AgentInput", "GatewayInput"]) {
    assert.is(json.components.schemas[name].additionalProperties, false);
  }
  const gateway = json.components.schemas.GatewayInput.properties;
  for (const name of ["gateway_ip", "wss_port", "verifiable_cred_hash", "ttl", "capacity"]) {
    assert.ok(name in gateway, name);
  }
});

test("GET /docs describes every route and loads nothing", async () => {
  const face = new HttpFace({ client: new FakeClient({}).client });
  const { status, text, headers } = await face.ask("GET", "/docs");
  assert.is(status, 200);
  assert.is(headers.get("content-type"), "text/html; charset=utf-8");
  assert.match(headers.get("content-security-policy")!, /default-src 'none'/);
  for (const { path } of face.app.routes) assert.ok(text.includes(`<code>${path}</code>`), path);
  assert.not.match(text, /https?:|<script|<link|<img|src=|@import|url\(/);
});

test("answers of a real registry are as their schemas say", async () => {
  const { face } = await openRegistryFace();
  const gateway = await face.ask("POST", "/v1/gateways", {
    body: { domain: "g.example", port: 1, capacity: { cpu: 2 }, labels: { a: "b" } },
  });
  const agent = await face.ask("POST", "/v1/agents", {
    body: { domain: "a.example", gatewayId: gateway.json.id },
  });
  const { id } = agent.json;
  const requests: readonly (readonly [string, string, string])[] = [
    ["GET", "/v1/gateways", "/v1/gateways"],
    ["GET", "/v1/gateways/{id}", `/v1/gateways/${gateway.json.id}`],
    ["GET", "/v1/agents", "/v1/agents"],
    ["GET", "/v1/agents/{id}", `/v1/agents/${id}?writer=true`],
    ["GET", "/v1/resolve", "/v1/resolve?domain=a.example"],
    ["GET", "/v1/targets", "/v1/targets"],
    ["GET", "/v1/status", "/v1/status"],
    ["GET", "/healthz", "/healthz"],
    ["GET", "/readyz", "/readyz"],
    ["POST", "/v1/agents/{id}/renew", `/v1/agents/${id}/renew`],
    ["POST", "/v1/agents/{id}/drain", `/v1/agents/${id}/drain`],
    ["DELETE", "/v1/agents/{id}", `/v1/agents/${id}`],
  ];
  const routeOf = (method: string, path: string): HttpRoute =>
    face.app.routes.find((route) => route.method === method && route.path === path)!;
  const check = (route: HttpRoute, status: number, json: unknown) => {
    const { schema } = route.answers[status] ?? {};
    assert.ok(schema, `${route.path} does not describe ${status}`);
    const { error } = schema.safeParse(json);
    assert.is(error, undefined, `${route.path}: ${error?.message}`);
  };
  check(routeOf("POST", "/v1/gateways"), 201, gateway.json);
  for (const [method, path, target] of requests) {
    const { status, json } = await face.ask(method, target);
    check(routeOf(method, path), status, json);
  }
});

test.run();
