/** Reads with a bound on their age at followers: proven, waited for once, refused otherwise. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { PROBE_LINGER_MS, PROBE_MS_MAX } from "../../../src/base/limits.ts";
import type { ReadPoint } from "../../../src/replication/group_interface.ts";
import { type ClusterNode, GroupCluster } from "../../support/group_cluster.ts";

/** Returns the follower after its first read with a bound, so that it probes. */
async function probing(cluster: GroupCluster, at = 0): Promise<ClusterNode> {
  const leader = await cluster.leader();
  const follower = cluster.followers(leader)[at]!;
  await read(cluster, follower, 100);
  return follower;
}

function read(
  cluster: GroupCluster,
  node: ClusterNode,
  boundMs: number,
): Promise<ReadPoint | RegistryError> {
  return cluster.world.wait(node.group().readBarrier(boundMs, 5_000));
}

test("a follower's first read with a bound waits for one round trip and is served with its age", async () => {
  const cluster = await GroupCluster.led();
  const leader = await cluster.leader();
  const [follower] = cluster.followers(leader);
  assert.is(follower!.group().readPoint(100), undefined);
  const permitted = await read(cluster, follower!, 100);
  assert.not.instance(permitted, RegistryError);
  const { ageBoundMs, appliedIndex } = permitted as ReadPoint;
  assert.ok(ageBoundMs >= 2 && ageBoundMs <= 10, `found ${ageBoundMs}`);
  assert.is(appliedIndex, leader.group().status().appliedIndex);
  assert.is(leader.group().readPoint(100)?.ageBoundMs, 0, "a leader's lease proves age 0");
});

test("a read that waited is counted once, when it is served", async () => {
  const cluster = await GroupCluster.led();
  const [follower] = cluster.followers(await cluster.leader());
  const { freshness: counts } = follower!.set.counts;
  assert.not.instance(await read(cluster, follower!, 100), RegistryError);
  assert.is(counts.servedCount, 0, "it asks again");
  follower!.group().readPoint(100);
  assert.is(counts.servedCount, 1);
});

test("a read without a bound is refused at a follower, whatever is proven there", async () => {
  const cluster = await GroupCluster.led();
  const follower = await probing(cluster);
  assert.is(follower.group().readPoint(0), undefined);
  assert.is(follower.group().readElsewhere(0)?.code, "not_leader");
});

test("probes go on while reads are asked for, and the age stays within the bound", async () => {
  const cluster = await GroupCluster.led();
  const follower = await probing(cluster);
  for (let step = 0; step < 100; step++) {
    await cluster.world.pass(20);
    const point = follower.group().readPoint(100);
    assert.ok(point !== undefined && point.ageBoundMs <= 40, `${step}: ${point?.ageBoundMs}`);
  }
});

test("probes are as frequent as the smallest bound needs, and a smaller one is served at once", async () => {
  const cluster = await GroupCluster.led();
  const leader = await cluster.leader();
  const [follower] = cluster.followers(leader);
  await read(cluster, follower!, 4_000);
  await cluster.world.pass(1_000);
  const before = cluster.sent.length;
  await cluster.world.pass(2_000);
  const rare = cluster.sent.length - before;
  assert.ok(follower!.group().readPoint(4_000)!.ageBoundMs <= PROBE_MS_MAX + 10);
  // The newest proof is older than the next read accepts, which waits for one answer.
  await cluster.world.pass(0.6 * PROBE_MS_MAX);
  assert.is(follower!.group().readPoint(40), undefined);
  assert.is(follower!.group().readElsewhere(40), undefined, "it may be soon");
  const { ageBoundMs } = await read(cluster, follower!, 40) as ReadPoint;
  assert.ok(ageBoundMs <= 40, `${ageBoundMs}`);
  const then = cluster.sent.length;
  await cluster.world.pass(2_000);
  assert.ok(cluster.sent.length - then > 3 * rare, `${cluster.sent.length - then}, ${rare} before`);
});

test("what was read grows older, whatever is proven of the replica meanwhile", async () => {
  const cluster = await GroupCluster.led();
  const follower = await probing(cluster);
  await cluster.world.pass(100);
  const point = { ...follower.group().readPoint(100)! };
  await cluster.world.pass(200);
  const newer = follower.group().readPoint(100)!;
  assert.is(follower.group().ageNowMs(newer), newer.ageBoundMs);
  const ageMs = follower.group().ageNowMs(point) - point.ageBoundMs;
  assert.ok(ageMs >= 199 && ageMs <= 202, `${ageMs} ms after 200 ms`);
  const leader = await cluster.leader();
  assert.is(leader.group().ageNowMs(leader.group().readPoint(100)!), 0);
});

test("probes end when no read was asked for, and the next read starts them again", async () => {
  const cluster = await GroupCluster.led();
  const follower = await probing(cluster);
  await cluster.world.pass(PROBE_LINGER_MS + 1_000);
  const before = cluster.sent.length;
  await cluster.world.pass(200);
  assert.ok(cluster.sent.length - before < 12, "only beats are left");
  assert.not.instance(await read(cluster, follower, 100), RegistryError);
});

