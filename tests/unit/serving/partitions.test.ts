/** Partitions on other nodes: named in a refusal, never skipped in a reply about all of them. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { domainBytes, KIND_AGENT, KIND_ALIAS } from "../../../src/record/key.ts";
import type { PartitionElsewhere, PartitionPlace } from "../../../src/serving/partitions.ts";
import { agentRequest, gatewayRequest, RegistryHarness } from "../../support/registry_harness.ts";
import { idOf } from "../../support/store.ts";

const PARTITIONS = 8;
const LIST = { region: "global", cursor: new Uint8Array(0), limit: 100 };

function elsewhere(id: number): PartitionElsewhere {
  return { isHere: false, id: id as PartitionElsewhere["id"], nodes: [2, 3], leader: 3 };
}

/** Returns a registry with a gateway and 32 agents behind it, some in each partition. */
async function filled() {
  const harness = await RegistryHarness.open({ partitions: PARTITIONS });
  const peer = await harness.peer();
  const gateway = await peer.must("registerGateway", gatewayRequest({ number: 100 }));
  for (let number = 1; number <= 32; number++) {
    await peer.must("registerAgent", agentRequest({ number, gatewayId: idOf(100) }));
  }
  const { table } = harness.registry;
  for (let id = 0; id < PARTITIONS; id++) {
    const { store } = table.at(id) as PartitionPlace & { isHere: true };
    assert.ok(store.countOf(KIND_AGENT) > 0, `partition ${id} has agents`);
  }
  return { harness, peer, table, gateway };
}

test("PartitionTable tells where a partition is, and whoever watches when that changes", async () => {
  const { table } = await filled();
  const here = table.at(5);
  const seen: PartitionPlace[] = [];
  table.watch((place) => void seen.push(place));
  table.put(elsewhere(5));
  assert.equal([...table.here()].map(({ id }) => id), [0, 1, 2, 3, 4, 6, 7]);
  table.put(elsewhere(5));
  table.put(here);
  assert.is(table.at(5), here);
  assert.equal(seen.map(({ isHere }) => isHere), [false, false, true]);
});

test("a key elsewhere is refused with the node that leads it", async () => {
  const { peer, table } = await filled();
  table.put(elsewhere(table.of(KIND_AGENT, idOf(1)).id));
  const { code, response } = await peer.ask("getAgent", { id: idOf(1) });
  assert.equal([code, response.leaderHint], ["not_replica", 3]);
  assert.match(response.message, /nodes 2, 3/);
});

test("a list is complete, or names the partition that is missing: none is skipped", async () => {
  const { peer, table } = await filled();
  assert.is((await peer.must("listAgentsByRegion", LIST)).items.length, 32);
  const missing = table.at(5);
  table.put(elsewhere(5));
  const refused = await peer.ask("listAgentsByRegion", LIST);
  assert.equal([refused.code, refused.response.leaderHint], ["not_replica", 3]);
  // A page that ends early is complete in itself; the next one is refused.
  const page = await peer.must("listAgentsByRegion", { ...LIST, limit: 2 });
  assert.is(page.items.length, 2);
  table.put(missing);
  assert.is((await peer.must("listAgentsByRegion", LIST)).items.length, 32);
});

test("resolveGateways ranks all gateways or none", async () => {
  const { peer, table } = await filled();
  const request = { region: "global", limit: 5, cursor: new Uint8Array(0) };
  assert.is((await peer.must("resolveGateways", request)).items.length, 1);
  table.put(elsewhere(5));
  assert.is((await peer.ask("resolveGateways", request)).code, "not_replica");
});

test("a gateway's agents whose leader is not reached are removed by the repeated request", async () => {
  const { harness, peer, table, gateway } = await filled();
  const removal = {
    id: idOf(100),
    incarnation: gateway.incarnation,
    process: 11,
    sequence: 2,
    kind: 2,
    withAgents: true,
  };
  const free = Array.from({ length: PARTITIONS }, (_, id) => id)
    .find((id) => id !== table.of(2, idOf(100)).id)!;
  const missing = table.at(free);
  table.put(elsewhere(free));
  // Not not_replica: the client would ask the nodes of that partition for the gateway.
  assert.is((await peer.ask("deregisterGateway", removal)).code, "deadline_exceeded");
  assert.is(harness.gateway(idOf(100)), undefined);
  table.put(missing);
  const left = (missing as PartitionPlace & { isHere: true }).store.countOf(KIND_AGENT);
  assert.ok(left > 0);
  assert.is((await peer.must("deregisterGateway", removal)).removed, left);
});

test("LeaseDriver follows replicas that go and come", async () => {
  const harness = await RegistryHarness.open({ partitions: PARTITIONS });
  const { table } = harness.registry;
  const peer = await harness.peer();
  const home = table.of(KIND_AGENT, idOf(1));
  table.put(elsewhere(home.id));
  table.put(home);
  await peer.must("registerAgent", agentRequest({ number: 1, ttlMs: 5_000 }));
  await harness.world.pass(60_000);
  assert.is(harness.agent(idOf(1)), undefined, "its lease ended");
});

test("a claim on a domain whose leader is not reached fails before the agent is registered", async () => {
  const harness = await RegistryHarness.open({ partitions: PARTITIONS });
  const { table } = harness.registry;
  const peer = await harness.peer();
  const { id } = table.of(KIND_ALIAS, domainBytes("a.example"));
  let number = 1;
  while (table.of(KIND_AGENT, idOf(number)).id === id) number++;
  table.put(elsewhere(id));
  const asked = await peer.ask("registerAgent", agentRequest({ number, domain: "a.example" }));
  assert.is(asked.code, "deadline_exceeded");
  assert.is(harness.agent(idOf(number)), undefined);
});

test.run();
