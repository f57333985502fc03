/** A cluster is created once; afterwards its groups open from the log, or are reported as lost. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../../src/base/errors.ts";
import {
  GOVERNED_GROUP,
  GOVERNED_PLACE,
  type GroupId,
  groupId,
  type NodeId,
  nodeId as toNodeId,
  partitionId,
  replicaId,
  SYSTEM_GROUP,
} from "../../../../src/base/ids.ts";
import { encodeGovernInit } from "../../../../src/governance/governance_codec.ts";
import { SILENT_LOGGER } from "../../../../src/base/logger.ts";
import { EMPTY_DATA } from "../../../../src/raft/mod.ts";
import { encodePutMember } from "../../../../src/record/command.ts";
import {
  ClusterGroups,
  type JoinedCluster,
  systemApplied,
} from "../../../../src/replication/assembly/cluster_groups.ts";
import { placedHere } from "../../../../src/replication/assembly/placed_here.ts";
import type { PeerInput } from "../../../../src/replication/group_host.ts";
import type { RaftGroup } from "../../../../src/replication/group.ts";
import { MemoryDisk } from "../../../../src/storage/memory_storage.ts";
import { EventFeed } from "../../../../src/store/event_feed.ts";
import { StoreShared } from "../../../../src/store/shared.ts";
import { encodeAdmitMember } from "../../../../src/system/members/member_state.ts";
import { encodePutPlacement } from "../../../../src/system/placement/placement_state.ts";
import { encodeAssignReplicas } from "../../../../src/system/replicas/replica_state.ts";
import { openSharedLog } from "../../../../src/storage/open_shared_log.ts";
import type { SharedLog } from "../../../../src/storage/shared_log.ts";
import { A, B, testGenesis } from "../../../support/governance.ts";
import { agentRequest, RegistryHarness } from "../../../support/registry_harness.ts";
import { Process, SteppedWorld } from "../../../support/stepped_world.ts";
import { idOf } from "../../../support/store.ts";

/** Removes groups from the log of a stopped registry, as if they had never existed. */
async function removeFromLog(harness: RegistryHarness, groups: readonly GroupId[]): Promise<void> {
  const { world, disk, markDisk } = harness;
  const process = new Process(world);
  const log = await world.wait(
    new Promise<SharedLog>((ready, failed) => {
      openSharedLog({
        storage: disk.open(process),
        markStorage: markDisk.open(process),
        clock: process.monotonic,
        scheduler: process,
        entropy: process.entropy,
        handlers: {
          hardState: () => {},
          imageStart: () => {},
          imageChunk: () => {},
          imageEnd: () => {},
          entry: () => {},
          poisoned: failed,
          ready,
          failed,
        },
      });
    }),
  );
  for (const group of groups) {
    const gone = new Promise<unknown>((done) => log.forget(group, done));
    assert.is(await world.wait(gone), undefined);
  }
  await world.wait(new Promise<unknown>((done) => log.close(done)));
}

async function refusalOf(start: Promise<unknown>): Promise<RegistryError> {
  const error = await start.then(() => undefined, (error) => error);
  assert.instance(error, RegistryError, "the start is refused");
  return error as RegistryError;
}

test("ClusterGroups: a partition that is missing in the log is corrupt, not founded again", async () => {
  const harness = await RegistryHarness.open({ partitions: 4 });
  await (await harness.peer()).must("registerAgent", agentRequest({ number: 1 }));
  await harness.stop();
  await removeFromLog(harness, [groupId(3)]);
  const refused = await refusalOf(harness.start());
  assert.is(refused.code, "corrupt");
  assert.match(refused.message, /replica 1 of group 3.*nothing of it/);
  // No loss of data was detected, so accepting one does not found it under a generation that is in
  // use.
  harness.acceptDataLoss = true;
  assert.is((await refusalOf(harness.start())).code, "corrupt");
});

test("ClusterGroups: partitions with records but no genesis are corrupt, not another cluster's", async () => {
  const harness = await RegistryHarness.open({ partitions: 1 });
  await (await harness.peer()).must("registerAgent", agentRequest({ number: 1 }));
  await harness.stop();
  await removeFromLog(harness, [SYSTEM_GROUP]);
  const refused = await refusalOf(harness.start());
  assert.is(refused.code, "corrupt");
  assert.match(refused.message, /partition 0/);
});

