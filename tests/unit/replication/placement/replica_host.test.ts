/** A node hosts what group 0 places on it, whatever happens while a replica comes or goes. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type GroupId, nodeId, type PartitionId, partitionId } from "../../../../src/base/ids.ts";
import { SILENT_LOGGER } from "../../../../src/base/logger.ts";
import type { HostedPartition } from "../../../../src/replication/assembly/cluster_groups.ts";
import type { PlacedHere } from "../../../../src/replication/assembly/placed_here.ts";
import {
  ReplicaHost,
  type ReplicaHostOptions,
} from "../../../../src/replication/placement/replica_host.ts";
import type { PlacedRole } from "../../../../schemas/gen/system.ts";
import { encodePutPlacement } from "../../../../src/system/placement/placement_state.ts";
import { encodeAssignReplicas } from "../../../../src/system/replicas/replica_state.ts";
import { HEADER, SystemHarness } from "../../../support/system_harness.ts";

const ID = partitionId(0);

/** Node 2, whose joins and removals end when the test says so. */
class Host {
  readonly harness = new SystemHarness();
  readonly hosted = new Map<PartitionId, HostedPartition>();
  readonly work: { readonly text: string; readonly end: () => void }[] = [];
  readonly host: ReplicaHost;

  constructor() {
    for (const folder of [1, 2]) this.harness.admit(folder);
    const groups = {
      system: { store: this.harness.store },
      placed: (id: PartitionId) => this.hosted.get(id),
      nodesOf: () => [],
      cannotJoin: () => false,
      holdsRetired: () => false,
      join: (
        id: PartitionId,
        { replica }: PlacedHere,
        done: (joined: HostedPartition) => void,
      ) => {
        const end = () => {
          const group = { id: 1 as GroupId, replica };
          const partition = { isHere: true, id, group } as unknown as HostedPartition;
          this.hosted.set(id, partition);
          done(partition);
        };
        this.work.push({ text: `join ${replica}`, end });
      },
      remove: (id: PartitionId, done: (error: undefined) => void) => {
        const replica = this.hosted.get(id)?.group.replica;
        this.hosted.delete(id);
        this.work.push({ text: `remove ${replica}`, end: () => done(undefined) });
      },
    } as unknown as ReplicaHostOptions["groups"];
    this.host = new ReplicaHost({
      groups,
      self: nodeId(2),
      logger: SILENT_LOGGER,
      onPlace: () => {},
    });
  }

  /** Places the partition on the founder and, if given, on a new replica of node 2; returns its id. */
  place(role?: PlacedRole): number {
    const { harness } = this;
    const replicas: { replica: number; role: PlacedRole }[] = [{ replica: 1, role: "voter" }];
    const replica = harness.apply(encodeAssignReplicas(HEADER, [{ groupId: 1, nodeId: 2 }]));
    if (role !== undefined) replicas.push({ replica: replica as number, role });
    const replacedRevision = harness.state.placement.of(0)?.revision ?? 0;
    const step = { partition: ID, replacedRevision, configurationIndex: 0, replicas };
    assert.is(harness.apply(encodePutPlacement(HEADER, step)), "ok");
    return replica as number;
  }

  /** Ends the oldest piece of work; returns what it was. */
  end(): string | undefined {
    const next = this.work.shift();
    next?.end();
    return next?.text;
  }
}

test("ReplicaHost removes a replica whose placement ended while it joined", () => {
  const node = new Host();
  const first = node.place("joining");
  node.host.run();
  node.place();
  node.host.run();
  assert.is(node.end(), `join ${first}`);
  node.host.run();
  assert.is(node.end(), `remove ${first}`);
  node.host.run();
  assert.equal(node.work, []);
});

test("ReplicaHost joins under the next id once the former replica is removed", () => {
  const node = new Host();
  const first = node.place("joining");
  node.host.run();
  assert.is(node.end(), `join ${first}`);
  const second = node.place("joining");
  node.host.run();
  assert.is(node.end(), `remove ${first}`);
  node.host.run();
  assert.is(node.end(), `join ${second}`);
});

test.run();
