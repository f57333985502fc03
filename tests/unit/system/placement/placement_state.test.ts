/**
 * Placements: each step names the revision it replaces, so that a delayed runner changes nothing.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  encodeAssignReplicas,
  encodeRetireReplicas,
} from "../../../../src/system/replicas/replica_state.ts";
import {
  encodePutPlacement,
  type PlacementStep,
} from "../../../../src/system/placement/placement_state.ts";
import { HEADER, SystemHarness } from "../../../support/system_harness.ts";

const PARTITION = 3;
const GROUP = PARTITION + 1;

/**
 * Returns three nodes; node n has replica n of the partition, except for the founder on the first.
 */
function grown(): SystemHarness {
  const harness = new SystemHarness();
  for (const node of [1, 2, 3]) harness.admit(node);
  const places = [2, 3].map((nodeId) => ({ groupId: GROUP, nodeId }));
  assert.is(harness.apply(encodeAssignReplicas(HEADER, places)), 2);
  return harness;
}

function put(harness: SystemHarness, step: Partial<PlacementStep>) {
  const whole = {
    partition: PARTITION,
    replacedRevision: harness.state.placement.of(PARTITION)?.revision ?? 0,
    configurationIndex: 1,
    replicas: [{ replica: 1, role: "voter" }],
    ...step,
  } as PlacementStep;
  return harness.apply(encodePutPlacement(HEADER, whole));
}

test("PlacementState takes steps in their order, and each once", () => {
  const harness = grown();
  const joining = { replica: 2, role: "joining" } as const;
  const founder = { replica: 1, role: "voter" } as const;
  const first = { replacedRevision: 0, replicas: [founder, joining] };
  const { number } = harness.store.ringMap(0)!.epoch;
  assert.is(put(harness, first), "ok");
  assert.ok(harness.store.ringMap(0)!.epoch.number > number, "clients route anew");
  assert.is(put(harness, first), "incarnation_mismatch", "a runner that repeats it");
  const { revision } = harness.state.placement.of(PARTITION)!;
  const learner = { replica: 2, role: "learner" } as const;
  assert.is(put(harness, { replicas: [founder, learner], configurationIndex: 8 }), "ok");
  const late = { replacedRevision: revision, replicas: [founder], configurationIndex: 9 };
  assert.is(put(harness, late), "incarnation_mismatch", "a runner that was paused");
  const older = { replicas: [founder], configurationIndex: 7 };
  assert.is(put(harness, older), "incarnation_mismatch", "an older configuration");
  harness.reload();
  assert.equal(harness.state.placement.of(PARTITION)?.replicas, [founder, learner]);
  assert.is(put(harness, late), "incarnation_mismatch", "after an image too");
});

test("PlacementState takes replicas of the partition only, one a node, with a voter", () => {
  const harness = grown();
  const voter = (replica: number) => ({ replica, role: "voter" }) as const;
  harness.apply(encodeAssignReplicas(HEADER, [
    { groupId: GROUP, nodeId: 3 },
    { groupId: 1, nodeId: 1 },
  ]));
  assert.is(put(harness, { replicas: [] }), "invalid_argument");
  assert.is(put(harness, { replicas: [{ replica: 2, role: "joining" }] }), "invalid_argument");
  assert.is(put(harness, { replicas: [voter(9)] }), "invalid_argument", "never assigned");
  assert.is(put(harness, { replicas: [voter(5)] }), "invalid_argument", "of another group");
  assert.is(put(harness, { replicas: [voter(3), voter(4)] }), "invalid_argument", "on one node");
  assert.is(put(harness, { partition: 16 }), "invalid_argument");
  assert.is(harness.state.placement.of(PARTITION), undefined);
  assert.is(put(harness, { replicas: [voter(2), voter(3)] }), "ok");
});

test("a replica is retired only when no placement names it", () => {
  const harness = grown();
  const voter = (replica: number) => ({ replica, role: "voter" }) as const;
  const retire = (replica: number) => harness.apply(encodeRetireReplicas(HEADER, [replica]));
  put(harness, { replicas: [voter(2), voter(3)] });
  assert.is(retire(2), "invalid_argument");
  harness.reload();
  put(harness, { replicas: [voter(3)] });
  assert.is(retire(2), "ok");
  harness.reload();
  assert.is(put(harness, { replicas: [voter(2)] }), "invalid_argument");
});

test.run();
