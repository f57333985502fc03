/** Partitions of different moments become one state: each domain has one agent, and no lease is short. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { rebuildPartitions } from "../../../src/backup/rebuilt_partitions.ts";
import { formatUuid } from "../../../src/base/uuid.ts";
import { KIND_AGENT } from "../../../src/record/key.ts";
import { BackedUpPartitions } from "../../support/backed_up_cluster.ts";
import {
  agentPut,
  agentRemoval,
  agentSweep,
  aliasItem,
  MirrorHarness,
} from "../../support/mirrors.ts";
import { idOf } from "../../support/store.ts";

const GENERATION = 2;

function rebuilt(partitions: BackedUpPartitions) {
  const { stores, hashKey } = partitions;
  return rebuildPartitions(stores, { hashKey, generation: GENERATION, feedOf: () => undefined });
}

/** Rebuilds a partition with mirrors, with the feed of their region as group 0 has it. */
function rebuiltMirrors({ store }: MirrorHarness, feed: number | undefined): void {
  const hashKey = new Uint8Array(16);
  rebuildPartitions([store], { hashKey, generation: GENERATION, feedOf: () => feed });
}

test("rebuildPartitions: what is whole stays as it is", () => {
  const partitions = new BackedUpPartitions();
  for (let number = 1; number <= 20; number++) partitions.register(number, `a${number}.example`);
  const before = partitions.ofAgent(7).agent(7)!;
  const made = rebuilt(partitions);
  assert.equal(made, { kept: 20, reclaimed: 0, dropped: 0, lost: [] });
  const { leaseExpiryMs: _, ...kept } = before;
  const { leaseExpiryMs: __, ...after } = partitions.ofAgent(7).agent(7)!;
  assert.equal(after, kept);
});

test("rebuildPartitions: a pending domain is confirmed", () => {
  const partitions = new BackedUpPartitions();
  const { claim } = partitions.ofDomain("a.example").claim("a.example", 1);
  partitions.ofAgent(1).putAgent({ number: 1, domain: "a.example", claim });
  assert.is(rebuilt(partitions).kept, 1);
  assert.is(partitions.ofDomain("a.example").alias("a.example")?.state, 1);
});

test("rebuildPartitions: an agent whose domain's partition is older claims it again", () => {
  const partitions = new BackedUpPartitions();
  // The image of the domain's partition was made before the claim.
  const claim = { generation: 1, index: 4 };
  partitions.ofAgent(1).putAgent({ number: 1, domain: "a.example", claim });
  const { revision, process, sequence } = partitions.ofAgent(1).agent(1)!;
  assert.equal(rebuilt(partitions), { kept: 0, reclaimed: 1, dropped: 0, lost: [] });
  assert.is(partitions.resolves("a.example", [1]), 1);
  const after = partitions.ofAgent(1).agent(1)!;
  assert.is(after.claim.generation, GENERATION);
  // The owner's next request is the next in its sequence, as before.
  assert.equal([after.process, after.sequence], [process, sequence]);
  assert.is(after.revision.generation, GENERATION);
  assert.ok(revision.generation < GENERATION);
});

test("rebuildPartitions: of two agents the one that the domain's partition names keeps the domain", () => {
  const partitions = new BackedUpPartitions();
  // The image of agent 1's partition is older than its deregistration, and agent 2 holds the domain.
  const claim = { generation: 1, index: 3 };
  partitions.ofAgent(1).putAgent({ number: 1, domain: "a.example", claim });
  partitions.register(2, "a.example");
  const made = rebuilt(partitions);
  const [agentId, holder] = [formatUuid(idOf(1)), formatUuid(idOf(2))];
  assert.equal(made.lost, [{ agentId, domain: "a.example", holder }]);
  assert.is(partitions.resolves("a.example", [1, 2]), 2);
  assert.is(partitions.ofAgent(1).agent(1), undefined);
  assert.ok(partitions.ofAgent(1).events.some(({ type }) => type === "claim_dropped"));
});

test("rebuildPartitions: without the domain's partition the later claim wins, in any order", () => {
  for (const [first, second] of [[1, 2], [2, 1]] as const) {
    const partitions = new BackedUpPartitions();
    for (const [number, index] of [[first, 5], [second, 9]] as const) {
      const claim = { generation: 1, index };
      partitions.ofAgent(number).putAgent({ number, domain: "a.example", claim });
    }
    assert.is(rebuilt(partitions).lost.length, 1);
    assert.is(partitions.resolves("a.example", [1, 2]), second);
  }
});

test("rebuildPartitions: a domain that no agent names is free, and can be claimed", () => {
  const partitions = new BackedUpPartitions();
  // Claimed, and the agent's partition was imaged before its registration; or the agent chose another.
  partitions.ofDomain("a.example").claim("a.example", 1);
  partitions.register(2, "b.example");
  assert.equal(rebuilt(partitions), { kept: 1, reclaimed: 0, dropped: 1, lost: [] });
  assert.is(partitions.ofDomain("a.example").alias("a.example"), undefined);
});

test("rebuildPartitions: a domain claimed by an agent that never registered goes to the one that names it", () => {
  const partitions = new BackedUpPartitions();
  partitions.ofDomain("a.example").claim("a.example", 3);
  const claim = { generation: 1, index: 1 };
  partitions.ofAgent(1).putAgent({ number: 1, domain: "a.example", claim });
  assert.is(rebuilt(partitions).reclaimed, 1);
  assert.is(partitions.resolves("a.example", [1, 3]), 1);
});

