/** `crs maps …`: what is asked, and what is shown. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { runCrs } from "../../support/run_crs.ts";

const GATEWAY = {
  id: "00000000-0000-8000-8000-000000000001",
  ttlMs: 60_000,
  gatewayId: "ab".repeat(32),
  region: "global",
  address: "2001:db8::7",
  port: 8_443,
  wssPort: 8_444,
  ...{ cpu: 8, memory: 1_024, storage: 100, bandwidth: 10 },
  credential: "c1",
};
const AGENT = {
  id: "00000000-0000-8000-8000-000000000002",
  ttlMs: 60_000,
  agentId: "cd".repeat(32),
  gatewayId: GATEWAY.gatewayId,
  domain: "a1.example",
  region: "global",
  credential: "c2",
};

const crs = (line: string, answers: Readonly<Record<string, unknown>>) => runCrs(line, { answers });

test("crs maps gateways and agents list all pages of a region", async () => {
  const item = { gateway: GATEWAY, remainingMs: 60_000 };
  let pages = 2;
  const answers = {
    "maps.listGateways": () => {
      const nextCursor = --pages > 0 ? Uint8Array.of(1) : undefined;
      return Promise.resolve({ items: [item], nextCursor });
    },
    "maps.listAgents": { items: [{ agent: AGENT, remainingMs: 1_000 }], nextCursor: undefined },
  };
  const gateways = await crs("maps gateways", answers);
  assert.is(gateways.code, 0);
  assert.match(gateways.stdout, /\[2001:db8::7\]:8443/);
  assert.equal(gateways.calls.map(([name, region]) => [name, region]), [
    ["maps.listGateways", "global"],
    ["maps.listGateways", "global"],
  ]);
  const agents = await crs("maps agents --region eu-1 --json", answers);
  assert.equal(JSON.parse(agents.stdout), {
    region: "eu-1",
    agents: [{ ...AGENT, remainingMs: 1_000 }],
  });
  const none = { "maps.listAgents": { items: [], nextCursor: undefined } };
  assert.is((await crs("maps agents", none)).stdout, "No agent is registered in region global.\n");
});

test("crs maps resolve shows the agent and its gateway, or ends with 3", async () => {
  const answers = { "maps.getAgent": AGENT, "maps.getGateway": GATEWAY };
  const { stdout, calls } = await crs("maps resolve a1.example", answers);
  for (const shown of ["a1.example", "[2001:db8::7]:8443", AGENT.agentId, "c1", "c2"]) {
    assert.ok(stdout.includes(shown), shown);
  }
  assert.equal(calls, [["maps.getAgent", "a1.example"], ["maps.getGateway", GATEWAY.gatewayId]]);
  const missing = () => Promise.reject(new RegistryError("not_found", "No agent"));
  assert.is((await crs("maps resolve b1.example", { "maps.getAgent": missing })).code, 3);
});

test("crs maps remove-agent and remove-gateway say what was removed", async () => {
  const agent = await crs("maps remove-agent a1.example", { "maps.removeAgent": undefined });
  assert.equal([agent.code, agent.stdout], [0, "Removed the agent a1.example.\n"]);
  const gateway = await crs(`maps remove-gateway ${GATEWAY.gatewayId} --json`, {
    "maps.removeGateway": undefined,
  });
  assert.equal(JSON.parse(gateway.stdout), {
    kind: "gateway",
    name: GATEWAY.gatewayId,
    removed: true,
  });
});

test.run();
