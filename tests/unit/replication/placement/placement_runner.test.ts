/** The runner of the plan at the leader of group 0: whose reports count, and which replica ids end. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SILENT_LOGGER } from "../../../../src/base/logger.ts";
import type { Proposed } from "../../../../src/replication/group_interface.ts";
import type { ClusterGroups } from "../../../../src/replication/assembly/cluster_groups.ts";
import { PlacementRunner } from "../../../../src/replication/placement/placement_runner.ts";
import { encodeRemoveMember } from "../../../../src/record/command.ts";
import { encodePutPlacement } from "../../../../src/system/placement/placement_state.ts";
import { encodeAssignReplicas } from "../../../../src/system/replicas/replica_state.ts";
import type { SystemReply } from "../../../../src/system/system_store.ts";
import { HEADER, SystemHarness } from "../../../support/system_harness.ts";

/** A leader of group 0, whose commands are applied at once. */
class Leader {
  readonly harness = new SystemHarness();
  readonly runner: PlacementRunner;
  proposed = 0;
  /** Voters of group 0 besides the founder, and its learners. */
  voters: number[] = [];
  learners: number[] = [];

  constructor(nodes: number) {
    for (let folder = 1; folder <= nodes; folder++) this.harness.admit(folder);
    const { store } = this.harness;
    const propose = (data: Uint8Array): Promise<Proposed<SystemReply>> => {
      this.proposed++;
      const outcome = store.apply({ index: store.appliedIndex + 1, term: 1, data });
      return Promise.resolve({ ok: true, outcome } as Proposed<SystemReply>);
    };
    const memberOf = (id: number) => ({
      ...{ id, isLearner: this.learners.includes(id) },
      ...{ match: 1, recentActive: true },
    });
    const group = {
      isLeading: true,
      replica: 1,
      timeMs: () => 0,
      propose,
      raftStatus: () => ({
        committed: 0,
        members: [1, ...this.voters, ...this.learners].map(memberOf),
      }),
      configuration: {
        get voters() {
          return [1, ...voters()];
        },
        votersOutgoing: [],
        learners: [],
      },
    };
    const voters = () => this.voters;
    const groups = { system: { store, group } } as unknown as ClusterGroups;
    this.runner = new PlacementRunner({
      groups,
      wall: { unixMs: () => 1_000 },
      logger: SILENT_LOGGER,
      monotonic: { nowMs: () => 0 },
      isConnected: () => true,
    });
  }

  assign(groupId: number, nodeId: number): number {
    return this.harness.apply(encodeAssignReplicas(HEADER, [{ groupId, nodeId }])) as number;
  }
}

test("PlacementRunner.reported takes reports of nodes that hold the partition, and one of each", async () => {
  const leader = new Leader(3);
  const { harness, runner } = leader;
  const replica = leader.assign(1, 2);
  const step = {
    partition: 0,
    replacedRevision: 0,
    configurationIndex: 0,
    replicas: [{ replica: 1, role: "voter" }, { replica, role: "joining" }],
  } as const;
  assert.is(harness.apply(encodePutPlacement(HEADER, step)), "ok");
  const { revision } = harness.state.placement.of(0)!;
  const made = Array.from(
    { length: 100 },
    () => ({ partition: 0, revision, configurationIndex: 5 }),
  );
  for (const stranger of [3, 9, 0]) {
    await runner.reported({ changes: made, handedOver: 0 }, stranger);
  }
  assert.is(leader.proposed, 0);
  assert.is(harness.state.placement.changing.size, 1);
  await runner.reported({ changes: made, handedOver: 0 }, 1);
  assert.is(leader.proposed, 1);
  assert.is(harness.state.placement.changing.size, 0);
});

test("PlacementRunner retires the replicas of a removed node, of group 0 once it is out of it", async () => {
  for (const isLearner of [true, false]) {
    const leader = new Leader(3);
    const { harness, runner } = leader;
    leader.voters = [leader.assign(0, 2)];
    const [ofSystem, unplaced] = [leader.assign(0, 3), leader.assign(4, 3)];
    if (isLearner) leader.learners = [ofSystem];
    assert.is(harness.apply(encodeRemoveMember(HEADER, { nodeId: 3, detail: "" })), "ok");
    await runner.run();
    assert.ok(harness.state.placement.changing.size > 0, "partitions move to node 2");
    assert.is(harness.state.replicas.replica(unplaced), undefined);
    assert.is(harness.state.replicas.replica(ofSystem) !== undefined, isLearner);
  }
});

test.run();
