/** The ring map of a node: one placement for a single node, otherwise one for each partition. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RING_PUSH_MS } from "../../../src/base/limits.ts";
import type { PartitionId } from "../../../src/base/ids.ts";
import { RegistryHarness } from "../../support/registry_harness.ts";

function memberOf(nodeId: number) {
  return {
    nodeId,
    addresses: [{ transport: "quic", host: `192.0.2.${nodeId}`, port: 4_443 }],
    pin: new Uint8Array(32).fill(nodeId),
    nextPin: new Uint8Array(32),
  };
}

test("clusterMap places all partitions at once while there is one node", async () => {
  const { registry } = await RegistryHarness.open();
  assert.equal(registry.ringMap().placements.length, 1);
});

test("clusterMap names the replicas of each partition, and the leader as far as it is known", async () => {
  const { registry, world, partitionCount } = await RegistryHarness.open();
  for (const nodeId of [1, 2, 3]) await world.wait(registry.putMember(memberOf(nodeId)));
  const away = { isHere: false, nodes: [2, 3], leader: 3 } as const;
  registry.table.put({ ...away, id: 5 as PartitionId });
  registry.table.put({ ...away, id: 6 as PartitionId, leader: 0 });
  const { placements, nodes } = registry.ringMap();
  assert.is(nodes.length, 3);
  assert.is(placements.length, partitionCount);
  // Without a placement in group 0 a partition has only the replica that founded it.
  assert.equal(placements[0], { leader: 1, replicas: [1] });
  assert.is(placements[5]!.leader, 3);
  assert.is(placements[6]!.leader, 0);
});

test("Sessions push the ring map once for many changes, after a second", async () => {
  const harness = await RegistryHarness.open();
  const { registry, sessions, world } = harness;
  const peer = await harness.peer();
  const maps = () => peer.heard.filter(({ kind }) => kind === "ring_map").length;
  await world.wait(registry.putMember(memberOf(2)));
  for (let change = 0; change < 5; change++) sessions.pushRingMapSoon();
  await world.pass(RING_PUSH_MS - 1);
  assert.is(maps(), 0);
  await world.pass(50);
  assert.is(maps(), 1);
  await world.pass(10 * RING_PUSH_MS);
  assert.is(maps(), 1);
});

test.run();
