/** Members that joined while a node was away: when it asks, whom, and what becomes of the answers. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ClusterMember, JoinClusterReply } from "../../../schemas/gen/wire.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { CLUSTER_NODES_MAX, MEMBERS_ASK_MS, RAFT_MEMBERS_MAX } from "../../../src/base/limits.ts";
import { SILENT_LOGGER } from "../../../src/base/logger.ts";
import { MissedMembers, type MissedMembersOptions } from "../../../src/node/missed_members.ts";

function member(nodeId: number, port = 0): ClusterMember {
  const addresses = [{ transport: "peer", host: "host", port }];
  const folderId = new Uint8Array(16).fill(nodeId);
  return { nodeId, addresses, folderId, pin: new Uint8Array(32), nextPin: new Uint8Array(32) };
}

function replyWith(...nodes: number[]): JoinClusterReply {
  return {
    nodeId: 1,
    generation: 1,
    replica: 1,
    clusterId: new Uint8Array(16),
    partitionCount: 1,
    region: "eu",
    members: nodes.map((node) => member(node)),
    systemReplicas: nodes.map((nodeId) => ({ nodeId, replica: 10 + nodeId })),
  };
}

function setUp(changes: Partial<MissedMembersOptions> = {}) {
  const seen = { nowMs: 0, asked: [] as number[], told: 0 };
  const missed = new MissedMembers({
    monotonic: { nowMs: () => seen.nowMs },
    logger: SILENT_LOGGER,
    connected: () => [2, 3],
    request: () => ({} as ReturnType<MissedMembersOptions["request"]>),
    ask: (node) => {
      seen.asked.push(node);
      return Promise.resolve(replyWith(1, 2, 7));
    },
    onTold: () => void seen.told++,
    ...changes,
  });
  return { seen, missed };
}

test("MissedMembers asks connected nodes in turn while group 0 has no leader here", () => {
  const { seen, missed } = setUp();
  missed.look(false);
  assert.equal(seen.asked, [], "elections take a moment");
  for (let round = 0; round < 3; round++) {
    seen.nowMs += MEMBERS_ASK_MS;
    missed.look(false);
    missed.look(false);
  }
  assert.equal(seen.asked, [2, 3, 2]);
  missed.look(true);
  seen.nowMs += MEMBERS_ASK_MS - 1;
  missed.look(false);
  assert.is(seen.asked.length, 3);
});

test("MissedMembers adds members and replicas that are not known, and no others", async () => {
  const { seen, missed } = setUp();
  seen.nowMs += MEMBERS_ASK_MS;
  missed.look(false);
  await Promise.resolve();
  assert.is(seen.told, 1);
  assert.is(missed.nodeOf(17), 7);
  assert.is(missed.nodeOf(99), undefined);
  const all = missed.with([member(1), member(3, 5)]);
  assert.equal(all.map(({ nodeId, addresses }) => [nodeId, addresses[0]!.port]), [
    [1, 0],
    [3, 5],
    [2, 0],
    [7, 0],
  ]);
  seen.nowMs += MEMBERS_ASK_MS;
  missed.look(false);
  await Promise.resolve();
  assert.is(seen.told, 1, "nothing new was told");
});

test("MissedMembers asks on after a refusal, and nobody while no node is connected", async () => {
  let nodes: number[] = [];
  const asked: number[] = [];
  const { seen, missed } = setUp({
    connected: () => nodes,
    ask: (node) => {
      asked.push(node);
      return Promise.reject(new RegistryError("not_leader", "It does not know this node"));
    },
  });
  seen.nowMs += MEMBERS_ASK_MS;
  missed.look(false);
  nodes = [4];
  missed.look(false);
  await Promise.resolve();
  seen.nowMs += MEMBERS_ASK_MS;
  missed.look(false);
  assert.equal(asked, [4, 4]);
  assert.equal(missed.with([]), []);
});

test("MissedMembers leaves a member out that this node's copy of group 0 has removed", async () => {
  const { seen, missed } = setUp();
  seen.nowMs += MEMBERS_ASK_MS;
  missed.look(false);
  await Promise.resolve();
  assert.equal(ids(missed.with([member(1), member(7)])), [1, 7, 2]);
  assert.equal(ids(missed.with([member(1)])), [1, 2]);
  seen.nowMs += MEMBERS_ASK_MS;
  missed.look(false);
  await Promise.resolve();
  assert.equal(ids(missed.with([member(1)])), [1, 2], "a node that is behind still tells of it");
});

test("MissedMembers describes a known member as it is told to, while no leader is known", async () => {
  const told = [member(1, 1), member(2, 1), member(4, 1)];
  const { seen, missed } = setUp({
    connected: () => [2],
    request: () => ({ nodeId: 4 } as ReturnType<MissedMembersOptions["request"]>),
    ask: () => Promise.resolve({ ...replyWith(), members: told }),
  });
  const own = [member(1), member(2), member(4)];
  const ports = () => missed.with(own).map(({ addresses }) => addresses[0]!.port);
  assert.equal(ports(), [0, 0, 0]);
  const ask = async () => {
    seen.nowMs += MEMBERS_ASK_MS;
    missed.look(false);
    await Promise.resolve();
  };
  await ask();
  assert.equal(ports(), [1, 0, 0], "neither one with a session nor the node itself");
  assert.is(seen.told, 1);
  await ask();
  assert.is(seen.told, 1, "nothing new was told");
  missed.look(true);
  assert.equal(ports(), [0, 0, 0], "with a leader its own copy is current");
  assert.is(seen.told, 2);
  await ask();
  own[0] = member(1, 3);
  assert.equal(ports(), [3, 0, 0], "its own copy has changed");
});

test("MissedMembers bounds what a node tells, so that its members always fit", async () => {
  const numbers = Array.from({ length: 2 * CLUSTER_NODES_MAX }, (_, index) => index + 1);
  const { seen, missed } = setUp({ ask: () => Promise.resolve(replyWith(...numbers)) });
  const own = numbers.slice(0, 10).map((number) => member(number));
  missed.with(own);
  seen.nowMs += MEMBERS_ASK_MS;
  missed.look(false);
  await Promise.resolve();
  const all = missed.with(own);
  assert.is(all.length, CLUSTER_NODES_MAX);
  assert.equal(all.slice(0, 10), own);
  assert.is(missed.nodeOf(10 + RAFT_MEMBERS_MAX), RAFT_MEMBERS_MAX);
  assert.is(missed.nodeOf(11 + RAFT_MEMBERS_MAX), undefined);
});

test("MissedMembers takes no member with an impossible number", async () => {
  const { seen, missed } = setUp({ ask: () => Promise.resolve(replyWith(2, 0)) });
  seen.nowMs += MEMBERS_ASK_MS;
  missed.look(false);
  await Promise.resolve();
  assert.equal(ids(missed.with([])), [2]);
});

function ids(members: readonly ClusterMember[]): number[] {
  return members.map(({ nodeId }) => nodeId);
}

test.run();
