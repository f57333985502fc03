/**
 * Departures in group 0: each step names the one that it belongs to, enough nodes stay, and nobody is
 * removed who still holds something.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DEPARTURE_GOALS, type DepartureGoal } from "../../../../schemas/gen/wire.ts";
import {
  DEPARTURES_APPLY_VERSION,
  encodeEndDeparture,
  encodeHandedOver,
  encodePutDeparture,
  encodeRemoveDeparted,
} from "../../../../src/system/departures/departure_codec.ts";
import { encodePutPlacement } from "../../../../src/system/placement/placement_state.ts";
import { encodeAssignReplicas } from "../../../../src/system/replicas/replica_state.ts";
import { INHERITED_PLACES_APPLY_VERSION } from "../../../../src/system/versions/features.ts";
import { encodeRaiseApplyVersion } from "../../../../src/system/versions/version_state.ts";
import { HEADER, SystemHarness } from "../../../support/system_harness.ts";

const PARTITIONS = 4;

/** Returns the state of four nodes, of which node 1 founded the cluster and holds everything. */
function fourNodes({ nodes = 4, version = DEPARTURES_APPLY_VERSION } = {}): SystemHarness {
  const harness = new SystemHarness({ partitionCount: PARTITIONS });
  for (let node = 1; node <= nodes; node++) harness.admit(node, 0, version);
  assert.is(harness.apply(encodeRaiseApplyVersion(HEADER, version)), "ok");
  return harness;
}

function put(
  harness: SystemHarness,
  nodeId: number,
  goal: DepartureGoal,
  { isFewerAllowed = false, replacedRevision = revisionOf(harness, nodeId), successor = 0 } = {},
) {
  return harness.apply(encodePutDeparture(HEADER, {
    ...{ nodeId, goal: DEPARTURE_GOALS[goal], replacedRevision, successor, isFewerAllowed },
    ...{ isAutomatic: false, detail: "an operator" },
  }));
}

function revisionOf({ state }: SystemHarness, nodeId: number): number {
  return state.departures.of(nodeId)?.revision ?? 0;
}

function remove(harness: SystemHarness, nodeId: number, revision = revisionOf(harness, nodeId)) {
  return harness.apply(encodeRemoveDeparted(HEADER, { nodeId, revision }));
}

/** Places a partition on nodes 2, 3 and 4, away from the founder. */
function moveAway(harness: SystemHarness, partition: number): void {
  const places = [2, 3, 4].map((nodeId) => ({ groupId: partition + 1, nodeId }));
  const first = harness.apply(encodeAssignReplicas(HEADER, places)) as number;
  const replicas = [0, 1, 2].map((at) => ({ replica: first + at, role: "voter" } as const));
  const step = { partition, replacedRevision: 0, configurationIndex: 1, replicas };
  assert.is(harness.apply(encodePutPlacement(HEADER, step)), "ok");
}

test("a departure counts what the node holds, survives an image, and ends", () => {
  const harness = fourNodes();
  moveAway(harness, 0);
  assert.is(put(harness, 1, "drained"), "ok");
  const { departures } = harness.state;
  assert.equal([departures.heldBy(1), departures.heldBy(2)], [PARTITIONS - 1, 1]);
  const revision = revisionOf(harness, 1);
  const { heldAtFirst, hasHandedOver } = departures.of(1)!;
  assert.equal([heldAtFirst, hasHandedOver], [PARTITIONS - 1, false]);
  assert.is(harness.apply(encodeHandedOver(HEADER, { nodeId: 1, revision })), "ok");
  harness.reload();
  assert.is(harness.state.departures.of(1)?.hasHandedOver, true);
  const end = encodeEndDeparture(HEADER, { nodeId: 1, revision, detail: "an operator" });
  assert.is(harness.apply(end.slice()), "ok");
  assert.not(harness.state.departures.has(1));
  assert.is(harness.apply(end.slice()), "not_found", "a step that is taken twice");
  harness.reload();
  assert.ok(harness.state.departures.isEmpty);
});

test("a node is removed only while its departure says so, and with nothing left on it", () => {
  const harness = fourNodes();
  assert.is(remove(harness, 1, 1), "not_found", "without a departure");
  assert.is(put(harness, 1, "drained"), "ok");
  const stale = revisionOf(harness, 1);
  assert.is(remove(harness, 1), "incarnation_mismatch", "only drained");
  assert.is(put(harness, 1, "removed"), "ok");
  assert.is(remove(harness, 1, stale), "incarnation_mismatch", "a planner that was paused");
  for (let partition = 0; partition < PARTITIONS; partition++) {
    assert.is(remove(harness, 1), "invalid_argument", `${PARTITIONS - partition} left`);
    moveAway(harness, partition);
  }
  assert.is(remove(harness, 1), "ok");
  assert.not(harness.state.members.has(1));
  assert.ok(harness.state.members.wasRemoved(1));
  assert.is(remove(harness, 1), "not_found", "twice");
  assert.ok(harness.state.departures.has(1), "until its identity is banned");
  harness.reload();
  assert.ok(harness.state.members.wasRemoved(1));
  assert.is(harness.state.departures.heldBy(2), PARTITIONS);
});

