/** The routes of records over a real registry in the same process. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { HttpFace, openRegistryFace, type RegistryFace } from "../../support/http_face.ts";

const GATEWAY = JSON.parse(
  await Deno.readTextFile(new URL("../../../examples/gateway.json", import.meta.url)),
);

async function registered({ face }: RegistryFace, domain = "a1.example") {
  const gateway = await face.ask("POST", "/v1/gateways", { body: GATEWAY });
  assert.is(gateway.status, 201, gateway.text);
  const agent = await face.ask("POST", "/v1/agents", {
    body: { domain, gateway_id: gateway.json.id, ttl: 30 },
  });
  assert.is(agent.status, 201, agent.text);
  return { gateway, agent };
}

test("POST /v1/gateways takes the JSON of gateways unchanged and answers as crs --json does", async () => {
  const open = await openRegistryFace();
  const { gateway } = await registered(open);
  const { json, headers } = gateway;
  assert.equal(Object.keys(json), [
    "kind",
    "id",
    "incarnation",
    "revision",
    "remainingMs",
    "renewAfterMs",
    "created",
    "receipts",
  ]);
  const { generation, index } = json.incarnation;
  assert.is(headers.get("etag"), `"${generation}.${index}"`);
  assert.is(headers.get("location"), `/v1/gateways/${json.id}`);
  const [receipt] = json.receipts;
  assert.is(
    headers.get("x-registry-receipt"),
    `node=1;partition=${receipt.partition};term=${receipt.term};index=${receipt.appliedIndex};age_ms=0`,
  );
  assert.is(headers.get("x-registry-age-ms"), "0");
  const again = await open.face.ask("POST", "/v1/gateways", { body: { ...GATEWAY, id: json.id } });
  assert.equal([again.status, again.json.created], [200, false]);
});

test("GET /v1/agents/{id} and /v1/gateways/{id} answer the record with its ETag, or 404", async () => {
  const open = await openRegistryFace();
  const { agent, gateway } = await registered(open);
  const found = await open.face.ask("GET", `/v1/agents/${agent.json.id}`);
  assert.is(found.status, 200);
  assert.equal(
    [found.json.agent.domain, found.json.agent.gatewayId, found.json.writer],
    ["a1.example", gateway.json.id, null],
  );
  assert.is(found.headers.get("etag"), agent.headers.get("etag"));
  const absent = await open.face.ask("GET", `/v1/gateways/${agent.json.id}`);
  assert.equal([absent.status, absent.json.error.reason], [404, "not_found"]);
});

test("GET /v1/agents lists page by page with a cursor, for any front", async () => {
  const open = await openRegistryFace();
  for (let number = 0; number < 7; number++) {
    const body = { domain: `a${number}.example` };
    assert.is((await open.face.ask("POST", "/v1/agents", { body })).status, 201);
  }
  // Each page is asked of another front.
  const domains: string[] = [];
  let cursor = "";
  do {
    const client = await open.harness.client();
    const face = new HttpFace({ client }, open.harness.world);
    const page = await face.ask("GET", `/v1/agents?limit=3${cursor}`);
    assert.is(page.status, 200, page.text);
    assert.is(page.json.region, "global");
    for (const { agent } of page.json.agents) domains.push(agent.domain);
    cursor = page.json.nextCursor === null ? "" : `&cursor=${page.json.nextCursor}`;
  } while (cursor !== "");
  assert.equal(domains.sort(), [0, 1, 2, 3, 4, 5, 6].map((number) => `a${number}.example`));
  const other = await open.face.ask("GET", "/v1/agents?region=eu-9");
  assert.equal(other.json.agents, []);
});

test("renew applies to any incarnation, or to the one that If-Match names", async () => {
  const open = await openRegistryFace();
  const { agent: { json, headers } } = await registered(open);
  const path = `/v1/agents/${json.id}/renew`;
  const free = await open.face.ask("POST", path);
  assert.equal([free.status, free.headers.get("etag")], [200, headers.get("etag")]);
  assert.ok(free.json.renewAfterMs > 0);
  const named = await open.face.ask("POST", path, {
    headers: { "if-match": headers.get("etag")! },
  });
  assert.is(named.status, 200);
  const stale = await open.face.ask("POST", path, { headers: { "if-match": '"1.999"' } });
  assert.equal([stale.status, stale.json.error.code], [409, "StaleVersion"]);
  const malformed = await open.face.ask("POST", path, { headers: { "if-match": "1.2" } });
  assert.is(malformed.status, 400);
  assert.is((await open.face.ask("POST", path, { headers: { "if-match": "*" } })).status, 200);
  const absent = await open.face.ask("POST", `/v1/gateways/${json.id}/renew`);
  assert.is(absent.status, 404);
});

test("a record that one front registered is renewed, drained and deregistered by another", async () => {
  const open = await openRegistryFace();
  const { gateway } = await registered(open);
  const other = new HttpFace({ client: await open.harness.client() }, open.harness.world);
  const path = `/v1/gateways/${gateway.json.id}`;
  const ifMatch = { headers: { "if-match": gateway.headers.get("etag")! } };
  assert.is((await other.ask("POST", `${path}/renew`, ifMatch)).status, 200);
  const drained = await other.ask("POST", `${path}/drain`, ifMatch);
  assert.equal([drained.status, drained.json.draining], [200, true]);
  assert.is((await open.face.ask("GET", path)).json.gateway.state, "draining");
  const active = await open.face.ask("POST", `${path}/drain`, { body: { draining: false } });
  assert.equal([active.status, active.json.draining], [200, false]);
  const stale = await other.ask("DELETE", path, { headers: { "if-match": '"1.999"' } });
  assert.is(stale.status, 409, stale.text);
  const gone = await other.ask("DELETE", `${path}?with_agents=true`, ifMatch);
  assert.equal([gone.status, gone.json.removed], [200, 2]);
  assert.is((await open.face.ask("GET", path)).status, 404);
});

test("register with If-Match replaces that incarnation only, in one front and in another", async () => {
  const open = await openRegistryFace();
  const { agent } = await registered(open);
  const body = { id: agent.json.id, domain: "a1.example" };
  const stale = { body, headers: { "if-match": '"1.999"' } };
  const refused = await open.face.ask("POST", "/v1/agents", stale);
  assert.equal([refused.status, refused.json.error.reason], [409, "incarnation_mismatch"]);
  assert.is(refused.headers.get("etag"), agent.headers.get("etag"));
  const client = await open.harness.client();
  const other = new HttpFace({ client }, open.harness.world);
  assert.is((await other.ask("POST", "/v1/agents", stale)).status, 409);
  const kept = await other.ask("POST", "/v1/agents?take_over=false", { body });
  assert.is(kept.status, 409);
  const etag = { body, headers: { "if-match": agent.headers.get("etag")! } };
  const taken = await other.ask("POST", "/v1/agents", etag);
  assert.is(taken.status, 201, taken.text);
  assert.is.not(taken.headers.get("etag"), agent.headers.get("etag"));
  const late = await other.ask("POST", "/v1/agents", etag);
  assert.is(late.status, 409);
});

test("the same caller registers through fronts in turn, each of which lost the record before", async () => {
  const open = await openRegistryFace();
  const { agent } = await registered(open);
  const body = { id: agent.json.id, domain: "a1.example" };
  const other = new HttpFace({ client: await open.harness.client() }, open.harness.world);
  const etags = new Set<string | null>();
  for (const face of [other, open.face, other, open.face, other]) {
    const { status, text, headers } = await face.ask("POST", "/v1/agents", { body });
    assert.is(status, 201, text);
    etags.add(headers.get("etag"));
  }
  assert.is(etags.size, 5);
  const refused = await open.face.ask("POST", "/v1/agents?take_over=false", { body });
  assert.is(refused.status, 409);
});

test("GET /v1/resolve answers the agent and its gateway, or 404", async () => {
  const open = await openRegistryFace();
  const { agent, gateway } = await registered(open);
  const found = await open.face.ask("GET", "/v1/resolve?domain=A1.example&max_staleness_ms=100");
  assert.is(found.status, 200, found.text);
  assert.equal(
    [found.json.domain, found.json.agent.id, found.json.gateway.id, found.json.stale],
    ["A1.example", agent.json.id, gateway.json.id, false],
  );
  const absent = await open.face.ask("GET", "/v1/resolve?domain=none.example");
  assert.is(absent.status, 404);
  assert.is((await open.face.ask("GET", "/v1/resolve")).status, 400);
});

test("GET /v1/targets lists what has a place to be dialed, with its labels", async () => {
  const open = await openRegistryFace();
  const bodies = [
    { domain: "g1.example", address: "192.0.2.7", port: 4000, labels: { "zone-a": "x" } },
    { domain: "g2.example", address: "2001:db8::1", port: 4001 },
    { domain: "g3.example", port: 4002 },
  ];
  for (const body of bodies) {
    assert.is((await open.face.ask("POST", "/v1/gateways", { body })).status, 201);
  }
  const { status, json } = await open.face.ask("GET", "/v1/targets");
  assert.is(status, 200);
  assert.equal(json.map((group: { targets: string[] }) => group.targets[0]).sort(), [
    "192.0.2.7:4000",
    "[2001:db8::1]:4001",
    "g3.example:4002",
  ]);
  const [first] = json.filter(({ targets }: { targets: string[] }) =>
    targets[0] === "192.0.2.7:4000"
  );
  const { __meta_registry_id: id, ...labels } = first.labels;
  assert.match(id, /^[0-9a-f-]{36}$/);
  assert.equal(labels, {
    __meta_registry_label_zone_a: "x",
    __meta_registry_kind: "gateway",
    __meta_registry_domain: "g1.example",
    __meta_registry_region: "global",
    __meta_registry_state: "active",
  });
  assert.equal((await open.face.ask("GET", "/v1/targets?kind=agent")).json, []);
});

test("GET /v1/status and /readyz tell what the node says", async () => {
  const open = await openRegistryFace();
  const status = await open.face.ask("GET", "/v1/status");
  assert.equal([status.json.nodeId, status.json.region, status.json.ready], [1, "global", true]);
  const ready = await open.face.ask("GET", "/v1/registry/readyz");
  assert.is(ready.status, 200);
  assert.equal(ready.json.status, "ready");
});

test("POST refuses unknown fields and wrong values by name, before the registry is asked", async () => {
  const open = await openRegistryFace();
  const refused = async (path: string, body: unknown) => {
    const { status, json } = await open.face.ask("POST", path, { body });
    assert.is(status, 400);
    return json.error.message as string;
  };
  assert.match(await refused("/v1/agents", { domian: "a.example" }), /domian/);
  assert.match(await refused("/v1/agents", { domain: 7 }), /domain/);
  assert.match(await refused("/v1/agents", { domain: "not a domain" }), /domain/);
  assert.match(await refused("/v1/gateways", { port: 1, address: "0.0.0.0" }), /address/);
  assert.match(await refused("/v1/gateways", { port: 1, gateway_port: 2 }), /port/);
  assert.match(await refused("/v1/gateways", { capacity: { cpus: 2 } }), /cpus/);
  assert.match(await refused("/v1/gateways", []), /body/);
});

test.run();
