/** The leaders that a node sees: a look tells of each change that a balance depends on, and of nothing else. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type NodeId, nodeId } from "../../../../src/base/ids.ts";
import { SeenLeaders } from "../../../../src/replication/placement/seen_leaders.ts";
import { PlacedNodes } from "../../../support/placed_nodes.ts";

test("SeenLeaders tells of changes of group 0, of configurations, of leaders and of fit nodes", async () => {
  const cluster = new PlacedNodes();
  await cluster.found();
  for (const id of [2, 3]) await cluster.join(id);
  await cluster.until("even leaders", () => cluster.leads().every((count) => count > 0));
  const { groups, work } = cluster.node(1);
  const unfit = new Set<number>();
  const seen = new SeenLeaders({ groups, mayLead: (node) => !unfit.has(node) });
  assert.ok(seen.look(), "the first look");
  assert.not(seen.look());
  assert.equal(seen.placements.map((nodes) => [...nodes].sort()), Array(8).fill([1, 2, 3]));
  const leading = (self: NodeId) => seen.leaders.filter((leader) => leader === self).length;
  assert.equal([1, 2, 3].map((id) => leading(nodeId(id))), cluster.leads());

  unfit.add(3);
  assert.ok(seen.look(), "a node is not fit any more");
  assert.equal(seen.placements.map((nodes) => [...nodes].sort()), Array(8).fill([1, 2]));
  assert.not(seen.look());

  await cluster.join(4);
  assert.ok(seen.look(), "a member came");
  const isOn4 = () => [...cluster.node(4).groups.partitions].length > 0;
  await cluster.until("replicas on it", () => isOn4() && cluster.votersOf(0).length === 3);
  assert.ok(seen.look(), "replicas moved");

  await cluster.until("the end of its leaderships", () => work.balance.resign() === 0);
  assert.ok(seen.look(), "others lead");
  assert.is(leading(nodeId(1)), 0);
});

test.run();
