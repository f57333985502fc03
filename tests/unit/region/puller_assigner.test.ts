/** PullerAssigner: which node follows what, and when another one takes over. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { PULLER_LEASE_MS } from "../../../src/base/limits.ts";
import { SILENT_LOGGER } from "../../../src/base/logger.ts";
import { PullerAssigner } from "../../../src/region/puller_assigner.ts";
import type { PeerRegion } from "../../../src/system/regions/region_state.ts";
import { AssignPullerCommandView } from "../../../schemas/gen/system.ts";
import { commandOf } from "../../../src/system/system_store.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";

interface Assigned {
  shard: number;
  nodeId: number;
  fence: number;
}

/** A leader of group 0, node 1, among nodes 1 to 3. */
function leader(names: readonly string[] = ["us"]) {
  const world = new SteppedWorld();
  const state = {
    isLeading: true,
    reachable: new Set([2, 3]),
    members: [1, 2, 3],
    /** When each node answered last; absent: never. */
    answeredMs: new Map<number, number>(),
    isPaused: false,
  };
  const pullers = new Map<string, Assigned[]>(names.map((name) => [name, []]));
  let next = 1;
  const regions = () =>
    names.map((name) => ({
      settings: { name, isPaused: state.isPaused },
      pullers: pullers.get(name)!,
    })) as unknown as PeerRegion[];
  const assigner = new PullerAssigner({
    self: 1,
    shardCount: 2,
    group: {
      regions,
      members: () => state.members,
      isLeading: () => state.isLeading,
      applyVersion: () => 1,
      propose: (command) => {
        const view = commandOf(command({ timeMs: 0, unixS: 0, writer: 0 }));
        const { name, shard, nodeId } = view.bodyInto(new AssignPullerCommandView()).toPlain();
        const fence = next++;
        const others = pullers.get(name)!.filter((one) => one.shard !== shard);
        pullers.set(name, [...others, { shard, nodeId, fence }]);
        return Promise.resolve(fence);
      },
    },
    ages: { silentMs: (node) => world.nowMs() - (state.answeredMs.get(node) ?? -Infinity) },
    isReachable: (node) => state.reachable.has(node),
    clock: world,
    logger: SILENT_LOGGER,
  });
  const run = async (ms = 0) => {
    await world.pass(ms);
    await assigner.run();
  };
  const nodes = (name = "us") =>
    [...pullers.get(name)!].sort((one, other) => one.shard - other.shard)
      .map(({ nodeId }) => nodeId);
  return { world, state, run, nodes };
}

test("shards are spread over the nodes that can be reached", async () => {
  const { run, nodes, state } = leader(["us", "ap"]);
  state.reachable.delete(3);
  await run();
  assert.equal([nodes("us"), nodes("ap")], [[1, 2], [1, 2]]);
});

test("nothing is assigned by a node that does not lead, or for a region that is paused", async () => {
  const { run, nodes, state } = leader();
  state.isLeading = false;
  await run();
  state.isLeading = true;
  state.isPaused = true;
  await run();
  assert.equal(nodes(), []);
});

test("a puller whose node is silent for a lease, or no member, is given to another", async () => {
  const { world, run, nodes, state } = leader();
  await run();
  await run();
  assert.equal(nodes(), [1, 2]);
  // It has the time of a lease to answer for the first time.
  await run(PULLER_LEASE_MS - 100);
  assert.equal(nodes(), [1, 2]);
  state.answeredMs.set(2, world.nowMs());
  await run(PULLER_LEASE_MS - 100);
  assert.equal(nodes(), [1, 2]);
  await run(200);
  assert.equal(nodes(), [1, 3], "it was silent for too long");
  state.answeredMs.set(3, world.nowMs());
  state.members = [1, 2];
  await run();
  assert.equal(nodes(), [1, 2], "its node is no member any more");
});

test("a node that cannot be reached is replaced sooner, and nobody takes over from itself", async () => {
  const { world, run, nodes, state } = leader();
  await run();
  await run();
  state.answeredMs.set(2, world.nowMs());
  state.reachable.delete(2);
  await run(PULLER_LEASE_MS / 2 - 100);
  assert.equal(nodes(), [1, 2]);
  await run(200);
  assert.equal(nodes(), [1, 3]);
  state.reachable.clear();
  await run();
  await run(2 * PULLER_LEASE_MS);
  assert.equal(nodes(), [1, 1]);
  await run(2 * PULLER_LEASE_MS);
  assert.equal(nodes(), [1, 1]);
});

test.run();
