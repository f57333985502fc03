/** Replica ids: assigned once, to members, and never again. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { REPLICAS_ASSIGNED_MAX } from "../../../../src/base/limits.ts";
import {
  encodeAssignReplicas,
  encodeRetireReplicas,
} from "../../../../src/system/replicas/replica_state.ts";
import { HEADER, SystemHarness } from "../../../support/system_harness.ts";

function assign(harness: SystemHarness, ...places: [groupId: number, nodeId: number][]) {
  const list = places.map(([groupId, nodeId]) => ({ groupId, nodeId }));
  return harness.apply(encodeAssignReplicas(HEADER, list));
}

function retire(harness: SystemHarness, ...replicas: number[]) {
  return harness.apply(encodeRetireReplicas(HEADER, replicas));
}

test("ReplicaState assigns ascending ids, and none twice, whatever was retired or loaded", () => {
  const harness = new SystemHarness();
  harness.admit(1);
  harness.admit(2);
  assert.is(assign(harness, [0, 1], [3, 2]), 2, "1 is the founder's");
  assert.equal(harness.state.replicas.replica(3), { replica: 3, groupId: 3, nodeId: 2 });
  assert.is(retire(harness, 2, 3), "ok");
  assert.is(harness.state.replicas.replica(3), undefined);
  harness.reload();
  assert.is(assign(harness, [3, 2]), 4);
  harness.reload();
  assert.is(harness.state.replicas.next, 5);
  assert.equal([...harness.state.replicas.onNode(2)].map(({ replica }) => replica), [4]);
});

test("ReplicaState refuses unknown nodes and groups, and changes nothing then", () => {
  const harness = new SystemHarness();
  harness.admit(1);
  assert.is(assign(harness), "invalid_argument");
  assert.is(assign(harness, [1, 1], [1, 9]), "invalid_argument");
  assert.is(assign(harness, [17, 1]), "invalid_argument");
  assert.is(assign(harness, [16, 1]), 2);
  assert.is(retire(harness, 2, 3), "invalid_argument");
  assert.ok(harness.state.replicas.replica(2) !== undefined);
  const many = Array.from({ length: REPLICAS_ASSIGNED_MAX + 1 }, (): [number, number] => [1, 1]);
  assert.is(assign(harness, ...many), "invalid_argument");
  assert.is(harness.state.replicas.next, 3);
});

test("ReplicaState keeps a large table over an image", () => {
  const harness = new SystemHarness();
  harness.admit(1);
  for (let round = 0; round < 2; round++) {
    const many = Array.from({ length: 700 }, (_, at): [number, number] => [at % 17, 1]);
    assert.is(assign(harness, ...many), 2 + round * 700);
  }
  harness.reload();
  assert.is([...harness.state.replicas.onNode(1)].length, 1_400);
  assert.is(assign(harness, [0, 1]), 1_402);
});

test.run();
