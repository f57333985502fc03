/** Lookups in the ring map. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  compareRingEpochs,
  nodeOf,
  placementOf,
  type RingMap,
} from "../../../src/ring/ring_map.ts";

const map: RingMap = {
  epoch: { generation: 1, number: 1 },
  partitionCount: 4,
  hashKey: new Uint8Array(16),
  nodes: [{
    nodeId: 7,
    addresses: [],
    currentPin: new Uint8Array(0),
    nextPin: new Uint8Array(0),
    zone: "",
  }],
  placements: [{ leader: 7, replicas: [7] }],
};

test("placementOf gives the one placement for all partitions, or each its own", () => {
  assert.is(placementOf(map, 3).leader, 7);
  const each = [1, 2, 3, 4].map((leader) => ({ leader, replicas: [leader] }));
  assert.is(placementOf({ ...map, placements: each }, 2).leader, 3);
  assert.throws(() => placementOf(map, 4), /must be in \[0, 4\)/);
});

test("nodeOf finds a node by its id", () => {
  assert.is(nodeOf(map, 7)?.nodeId, 7);
  assert.is(nodeOf(map, 8), undefined);
});

test("compareRingEpochs lets the generation count before the number", () => {
  assert.ok(compareRingEpochs({ generation: 2, number: 0 }, { generation: 1, number: 9 }) > 0);
  assert.ok(compareRingEpochs({ generation: 1, number: 8 }, { generation: 1, number: 9 }) < 0);
  assert.is(compareRingEpochs({ generation: 1, number: 9 }, { generation: 1, number: 9 }), 0);
});

test.run();
