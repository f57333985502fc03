/** The plan of placements: moves that each end, steps that name what they replace, voters of group 0. */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  beginMove,
  endMove,
  planMoves,
  wishedSystemVoters,
} from "../../../../src/replication/placement/plan.ts";
import { placedHere } from "../../../../src/replication/assembly/placed_here.ts";
import { nodeId, partitionId } from "../../../../src/base/ids.ts";
import { encodeRemoveMember } from "../../../../src/record/command.ts";
import type { PlacementNode } from "../../../../src/ring/placement.ts";
import { encodePauseMoves } from "../../../../src/system/moves/move_codec.ts";
import { encodePutPlacement } from "../../../../src/system/placement/placement_state.ts";
import { encodeAssignReplicas } from "../../../../src/system/replicas/replica_state.ts";
import { PAUSED_MOVES_APPLY_VERSION } from "../../../../src/system/versions/features.ts";
import { encodeRaiseApplyVersion } from "../../../../src/system/versions/version_state.ts";
import { HEADER, SystemHarness } from "../../../support/system_harness.ts";

const PARTITIONS = 16;

function nodesOf(ids: readonly number[], zoneOf = (_: number) => ""): PlacementNode[] {
  return ids.map((id) => ({ nodeId: id, zone: zoneOf(id), host: `host ${id}` }));
}

/** Begins the moves that are planned for these nodes, as the runner does. */
function begin(harness: SystemHarness, nodes: readonly PlacementNode[]) {
  const moves = planMoves({ state: harness.state, nodes, movesMax: PARTITIONS });
  for (const move of moves) {
    const { placement: { partition }, joining } = move;
    const places = joining.map((node) => ({ groupId: partition + 1, nodeId: node }));
    const first = places.length === 0
      ? 0
      : harness.apply(encodeAssignReplicas(HEADER, places)) as number;
    const assigned = joining.map((_, at) => first + at);
    const step = beginMove(harness.state, move, assigned);
    assert.is(harness.apply(encodePutPlacement(HEADER, step)), "ok", `partition ${partition}`);
  }
  return moves;
}

/** Confirms all moves that are in progress. */
function end(harness: SystemHarness): void {
  for (const partition of [...harness.state.placement.changing]) {
    const { revision } = harness.state.placement.of(partition)!;
    const step = endMove(harness.state, { partition, revision, configurationIndex: 9 })!;
    assert.is(harness.apply(encodePutPlacement(HEADER, step)), "ok");
  }
}

test("planMoves comes to an end for any nodes that come, and every step is taken", () => {
  const growth = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(growth, (batches) => {
      const harness = new SystemHarness();
      let count = 1;
      harness.admit(1);
      for (const batch of batches) {
        for (let at = 0; at < batch; at++) harness.admit(++count);
        const nodes = nodesOf(Array.from({ length: count }, (_, at) => at + 1));
        for (let round = 0; begin(harness, nodes).length > 0; round++) {
          assert.ok(round < 4, "a plan has few rounds");
          end(harness);
        }
        for (let partition = 0; partition < PARTITIONS; partition++) {
          const held = harness.state.placement.of(partition)?.replicas.length ?? 1;
          assert.is(held, Math.min(3, count));
        }
      }
    }),
    { numRuns: 20 },
  );
});

test("planMoves keeps one of the nodes that all leave a partition until the new ones vote", () => {
  const harness = new SystemHarness();
  for (const node of [1, 2, 3, 4]) harness.admit(node);
  const nodes = nodesOf([2, 3, 4]);
  for (const { joining, leaving } of begin(harness, nodes)) {
    assert.equal([joining.toSorted(), leaving], [[2, 3, 4], []]);
  }
  end(harness);
  const moves = begin(harness, nodes);
  assert.is(moves.length, PARTITIONS);
  for (const { joining, leaving } of moves) assert.equal([joining, leaving], [[], [1]]);
});

test("planMoves leaves a partition alone whose move is in progress", () => {
  const harness = new SystemHarness();
  for (const folder of [1, 2]) harness.admit(folder);
  assert.is(begin(harness, nodesOf([1, 2])).length, PARTITIONS);
  harness.admit(3);
  assert.is(begin(harness, nodesOf([1, 2, 3])).length, 0);
});