test("ClusterGroups: a creation that a crash interrupted at any write is repeated by the next start", async () => {
  for (let writes = 1; writes < 200; writes++) {
    const harness = new RegistryHarness({ partitions: 2, seed: writes });
    let left = writes;
    const { disk } = harness;
    disk.intercept = ({ kind }) => kind === "write" && --left < 0 ? "io" : undefined;
    const started = await harness.start().then(() => true, () => false);
    disk.intercept = () => undefined;
    disk.crash();
    harness.markDisk.crash();
    if (started) {
      assert.ok(writes > 3, "some starts were interrupted");
      return;
    }
    await harness.start();
    const peer = await harness.peer();
    await peer.must("registerAgent", agentRequest({ number: 1 }));
    await harness.restart();
    assert.not(harness.registry.created);
    assert.ok(harness.agent(idOf(1)) !== undefined);
  }
  assert.unreachable("a start needs fewer writes");
});

/** Connected nodes over one stepped world. */
class Nodes {
  readonly world = new SteppedWorld(1);
  readonly disks = [new MemoryDisk(), new MemoryDisk()];
  readonly inputs: (PeerInput | undefined)[] = [];
  readonly processes: Process[] = [];

  open(nodeId: number, joined?: JoinedCluster): Promise<ClusterGroups> {
    const process = this.processes[nodeId] = new Process(this.world);
    return ClusterGroups.open({
      nodeId: toNodeId(nodeId),
      world: process,
      logger: SILENT_LOGGER,
      log: { storage: this.disks[nodeId - 1]!.open(process) },
      logEvents: { cut: () => {}, poisoned: () => {}, writable: () => {}, synced: () => {} },
      peers: {
        send: (to, frame) => {
          this.world.after(1, () => this.inputs[to]?.receive(toNodeId(nodeId), frame));
        },
        sendImage: (to, header, image, done) => {
          this.world.after(1, () => {
            this.inputs[to]?.receiveImage(toNodeId(nodeId), header, image);
            done(true);
          });
        },
      },
      connect: (input) => {
        this.inputs[nodeId] = input;
        input.peerConnected(toNodeId(3 - nodeId));
      },
      shared: new StoreShared({ bytesMax: 2 ** 26, hashSeed: new Uint8Array(16) }),
      sink: new EventFeed(),
      region: "eu",
      partitionCount: 2,
      ...(joined === undefined ? {} : { joined }),
    });
  }

  /** Kills the node; its disk stays. */
  crash(nodeId: number): void {
    this.processes[nodeId]!.kill();
    this.inputs[nodeId] = undefined;
    this.disks[nodeId - 1]!.crash();
  }
}

const HEADER = { timeMs: 0, unixS: 1, writer: 0 };
const NO_PIN = new Uint8Array(32);