test("rebuildPartitions: every lease has a full ttl, and no cover is shortened", () => {
  const partitions = new BackedUpPartitions();
  const harness = partitions.ofAgent(1);
  harness.putAgent({ number: 1, ttlMs: 30_000 });
  harness.tick(59_999);
  rebuilt(partitions);
  const { leaseExpiryMs } = harness.agent(1)!;
  assert.is(leaseExpiryMs, 59_999 + 60_000);
  harness.store.onBecomeLeader(harness.store.timeMs);
  const nowMs = harness.store.timeMs + 30_000;
  assert.is(harness.store.overdueCommands({ nowMs, unixS: 1 }).expire, undefined);
  assert.is(harness.store.countOf(KIND_AGENT), 1);
});

test("rebuildPartitions: mirrors stay, and how far their region was followed is forgotten", () => {
  const harness = new MirrorHarness();
  harness.fence(1);
  const cursors = [{ partition: 3, generation: 1, index: 7, ordinal: 0 }];
  harness.batch({ puts: [agentPut(5)], cursors });
  assert.is(harness.store.mirrors.source("us")?.cursors.size, 1);
  rebuiltMirrors(harness, 1);
  assert.is(harness.store.mirrors.source("us")?.cursors.size, 0);
  assert.is(harness.mirrorCount, 1);
  // A puller of before is refused, as its fence is not logged any more.
  assert.is(harness.batch({ fence: 1, puts: [agentPut(6)] }).code, "incarnation_mismatch");
});

test("rebuildPartitions: a fence that is assigned again has batches from the first on", () => {
  const harness = new MirrorHarness();
  harness.fence(1);
  harness.batch({ puts: [agentPut(5)] });
  rebuiltMirrors(harness, 1);
  harness.fence(1);
  const again = harness.batch({ number: 1, puts: [agentPut(6, { number: 2 })] });
  assert.is(again.code, "ok");
  assert.not(again.duplicate);
  assert.is(harness.mirrorCount, 2);
});

/** A partition that is ahead of group 0: a mirror, an alias and a tombstone are of feed 7. */
function aheadOfGroup0(): MirrorHarness {
  const harness = new MirrorHarness();
  harness.fence(1);
  harness.batch({ feed: 3, puts: [agentPut(50, { number: 1 })] });
  const aliases = [aliasItem("a2.example", 2, { claim: 60, revision: 60 })];
  const puts = [agentPut(60, { number: 2 }), agentPut(60, { number: 3 })];
  harness.batch({ feed: 7, puts, aliases });
  harness.batch({ feed: 7, removals: [agentRemoval(3, 61)] });
  return harness;
}

for (const feed of [5, 7]) {
  test(`rebuildPartitions: a feed that group 0 lost gives way to feed ${feed}`, () => {
    const harness = aheadOfGroup0();
    rebuiltMirrors(harness, 3);
    assert.is(harness.store.mirrors.source("us")?.feed, 3);
    assert.equal(harness.mirrors(1).map((mirror) => mirror.feed), [3]);
    assert.equal(harness.mirrors(2).map((mirror) => mirror.feed), [0]);
    harness.fence(1);
    // Of another cluster: its revisions begin anew.
    const puts = [agentPut(5, { number: 2, port: 9 }), agentPut(5, { number: 3 })];
    const aliases = [aliasItem("a2.example", 4, { claim: 5, revision: 5 })];
    assert.is(harness.batch({ feed, puts, aliases }).code, "ok");
    assert.equal(harness.mirrors(2).map((mirror) => [mirror.feed, mirror.port]), [[feed, 9]]);
    assert.is(harness.mirrors(3).length, 1);
    assert.equal(harness.aliases("a2.example"), [["us", 4]]);
  });
}

test("rebuildPartitions: a complete listing sweeps mirrors of a feed that group 0 lost", () => {
  const harness = aheadOfGroup0();
  rebuiltMirrors(harness, 3);
  harness.fence(1);
  harness.batch({ feed: 5, sweeps: [agentSweep(2, { seen: 60, listed: 1, feed: 0 })] });
  assert.is(harness.mirrors(2).length, 0);
});

test("rebuildPartitions: a feed that group 0 has keeps the order of its changes", () => {
  const harness = aheadOfGroup0();
  rebuiltMirrors(harness, 7);
  assert.equal(harness.mirrors(2).map((mirror) => mirror.feed), [7]);
  harness.fence(1);
  harness.batch({
    feed: 7,
    puts: [agentPut(5, { number: 2, port: 9 }), agentPut(60, { number: 3 })],
  });
  assert.not.equal(harness.mirrors(2)[0]?.port, 9);
  assert.is(harness.mirrors(3).length, 0);
});

test("rebuildPartitions: mirrors of a region that group 0 does not know are removed", () => {
  const harness = aheadOfGroup0();
  rebuiltMirrors(harness, undefined);
  assert.is(harness.mirrorCount + harness.mirrorAliasCount, 0);
  assert.is(harness.store.mirrors.source("us"), undefined);
  assert.is(harness.fence(1).code, "ok");
});

test.run();
