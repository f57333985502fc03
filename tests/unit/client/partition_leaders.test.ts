/** The presumed leader of a partition, given maps and hints in any order. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { PartitionLeaders, SYSTEM_ROUTE } from "../../../src/client/partition_leaders.ts";
import type { RingMap } from "../../../src/ring/ring_map.ts";

function mapOf(number: number, leaders: readonly number[], generation = 1): RingMap {
  return {
    epoch: { generation, number },
    partitionCount: leaders.length,
    hashKey: new Uint8Array(16),
    nodes: [1, 2, 3].map((nodeId) => ({
      nodeId,
      addresses: [],
      currentPin: new Uint8Array(0),
      nextPin: new Uint8Array(0),
      zone: "",
    })),
    placements: leaders.map((leader) => ({ leader, replicas: [1, 2, 3] })),
  };
}

test("PartitionLeaders takes the newest map, by generation and then by number", () => {
  const leaders = new PartitionLeaders();
  assert.is(leaders.isCluster, false);
  assert.is(leaders.learn(mapOf(5, [1, 2])), "newer");
  assert.is(leaders.learn(mapOf(4, [3, 3])), "older");
  assert.is(leaders.leaderOf(1), 2);
  assert.is(leaders.learn(mapOf(5, [3, 2])), "same");
  assert.is(leaders.leaderOf(0), 3);
  assert.is(leaders.learn(mapOf(1, [1, 1], 2)), "newer");
  assert.is(leaders.leaderOf(0), 1);
  assert.is(leaders.isCluster, true);
});

test("PartitionLeaders believes a hint over the map, and that of the higher term over others", () => {
  const leaders = new PartitionLeaders();
  leaders.learn(mapOf(1, [1, 1]));
  assert.is(leaders.hinted(0, 2, 7), true);
  assert.is(leaders.hinted(0, 3, 6), false);
  assert.is(leaders.leaderOf(0), 2);
  assert.is(leaders.leaderOf(1), 1);
  // The leader of term 7 refuses: older hints stay older.
  leaders.refuted(0, 2);
  assert.is(leaders.leaderOf(0), 0);
  assert.is(leaders.hinted(0, 3, 6), false);
  leaders.confirmed(0, 3);
  assert.is(leaders.leaderOf(0), 3);
  assert.is(leaders.hinted(0, 1, 8), true);
  assert.is(leaders.leaderOf(0), 1);
});

test("PartitionLeaders forgets hints with a newer epoch, and keeps them with the same one", () => {
  const leaders = new PartitionLeaders();
  leaders.learn(mapOf(1, [1, 1]));
  leaders.hinted(0, 3, 900);
  leaders.learn(mapOf(1, [1, 1]));
  assert.is(leaders.leaderOf(0), 3);
  leaders.learn(mapOf(2, [2, 1]));
  assert.is(leaders.leaderOf(0), 2);
  assert.is(leaders.hinted(0, 1, 1), true);
});

test("PartitionLeaders keeps a leader that a node of the same epoch does not know", () => {
  const leaders = new PartitionLeaders();
  leaders.learn(mapOf(1, [2, 1]));
  leaders.learn(mapOf(1, [0, 3]));
  assert.is(leaders.leaderOf(0), 2);
  assert.is(leaders.leaderOf(1), 3);
  leaders.learn(mapOf(2, [0, 3]));
  assert.is(leaders.leaderOf(0), 0);
});

test("PartitionLeaders believes a map of the same epoch that replaces a refuted leader", () => {
  const leaders = new PartitionLeaders();
  leaders.learn(mapOf(1, [1, 1]));
  leaders.refuted(0, 1);
  leaders.learn(mapOf(1, [1, 1]));
  assert.is(leaders.leaderOf(0), 0);
  leaders.learn(mapOf(1, [3, 1]));
  assert.is(leaders.leaderOf(0), 3);
});

test("PartitionLeaders refutes only the node that is believed to lead", () => {
  const leaders = new PartitionLeaders();
  leaders.learn(mapOf(1, [1, 1]));
  leaders.refuted(0, 2);
  assert.is(leaders.leaderOf(0), 1);
  leaders.refuted(0, 1);
  assert.is(leaders.leaderOf(0), 0);
});

test("PartitionLeaders keeps the leader of the system group beside the partitions", () => {
  const leaders = new PartitionLeaders();
  leaders.learn(mapOf(1, [1, 2]));
  assert.is(leaders.leaderOf(SYSTEM_ROUTE), 0);
  leaders.hinted(SYSTEM_ROUTE, 3, 4);
  assert.is(leaders.leaderOf(SYSTEM_ROUTE), 3);
  assert.is(leaders.leaderOf(1), 2);
  assert.equal(leaders.replicasOf(SYSTEM_ROUTE), [1, 2, 3]);
});

test.run();