test("ClusterGroups: a node joins, hosts what is placed on it, and comes back as what it was", async () => {
  const nodes = new Nodes();
  const { world } = nodes;
  const first = await world.wait(nodes.open(1));
  assert.ok(first.created);
  const tell = async (command: Uint8Array) => {
    return systemApplied(await world.wait(first.system.group.propose(command, 5_000))).assigned;
  };
  const change = async (group: RaftGroup<unknown>, kind: "add_learner" | "add_voter") => {
    const changes = [{ kind, replica: group.id + 2 }];
    const step = { transition: "auto", changes, context: EMPTY_DATA } as const;
    const proposed = await world.wait(group.proposeConfChange(step, 20_000));
    assert.ok(proposed.ok);
  };
  await tell(encodePutMember(HEADER, { nodeId: 1, addresses: [], pin: NO_PIN, nextPin: NO_PIN }));
  const folderId = new Uint8Array(16).fill(2);
  const node = { nodeId: 0, folderId, zone: "b", host: "", applyVersionMax: 2 };
  assert.is(await tell(encodeAdmitMember(HEADER, node)), 2);
  const places = [0, 1].map((groupId) => ({ groupId, nodeId: 2 }));
  assert.is(await tell(encodeAssignReplicas(HEADER, places)), 2);
  const steps = { partition: 0, replacedRevision: 0, configurationIndex: 0 };
  await tell(encodePutPlacement(HEADER, {
    ...steps,
    replicas: [{ replica: 1, role: "voter" }, { replica: 3, role: "joining" }],
  }));

  const joined = {
    replica: replicaId(2),
    isNew: true,
    directory: { nodeOf: (replica: number) => [1, 2].find((id) => id === replica) as NodeId },
  };
  const opening = nodes.open(2, joined);
  await change(first.system.group, "add_learner");
  const second = await world.wait(opening);
  assert.not(second.created);
  assert.equal(second.system.store.genesis, first.system.store.genesis);
  // Nothing is hosted before it joined under the id that group 0 assigned.
  assert.equal([...second.partitions], []);
  assert.equal(second.nodesOf(partitionId(0)), [1, 2]);
  const hosted = new Promise((done) => {
    const placed = placedHere(second.system.store.state, partitionId(0), toNodeId(2))!;
    assert.is(placed.replica, replicaId(3));
    second.join(partitionId(0), placed, done);
  });
  assert.not.instance(await world.wait(hosted), RegistryError);
  const { group } = first.partition(partitionId(0))!;
  await change(group, "add_learner");
  await world.pass(1_000);
  await change(group, "add_voter");
  await world.pass(1_000);
  const { revision } = first.system.store.state.placement.of(0)!;
  await tell(encodePutPlacement(HEADER, {
    ...steps,
    replacedRevision: revision,
    replicas: [{ replica: 1, role: "voter" }, { replica: 3, role: "voter" }],
  }));
  await world.pass(1_000);

  // It founds nothing at its next start, and its data is unchanged.
  nodes.crash(2);
  const again = await world.wait(nodes.open(2));
  assert.not(again.created);
  assert.is(again.system.group.replica, 2);
  assert.equal([...again.partitions].map(({ id }) => id), [0]);
  const { group: voter } = again.partition(partitionId(0))!;
  assert.equal([voter.replica, voter.configuration.voters], [3, [1, 3]]);
  await world.pass(5_000);
  assert.is(voter.status().role, "follower");

  // A voter that is missing in the log is a loss, and not a new replica.
  nodes.crash(2);
  nodes.disks[1] = new MemoryDisk();
  const error = await refusalOf(world.wait(nodes.open(2, { ...joined, isNew: false })));
  assert.is(error.code, "corrupt");
});

test("ClusterGroups: the governed plane's group is not founded again by a copy of group 0 that is behind", async () => {
  const nodes = new Nodes();
  const { world } = nodes;
  // Group 0's copy after a restart has no placement yet; then it has the one that founded the group.
  const place = { group: GOVERNED_GROUP, replica: replicaId(7) };
  const placed = { ...place, isJoining: false, isFounding: true };
  const host = async (groups: ClusterGroups) => {
    assert.is(groups.plane, undefined);
    assert.not(groups.cannotJoin(GOVERNED_PLACE, placed));
    const hosted = new Promise((done) => groups.join(GOVERNED_PLACE, placed, done));
    assert.not.instance(await world.wait(hosted), RegistryError);
    await world.wait(groups.plane!.group.readBarrier(0, 5_000));
    return groups.plane!;
  };
  const founded = await host(await world.wait(nodes.open(1)));
  const genesis = testGenesis([A, B], 2).bytes;
  const command = encodeGovernInit(HEADER, { genesis, caller: "c" });
  assert.ok((await world.wait(founded.group.propose(command, 5_000))).ok);
  const { term, lastIndex } = founded.group.status();

  nodes.crash(1);
  const again = await host(await world.wait(nodes.open(1)));
  assert.equal(again.store.plane?.genesis.bytes, genesis);
  assert.ok(again.group.status().term > term, "its term and vote are those of before");
  assert.ok(again.group.status().lastIndex > lastIndex, "its log goes on");
});

test.run();