test("as many nodes stay as a partition has replicas, unless fewer are allowed", () => {
  const harness = fourNodes();
  assert.is(put(harness, 2, "removed"), "ok");
  assert.is(put(harness, 3, "drained"), "invalid_argument", "a second one of four");
  assert.is(put(harness, 2, "drained"), "ok", "the first one again");
  assert.is(put(harness, 3, "drained", { isFewerAllowed: true }), "ok");
  assert.is(put(harness, 4, "drained", { isFewerAllowed: true }), "ok");
  assert.is(put(harness, 1, "drained", { isFewerAllowed: true }), "invalid_argument", "the last");
});

test("a departure is refused for strangers, unfit successors, stale orders, and older programs", () => {
  const harness = fourNodes();
  assert.is(put(harness, 9, "drained"), "not_found");
  assert.is(put(harness, 2, "removed", { successor: 2 }), "invalid_argument");
  assert.is(put(harness, 2, "removed", { successor: 9 }), "invalid_argument");
  assert.is(put(harness, 2, "removed", { successor: 4 }), "ok");
  assert.is(put(harness, 2, "drained", { replacedRevision: 1 }), "incarnation_mismatch");
  const older = fourNodes({ version: DEPARTURES_APPLY_VERSION - 1 });
  assert.is(put(older, 2, "drained"), "invalid_argument");
});

test("a successor that holds nothing takes over the place of the node that it replaces", () => {
  const harness = fourNodes({ version: INHERITED_PLACES_APPLY_VERSION });
  const ringIds = () => [1, 2, 3, 4].map((node) => harness.state.members.ringIdOf(node));
  assert.is(put(harness, 4, "drained"), "ok");
  assert.is(put(harness, 2, "removed", { successor: 4 }), "ok", "three stay: the standby counts");
  assert.not(harness.state.departures.has(4), "it is drained no more");
  assert.equal(ringIds(), [1, 2, 3, 2]);
  harness.reload();
  assert.equal(ringIds(), [1, 2, 3, 2]);
  // The operator changes his mind: nobody else may have the points of a node that stays.
  const end = { nodeId: 2, revision: revisionOf(harness, 2), detail: "an operator" };
  assert.is(harness.apply(encodeEndDeparture(HEADER, end)), "ok");
  assert.equal(ringIds(), [1, 2, 3, 4]);

  assert.is(put(harness, 2, "removed", { successor: 4 }), "ok");
  assert.is(remove(harness, 2), "ok");
  const over = { ...end, revision: revisionOf(harness, 2) };
  assert.is(harness.apply(encodeEndDeparture(HEADER, over)), "ok");
  harness.reload();
  assert.equal(ringIds(), [1, 2, 3, 2], "for good");
  // It may be replaced itself, and hands the place on.
  assert.is(harness.admit(5, 0, INHERITED_PLACES_APPLY_VERSION), 5);
  assert.is(put(harness, 4, "removed", { successor: 5 }), "ok");
  assert.is(harness.state.members.ringIdOf(5), 2);
});

test("a successor that is no longer to be one has its own place again", () => {
  const harness = fourNodes({ nodes: 5, version: INHERITED_PLACES_APPLY_VERSION });
  const ringIds = () => [2, 4, 5].map((node) => harness.state.members.ringIdOf(node));
  assert.is(put(harness, 2, "removed", { successor: 4 }), "ok");
  assert.equal(ringIds(), [2, 2, 5]);
  assert.is(put(harness, 2, "removed", { successor: 5 }), "ok", "another one");
  assert.equal(ringIds(), [2, 4, 2]);
  assert.is(put(harness, 2, "drained"), "ok", "none");
  assert.equal(ringIds(), [2, 4, 5]);
});

test("a successor that holds something keeps its own place, as in earlier versions", () => {
  const holder = fourNodes({ version: INHERITED_PLACES_APPLY_VERSION });
  moveAway(holder, 0);
  assert.is(put(holder, 1, "removed", { successor: 4 }), "ok");
  assert.is(holder.state.members.ringIdOf(4), 4);
  const older = fourNodes({ version: INHERITED_PLACES_APPLY_VERSION - 1 });
  assert.is(put(older, 2, "removed", { successor: 4 }), "ok");
  assert.is(older.state.members.ringIdOf(4), 4);
  assert.is(put(older, 4, "drained", { isFewerAllowed: true }), "ok");
  const drained = { successor: 4, isFewerAllowed: true };
  assert.is(put(older, 3, "removed", drained), "invalid_argument");
});

test.run();