test("planMoves counts every move in progress, however many new replicas the others need", () => {
  const partitionCount = 1_024;
  const harness = new SystemHarness({ partitionCount });
  for (const folder of [1, 2, 3]) harness.admit(folder);
  for (let partition = 600; partition < partitionCount; partition++) {
    const places = [{ groupId: partition + 1, nodeId: 2 }];
    const replica = harness.apply(encodeAssignReplicas(HEADER, places)) as number;
    const step = {
      partition,
      replacedRevision: 0,
      configurationIndex: 0,
      replicas: [{ replica: 1, role: "voter" }, { replica, role: "joining" }],
    } as const;
    assert.is(harness.apply(encodePutPlacement(HEADER, step)), "ok");
  }
  const inProgress = harness.state.placement.changing.size;
  const moves = planMoves({ state: harness.state, nodes: nodesOf([1, 2, 3]), movesMax: 512 });
  assert.is(moves.length, 512 - inProgress);
});

test("planMoves leaves the replicas of nodes that still hand over leaderships", () => {
  const harness = new SystemHarness();
  for (const node of [1, 2, 3, 4]) harness.admit(node);
  for (let round = 0; begin(harness, nodesOf([1, 2, 3, 4])).length > 0 && round < 4; round++) {
    end(harness);
  }
  const plan = { state: harness.state, nodes: nodesOf([1, 3, 4]), movesMax: PARTITIONS };
  assert.ok(planMoves(plan).some(({ leaving }) => leaving.includes(2)));
  assert.equal(planMoves({ ...plan, waiting: new Set([2]) }), []);
});

test("planMoves lets no replica leave that would be missed", () => {
  const harness = new SystemHarness();
  for (const node of [1, 2, 3, 4]) harness.admit(node);
  for (let round = 0; begin(harness, nodesOf([1, 2, 3])).length > 0 && round < 4; round++) {
    end(harness);
  }
  // Node 3 is to hold nothing, and node 4, which is to take its place, is not heard of.
  const plan = { state: harness.state, nodes: nodesOf([1, 2]), movesMax: PARTITIONS };
  assert.equal(planMoves(plan), []);
  const [move] = planMoves({ ...plan, nodes: nodesOf([1, 2, 4]) });
  assert.equal([move?.joining, move?.leaving], [[4], [3]]);
  for (const nodeId of [3, 4]) harness.apply(encodeRemoveMember(HEADER, { nodeId, detail: "" }));
  const moves = planMoves(plan);
  assert.is(moves.length, PARTITIONS, "only two are left");
  assert.ok(moves.every(({ joining, leaving }) => joining.length === 0 && leaving.join() === "3"));
});

test("planMoves moves what is missing or departs while moves are paused, and nothing else", () => {
  const harness = new SystemHarness();
  const version = PAUSED_MOVES_APPLY_VERSION;
  for (const node of [1, 2, 3, 4]) harness.admit(node, 0, version);
  assert.is(harness.apply(encodeRaiseApplyVersion(HEADER, version)), "ok");
  const pause = (arePaused: boolean) =>
    assert.is(harness.apply(encodePauseMoves(HEADER, { arePaused, detail: "" })), "ok");
  begin(harness, nodesOf([1, 2]));
  pause(true);
  end(harness);
  const moves = (...nodes: number[]) =>
    planMoves({ state: harness.state, nodes: nodesOf(nodes), movesMax: PARTITIONS });
  assert.is(moves(1, 2, 3).length, PARTITIONS, "each lacks a replica");
  begin(harness, nodesOf([1, 2, 3]));
  end(harness);
  assert.equal(moves(1, 2, 3, 4), [], "nothing moves for balance");
  const departing = moves(1, 2, 4);
  assert.is(departing.length, PARTITIONS);
  for (const { joining, leaving } of departing) assert.equal([joining, leaving], [[4], [3]]);
  pause(false);
  assert.ok(moves(1, 2, 3, 4).length > 0);
});

