/**
 * Groups over the links between nodes, in memory and with a stepped clock: the same loop, links and
 * handshakes as in production. Messages of a lying member change nothing and are counted.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../../src/base/errors.ts";
import { groupId, type NodeId, nodeId, replicaId } from "../../../../src/base/ids.ts";
import { SILENT_LOGGER } from "../../../../src/base/logger.ts";
import { PEER_IMAGE_HEADER_BYTES_MAX } from "../../../../src/base/limits.ts";
import { EMPTY_CONFIGURATION, type Message, newMessage } from "../../../../src/raft/mod.ts";
import {
  type HostedReplica,
  NodeGroups,
} from "../../../../src/replication/assembly/node_groups.ts";
import { MemoryDisk } from "../../../../src/storage/memory_storage.ts";
import { encodePeerFrame } from "../../../../src/wire/peer_frame.ts";
import { FrameWriter } from "../../../../schemas/runtime.ts";
import { peerImageCodec } from "../../../../schemas/gen/peer.ts";
import { imageChunk } from "../../../support/image_chunk.ts";
import { Journal } from "../../../support/group_cluster.ts";
import { type PeerNode, PeerNodes, statusOf } from "../../../support/peer_nodes.ts";
import { RawNode } from "../../../support/raw_node.ts";

const GROUP = groupId(1);

/** A node with its replica of the group; node n has replica n. */
interface GroupNode {
  readonly node: PeerNode;
  readonly hosted: HostedReplica<Journal>;
}

/** Starts nodes whose group has nodes 1 to 3 as voters. */
async function startGroups(nodes: PeerNodes, ids: readonly number[]): Promise<GroupNode[]> {
  const started: GroupNode[] = [];
  for (const id of ids) {
    const node = nodes.start(id, { waits: true });
    const groups = await nodes.world.wait(
      new Promise<NodeGroups<Journal>>((resolve, reject) =>
        NodeGroups.open<Journal>({
          nodeId: node.id,
          world: node.process,
          logger: SILENT_LOGGER,
          log: { storage: new MemoryDisk().open(node.process) },
          logEvents: { cut: () => {}, poisoned: () => {}, writable: () => {}, synced: () => {} },
          newMachine: () => new Journal(),
          peers: node.peers,
          directory: { nodeOf: (replica) => replica <= 3 ? replica as NodeId : undefined },
        }, (opened) => opened instanceof RegistryError ? reject(opened) : resolve(opened))
      ),
    );
    const hosted = await nodes.world.wait(
      new Promise<HostedReplica<Journal>>((resolve, reject) =>
        groups.found(
          { group: GROUP, replica: replicaId(id) },
          { ...EMPTY_CONFIGURATION, voters: [1, 2, 3] },
          (founded) => founded instanceof RegistryError ? reject(founded) : resolve(founded),
        )
      ),
    );
    groups.start();
    node.peers.start(groups.input, nodes.members);
    started.push({ node, hosted });
  }
  return started;
}

async function commits(nodes: PeerNodes, group: readonly GroupNode[], text: string): Promise<void> {
  const leader = group.find(({ hosted }) => hosted.raft.isLeading);
  assert.ok(leader !== undefined, "The group must have a leader");
  const proposed = leader.hosted.raft.propose(new TextEncoder().encode(text), 5_000);
  assert.is((await nodes.world.wait(proposed)).ok, true);
}

test("a group elects and commits over PeerNetwork, and goes on after its leader crashed", async () => {
  const nodes = new PeerNodes(3);
  const group = await startGroups(nodes, [1, 2, 3]);
  await nodes.world.pass(5_000);
  await commits(nodes, group, "one");
  const leader = group.find(({ hosted }) => hosted.raft.isLeading)!;
  nodes.crash(leader.node);
  const rest = group.filter((one) => one !== leader);
  await nodes.world.pass(10_000);
  await commits(nodes, rest, "two");
  await nodes.world.pass(1_000);
  for (const { hosted } of rest) assert.equal(hosted.machine.applied, ["one", "two"]);
  const { counts } = statusOf(rest[0]!.node, rest[1]!.node.id);
  assert.ok(counts.beatsIn > 10, `${counts.beatsIn} beats in 16 s`);
  assert.equal([...counts.rejected], []);
});

function frameOf(message: Message, group = 1): Uint8Array {
  const messages = [{ groupId: groupId(group), fortifies: false, message }];
  return encodePeerFrame({ run: 1, supports: 0, beat: undefined, messages });
}

test("a member that lies harms no group: terms, replicas, groups and junk are refused and counted", async () => {
  const nodes = new PeerNodes(3);
  const group = await startGroups(nodes, [2, 3]);
  await nodes.world.pass(5_000);
  await commits(nodes, group, "one");
  const raw = await RawNode.dial(nodes, 2, nodes.realm.enrol("node", 1));
  const frames = await raw.join(nodes, 1);
  raw.answerPings();
  const two = group[0]!;
  const before = two.hosted.raft.status();
  const to = 2;
  const last = { term: Number.MAX_SAFE_INTEGER, from: 1 };
  await frames.write(frameOf({ ...newMessage("heartbeat", to), ...last }));
  await frames.write(frameOf({ ...newMessage("vote", to), ...last }));
  await frames.write(frameOf({ ...newMessage("append", to), ...last, from: 3 }));
  await frames.write(frameOf({ ...newMessage("append", to), term: before.term, from: 9 }));
  await frames.write(frameOf({ ...newMessage("append", to), term: before.term, from: 1 }, 7));
  const junk = new Uint8Array(64).fill(0xee);
  new DataView(junk.buffer).setUint32(0, 0, true);
  new DataView(junk.buffer).setUint32(4, 7, true);
  await frames.write(junk);
  const image = await nodes.world.wait(raw.session.open("bulk"));
  const header = frameOf({ ...newMessage("heartbeat", to), ...last });
  const start = new FrameWriter({ bytesMax: PEER_IMAGE_HEADER_BYTES_MAX });
  peerImageCodec.write(start, { bytes: 4, header, number: 1 });
  await image.write(start.written.slice());
  await image.write(imageChunk(new Uint8Array(4)));
  await nodes.world.pass(100);
  const { counts, isConnected } = statusOf(two.node, 1);
  assert.equal(Object.fromEntries(counts.rejected), {
    term_too_far: 2,
    unknown_peer: 2,
    unknown_group: 1,
    malformed: 2,
  });
  assert.is(isConnected, true, "A frame that is refused costs no session");
  assert.equal(two.hosted.raft.status(), before);
  await commits(nodes, group, "two");
  await nodes.world.pass(1_000);
  for (const { hosted } of group) assert.equal(hosted.machine.applied, ["one", "two"]);
});

test("a removed member's frames reach no group", async () => {
  const nodes = new PeerNodes(3);
  const group = await startGroups(nodes, [2, 3]);
  await nodes.world.pass(5_000);
  const raw = await RawNode.dial(nodes, 2, nodes.realm.enrol("node", 1));
  const frames = await raw.join(nodes, 1);
  await nodes.world.pass(10);
  const two = group[0]!;
  two.node.peers.update(nodes.members.slice(1));
  const { term } = two.hosted.raft.status();
  frames.write(frameOf({ ...newMessage("vote", 2), from: 1, term: term + 1 })).catch(() => {});
  await nodes.world.pass(5_000);
  assert.is(two.hosted.raft.status().term, term);
  assert.equal(two.node.peers.status().map(({ node }) => node), [nodeId(3)]);
  assert.is((await nodes.world.wait(raw.session.closed)).code, "permission_denied");
});

test.run();
