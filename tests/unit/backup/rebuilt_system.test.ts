/** Group 0 after a restore: one member, which holds every group under ids that no replica had. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { rebuildSystem } from "../../../src/backup/rebuilt_system.ts";
import { SYSTEM_GROUP } from "../../../src/base/ids.ts";
import { placedHere, systemReplicaOf } from "../../../src/replication/assembly/placed_here.ts";
import type { NodeId, PartitionId } from "../../../src/base/ids.ts";
import { encodeRemoveMember } from "../../../src/record/command.ts";
import { BackedUpCluster } from "../../support/backed_up_cluster.ts";
import { HEADER } from "../../support/system_harness.ts";

const folderId = new Uint8Array(16).fill(0x77);
const OPTIONS = { generation: 3, unixS: 9, reason: "restored" };

test("rebuildSystem: a new node is the only member, with replicas that nobody had", () => {
  const { system } = new BackedUpCluster();
  const nextReplica = system.state.replicas.next;
  const { nodeId, replicas } = rebuildSystem(system.store, { ...OPTIONS, node: { folderId } });
  assert.is(nodeId, 3);
  const { state } = system;
  assert.equal(state.members.all.map((member) => member.nodeId), [3]);
  assert.ok(state.members.wasRemoved(1) && state.members.wasRemoved(2));
  assert.is(state.versions.generation, 3);
  assert.is(replicas.size, 5);
  assert.ok([...replicas.values()].every((replica) => replica >= nextReplica));
  assert.is(systemReplicaOf(state, 3), replicas.get(SYSTEM_GROUP));
  for (let partition = 0; partition < 4; partition++) {
    const placed = placedHere(state, partition as PartitionId, 3 as NodeId);
    assert.is(placed?.replica, replicas.get(placed!.group));
    assert.equal([placed?.isJoining, placed?.isFounding], [false, false]);
    assert.is(placedHere(state, partition as PartitionId, 1 as NodeId), undefined);
  }
  assert.equal([...state.replicas.all].map(({ nodeId: on }) => on), [3, 3, 3, 3, 3]);
  system.reload();
  assert.is(system.state.versions.generation, 3);
});

test("rebuildSystem: a member keeps its number, and the founder its replicas", () => {
  const { system } = new BackedUpCluster();
  const { nodeId, replicas } = rebuildSystem(system.store, {
    ...OPTIONS,
    node: { nodeId: 1, folderId },
  });
  assert.is(nodeId, 1);
  assert.equal([...replicas.values()], [1, 1, 1, 1, 1]);
  assert.equal(system.state.members.all.map((member) => member.nodeId), [1]);
  system.reload();
});

test("rebuildSystem: a member that lacks replicas gets new ones", () => {
  const { system } = new BackedUpCluster();
  const own = systemReplicaOf(system.state, 2);
  const { replicas } = rebuildSystem(system.store, { ...OPTIONS, node: { nodeId: 2, folderId } });
  assert.is(replicas.get(SYSTEM_GROUP), own);
  assert.is(new Set(replicas.values()).size, 5);
  assert.ok(system.state.members.wasRemoved(1));
});

test("rebuildSystem: numbers of nodes that were removed before stay theirs", () => {
  const { system } = new BackedUpCluster();
  system.admit(8);
  system.apply(encodeRemoveMember(HEADER, { nodeId: 3, detail: "" }));
  const { nodeId } = rebuildSystem(system.store, { ...OPTIONS, node: { folderId } });
  assert.is(nodeId, 4);
  assert.ok(system.state.members.wasRemoved(3));
});

test("rebuildSystem: a generation that is not above the one of before is refused", () => {
  const { system } = new BackedUpCluster();
  assert.throws(
    () => rebuildSystem(system.store, { ...OPTIONS, generation: 2, node: { folderId } }),
    /Generation must be above 2/,
  );
});

test.run();
