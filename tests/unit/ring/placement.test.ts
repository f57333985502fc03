/** Placement over failure domains and the spread of leaders: properties, and measured evenness. */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type PlacementNode, placePartitions } from "../../../src/ring/placement.ts";
import { spreadLeaders } from "../../../src/ring/leader_spread.ts";

const PARAMETERS = { seed: 11, numRuns: 60 } as const;
const HASH_KEY = Uint8Array.from({ length: 16 }, (_, index) => index * 7);

/** Returns nodes 1 to n, each on its own host; node i is in the zone of that index. */
function nodesIn(zones: readonly number[]): PlacementNode[] {
  return zones.map((zone, at) => ({ nodeId: at + 1, zone: `z${zone}`, host: `h${at + 1}` }));
}

const placed = (nodes: readonly PlacementNode[], partitionCount = 64) =>
  placePartitions({ nodes, partitionCount, hashKey: HASH_KEY });

const clusters = fc.array(fc.nat(3), { minLength: 1, maxLength: 9 }).map(nodesIn);

test("placePartitions gives each partition distinct nodes, three or as many as there are", () => {
  fc.assert(
    fc.property(clusters, (nodes) => {
      for (const replicas of placed(nodes)) {
        assert.is(replicas.length, Math.min(3, nodes.length));
        assert.is(new Set(replicas).size, replicas.length);
      }
    }),
    PARAMETERS,
  );
});

test("placePartitions: a node with the points of one that left takes exactly its replicas", () => {
  fc.assert(
    fc.property(clusters, fc.nat(8), (nodes, at) => {
      const { nodeId, zone } = nodes[at % nodes.length]!;
      const heir = { nodeId: 20, ringId: nodeId, zone, host: "h20" };
      const after = placed([...nodes.filter((node) => node.nodeId !== nodeId), heir]);
      const wanted = placed(nodes).map((replicas) =>
        replicas.map((id) => id === nodeId ? heir.nodeId : id)
      );
      assert.equal(after, wanted);
    }),
    PARAMETERS,
  );
});

test("placePartitions uses as many zones as there are, up to the replica count", () => {
  fc.assert(
    fc.property(clusters, (nodes) => {
      const zones = new Set(nodes.map(({ zone }) => zone)).size;
      for (const replicas of placed(nodes)) {
        const used = new Set(replicas.map((id) => nodes[id - 1]!.zone)).size;
        assert.is(used, Math.min(zones, replicas.length));
      }
    }),
    PARAMETERS,
  );
});

test("placePartitions uses distinct hosts of one zone before it uses a host twice", () => {
  const nodes = [1, 2, 3, 4, 5, 6].map((nodeId) => ({
    nodeId,
    zone: "",
    host: `h${(nodeId - 1) >> 1}`,
  }));
  for (const replicas of placed(nodes)) {
    assert.is(new Set(replicas.map((id) => nodes[id - 1]!.host)).size, 3);
  }
});

test("placePartitions moves replicas only to an added node, and only those of a removed one", () => {
  fc.assert(
    fc.property(clusters, fc.nat(3), (nodes, zone) => {
      const nodeId = nodes.length + 1;
      const more = [...nodes, { nodeId, zone: `z${zone}`, host: `h${nodeId}` }];
      const before = placed(nodes);
      placed(more).forEach((replicas, partition) => {
        const gained = replicas.filter((id) => !before[partition]!.includes(id));
        const hasRoom = before[partition]!.length < 3;
        assert.ok(gained.every((id) => id === nodeId));
        if (hasRoom) assert.equal(gained, [nodeId]);
      });
    }),
    PARAMETERS,
  );
});

test("placePartitions depends on the nodes, not on their order, and on the hash key", () => {
  const nodes = nodesIn([0, 1, 2, 0, 1, 2]);
  assert.equal(placed([...nodes].reverse()), placed(nodes));
  const other = placePartitions({ nodes, partitionCount: 64, hashKey: new Uint8Array(16) });
  assert.not.equal(other, placed(nodes));
});

test("placePartitions spreads 1,024 partitions over nine nodes of three zones within 20 %", () => {
  const nodes = nodesIn([0, 1, 2, 0, 1, 2, 0, 1, 2]);
  const counts = new Map(nodes.map(({ nodeId }) => [nodeId, 0]));
  for (const replicas of placed(nodes, 1_024)) {
    for (const id of replicas) counts.set(id, counts.get(id)! + 1);
  }
  const mean = 3 * 1_024 / 9;
  for (const count of counts.values()) {
    assert.ok(Math.abs(count - mean) < 0.2 * mean, `${count} replicas: the mean is ${mean}`);
  }
});

test("placePartitions refuses a node given twice and counts that cannot be", () => {
  const [node] = nodesIn([0]);
  assert.throws(() => placed([node!, node!]), /found one twice/);
  assert.throws(() => placed([node!], 3), /power of two/);
  const noReplicas = { nodes: [node!], partitionCount: 1, hashKey: HASH_KEY, replicas: 0 };
  assert.throws(() => placePartitions(noReplicas), /positive integer/);
});

function loadsOf(leaders: readonly number[]): Map<number, number> {
  const loads = new Map<number, number>();
  for (const leader of leaders) loads.set(leader, (loads.get(leader) ?? 0) + 1);
  return loads;
}

test("spreadLeaders lets each of three nodes lead a third, from all leaders on one", () => {
  const placements = placed(nodesIn([0, 1, 2]), 1_024);
  const leaders = spreadLeaders({ placements, leaders: placements.map(() => 1) });
  assert.equal([...loadsOf(leaders).values()].sort(), [341, 341, 342]);
  const stayed = leaders.filter((leader) => leader === 1).length;
  assert.is(stayed, loadsOf(leaders).get(1), "No leadership leaves node 1 and comes back");
});

test("spreadLeaders is even within one leader on placements of equal nodes", () => {
  const placements = placed(nodesIn([0, 1, 2, 0, 1, 2, 0, 1, 2]), 1_024);
  const loads = [...loadsOf(spreadLeaders({ placements })).values()];
  assert.ok(Math.max(...loads) - Math.min(...loads) <= 1, `loads ${loads}`);
});

test("spreadLeaders chooses replicas only, and leaves no pair of nodes that one move evens", () => {
  const graph = fc.array(
    fc.uniqueArray(fc.integer({ min: 1, max: 6 }), { minLength: 0, maxLength: 3 }),
    { minLength: 1, maxLength: 40 },
  );
  fc.assert(
    fc.property(graph, fc.array(fc.nat(7), { maxLength: 40 }), (placements, present) => {
      const leaders = spreadLeaders({ placements, leaders: present });
      const loads = loadsOf(leaders);
      placements.forEach((replicas, partition) => {
        const leader = leaders[partition]!;
        assert.ok(replicas.length === 0 ? leader === 0 : replicas.includes(leader));
        for (const node of replicas) {
          assert.ok((loads.get(node) ?? 0) >= loads.get(leader)! - 1);
        }
      });
      assert.equal(spreadLeaders({ placements, leaders }), leaders, "A balanced spread is kept");
    }),
    PARAMETERS,
  );
});

test("spreadLeaders moves only the leaders of a node that is gone where that suffices", () => {
  const all = placed(nodesIn([0, 1, 2]), 1_024);
  const before = spreadLeaders({ placements: all });
  const placements = all.map((replicas) => replicas.filter((id) => id !== 3));
  const leaders = spreadLeaders({ placements, leaders: before });
  assert.equal([...loadsOf(leaders).values()].sort(), [512, 512]);
  leaders.forEach((leader, at) => assert.ok(before[at] === 3 || leader === before[at]));
});

test.run();