test("planMoves gives up a replica that may not join, and those that were to leave for it stay", () => {
  const harness = new SystemHarness();
  for (const node of [1, 2, 3, 4]) harness.admit(node);
  for (let round = 0; begin(harness, nodesOf([1, 2, 3])).length > 0 && round < 4; round++) {
    end(harness);
  }
  const before = harness.state.placement.of(0)!.replicas;
  const begun = begin(harness, nodesOf([1, 2, 3, 4]));
  assert.ok(begun.length > 0);
  const again = begin(harness, nodesOf([1, 2, 3]));
  assert.is(again.length, begun.length);
  for (const [at, { joining, leaving, returning, withdrawn }] of again.entries()) {
    assert.equal([joining, leaving, withdrawn], [[], [], [4]]);
    assert.equal(returning, begun[at]!.leaving);
  }
  assert.equal(begin(harness, nodesOf([1, 2, 3])), [], "once");
  end(harness);
  assert.equal(harness.state.placement.of(0)!.replicas, before);
});

test("planMoves gives up no replica that joins and would be missed, as it may vote already", () => {
  const harness = new SystemHarness();
  for (const node of [1, 2]) harness.admit(node);
  begin(harness, nodesOf([1, 2]));
  end(harness);
  for (const node of [3, 4]) harness.admit(node);
  assert.ok(begin(harness, nodesOf([1, 2, 3])).every(({ joining }) => joining.join() === "3"));
  // Node 3 is to hold nothing before its changes are confirmed, and node 4 is not heard of.
  const plan = { state: harness.state, nodes: nodesOf([1, 2]), movesMax: PARTITIONS };
  assert.equal(planMoves(plan), []);
  const moves = planMoves({ ...plan, nodes: nodesOf([1, 2, 4]) });
  assert.is(moves.length, PARTITIONS);
  for (const { joining, withdrawn } of moves) assert.equal([joining, withdrawn], [[4], [3]]);
  for (const nodeId of [3, 4]) harness.apply(encodeRemoveMember(HEADER, { nodeId, detail: "" }));
  for (const { withdrawn } of planMoves(plan)) assert.equal(withdrawn, [3]);
  assert.is(planMoves(plan).length, PARTITIONS, "only two are left");
});

test("endMove takes no change that was asked for by an earlier placement", () => {
  const harness = new SystemHarness();
  for (const folder of [1, 2]) harness.admit(folder);
  begin(harness, nodesOf([1, 2]));
  const { revision } = harness.state.placement.of(0)!;
  const late = { partition: 0, revision, configurationIndex: 5 };
  end(harness);
  assert.is(endMove(harness.state, late), undefined, "it is confirmed");
  harness.admit(3);
  begin(harness, nodesOf([1, 2, 3]));
  assert.is(endMove(harness.state, late), undefined, "another change is in progress");
});

test("placedHere keeps a leaving replica until its move is confirmed", () => {
  const harness = new SystemHarness();
  for (const folder of [1, 2]) harness.admit(folder);
  begin(harness, nodesOf([2]));
  end(harness);
  assert.is(harness.apply(encodeRemoveMember(HEADER, { nodeId: 1, detail: "" })), "ok");
  begin(harness, nodesOf([2]));
  const leaving = harness.state.placement.of(0)!.replicas.find(({ role }) => role === "leaving");
  assert.is(leaving?.replica, 1);
  assert.is(placedHere(harness.state, partitionId(0), nodeId(1))?.replica, 1);
  end(harness);
  assert.is(placedHere(harness.state, partitionId(0), nodeId(1)), undefined);
});

test("wishedSystemVoters are at most five, odd from three nodes, over all zones, and stay", () => {
  const some = fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 12 });
  fc.assert(fc.property(some, fc.integer({ min: 1, max: 4 }), (ids, zones) => {
    const nodes = nodesOf(ids, (id) => `zone ${id % zones}`);
    const chosen = wishedSystemVoters(nodes, new Set());
    assert.ok(chosen.length <= 5);
    assert.ok(chosen.length === ids.length || chosen.length % 2 === 1);
    assert.is(new Set(chosen).size, chosen.length);
    const spread = new Set(chosen.map((id) => id % zones)).size;
    assert.is(spread, Math.min(chosen.length, new Set(ids.map((id) => id % zones)).size));
    assert.equal(wishedSystemVoters(nodes, new Set(chosen)).sort(), chosen.sort(), "they stay");
  }));
});

test.run();