test("bounded read: entries committed but not applied here do not count as served", async () => {
  const cluster = await GroupCluster.led();
  const leader = await cluster.leader();
  const follower = await probing(cluster);
  await cluster.world.pass(100);
  const { appliedIndex } = follower.group().readPoint(100)!;
  // The follower hears of proofs, but of no entries.
  cluster.deliver = ({ to, messages }) => to !== follower.id || messages.length === 0;
  const proposed = leader.propose("a");
  await cluster.world.wait(proposed);
  await cluster.world.pass(60);
  assert.is(follower.group().readPoint(50), undefined, "the older proof has become too old");
  const older = follower.group().readPoint(1_000)!;
  assert.is(older.appliedIndex, appliedIndex);
  assert.ok(older.ageBoundMs >= 60, `its age is that of the older proof: ${older.ageBoundMs}`);
  const refusal = follower.group().readElsewhere(50)!;
  assert.is(refusal.code, "too_stale");
  assert.is(refusal.fields.leaderHint, leader.id);
  cluster.heal();
  await cluster.world.pass(1_000);
  assert.ok(follower.group().readPoint(100)!.appliedIndex > appliedIndex);
});

test("a follower that is cut off refuses once its proof is older than the bound", async () => {
  const cluster = await GroupCluster.led();
  const follower = await probing(cluster);
  cluster.isolate(follower);
  await cluster.world.pass(300);
  assert.is(follower.group().readPoint(200), undefined);
  assert.ok(follower.group().readPoint(1_000)!.ageBoundMs >= 300);
});

test("a leader asserts no commit index before an entry of its own term is committed", async () => {
  const cluster = await GroupCluster.led();
  const leader = await cluster.leader();
  const follower = await probing(cluster);
  const other = cluster.followers(leader).find((node) => node !== follower)!;
  // The next leader is elected, and is supported by the others, but none of its entries arrives.
  cluster.deliver = ({ from, messages }) =>
    from !== other.id || messages.every(({ message }) => message.entries.length === 0);
  leader.group().transferLeader(other.group().replica);
  for (let step = 0; step < 60; step++) {
    await cluster.world.pass(50);
    follower.group().readPoint(100);
    if (other.group().raftStatus().role !== "leader" || other.group().isLeading) continue;
    assert.is(other.group().lease, undefined, "it has nothing to assert");
  }
  cluster.heal();
  await cluster.world.pass(3_000);
  const next = await cluster.leader();
  assert.ok(next.group().lease !== undefined);
});

test("bounded read: after a change of leaders the proofs of the new leader permit it", async () => {
  const cluster = await GroupCluster.led();
  const leader = await cluster.leader();
  const follower = await probing(cluster);
  const other = cluster.followers(leader).find((node) => node !== follower)!;
  leader.group().transferLeader(other.group().replica);
  await cluster.world.pass(2_000);
  const next = await cluster.leader();
  assert.is.not(next, leader);
  const followers = cluster.followers(next);
  for (const node of followers) {
    await read(cluster, node, 100);
    await cluster.world.pass(100);
    const point = node.group().readPoint(100);
    assert.ok(point !== undefined || node.group().readElsewhere(100) !== undefined);
  }
});

test("bounded read: without leases on either side it is refused with the reason", async () => {
  const cluster = await GroupCluster.led({ leases: false });
  const leader = await cluster.leader();
  const [follower] = cluster.followers(leader);
  const refused = await read(cluster, follower!, 100);
  assert.instance(refused, RegistryError);
  assert.is((refused as RegistryError).code, "too_stale");
  assert.match((refused as RegistryError).message, /leases are off on this node/);
});

test("a read that waits for a first answer is refused as soon as its group or its set is closed", async () => {
  const ends = [
    (node: ClusterNode) => node.group().close(),
    (node: ClusterNode) => node.set.close(),
  ];
  for (const end of ends) {
    const cluster = await GroupCluster.led();
    const [follower] = cluster.followers(await cluster.leader());
    const permitted = follower!.group().readBarrier(100, 5_000);
    end(follower!);
    const refused = await cluster.world.wait(permitted);
    assert.is((refused as RegistryError).code, "shutting_down");
  }
});

test("a read whose first answer does not come in time is refused with the leader as the hint", async () => {
  const cluster = await GroupCluster.led();
  const leader = await cluster.leader();
  const [follower] = cluster.followers(leader);
  // The support of the leader's node stands for a while.
  cluster.isolate(follower!);
  const refused = await read(cluster, follower!, 100) as RegistryError;
  assert.is(refused.code, "too_stale");
  assert.match(refused.message, /has not answered in time/);
  assert.is(refused.fields.leaderHint, leader.id);
});

test.run();
