/** Joining: each refusal by its code, and requests that are repeated or cross. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { JoinClusterRequest } from "../../../../schemas/gen/wire.ts";
import { RegistryError } from "../../../../src/base/errors.ts";
import { PlacedNodes } from "../../../support/placed_nodes.ts";

/** Returns the code with which node 1 refuses a request, or the number that it gives. */
async function answerOf(cluster: PlacedNodes, request: JoinClusterRequest, at = 1) {
  try {
    const reply = await cluster.world.wait(cluster.node(at).joining.join(request));
    return reply.nodeId;
  } catch (error) {
    assert.instance(error, RegistryError);
    return (error as RegistryError).code;
  }
}

test("Joining.join refuses what cannot belong to the cluster, each by its code", async () => {
  const cluster = new PlacedNodes({ partitionCount: 2 });
  await cluster.found("a");
  const refused: [Partial<JoinClusterRequest>, string][] = [
    [{ region: "us" }, "invalid_configuration"],
    [{ partitionCount: 4 }, "invalid_configuration"],
    [{ zone: "" }, "invalid_configuration"],
    [{ clusterId: new Uint8Array(16).fill(9) }, "wrong_cluster"],
    [{ nodeId: 1 }, "locked"],
    [{ folderId: new Uint8Array(16) }, "invalid_argument"],
  ];
  for (const [wrong, code] of refused) {
    const request = { ...cluster.request(2, "b"), ...wrong };
    assert.is(await answerOf(cluster, request), code, JSON.stringify(Object.keys(wrong)));
  }
  assert.is(await answerOf(cluster, cluster.request(2, "b")), 2, "nothing was left behind");
});

test("Joining.join gives no number away before the founder has described itself", async () => {
  const cluster = new PlacedNodes({ partitionCount: 2 });
  const node = await cluster.create();
  assert.is(await answerOf(cluster, cluster.request(2)), "overloaded");
  await cluster.world.wait(node.joining.join(cluster.request(1), "self"));
  assert.is(await answerOf(cluster, cluster.request(2)), 2);
});

test("Joining.join is refused by a node that does not lead group 0, with the leader", async () => {
  const cluster = new PlacedNodes({ partitionCount: 2 });
  await cluster.found();
  await cluster.join(2);
  try {
    await cluster.world.wait(cluster.node(2).joining.join(cluster.request(3)));
    assert.unreachable();
  } catch (error) {
    assert.is((error as RegistryError).code, "not_leader");
    assert.is((error as RegistryError).fields.leaderHint, 1);
  }
});

test("Joining.join at any node tells a member who is one, and changes nothing", async () => {
  const cluster = new PlacedNodes({ partitionCount: 2 });
  const { groups } = await cluster.found();
  await cluster.join(2);
  await cluster.join(3);
  const { clusterId } = groups.system.store.genesis!;
  const { joining } = cluster.node(3);
  const member = { ...cluster.request(2), nodeId: 2, clusterId, zone: "another" };
  await cluster.until("node 3 knows node 2", () => joining.describe().systemReplicas.length === 3);
  const before = groups.system.group.status().lastIndex;
  const reply = await cluster.world.wait(joining.join(member));
  assert.is(reply.nodeId, 2);
  assert.equal(reply.members.map(({ nodeId }) => nodeId), [1, 2, 3]);
  assert.equal(reply.systemReplicas.map(({ nodeId }) => nodeId), [1, 2, 3]);
  assert.is(groups.system.group.status().lastIndex, before);
  for (const other of [{ folderId: new Uint8Array(16).fill(9) }, { nodeId: 9 }]) {
    assert.is(await answerOf(cluster, { ...member, ...other }, 3), "not_leader");
  }
});

test("Joining.join gives a folder one number and one replica, however its requests cross", async () => {
  const cluster = new PlacedNodes({ partitionCount: 2 });
  const { groups, joining } = await cluster.found();
  const request = cluster.request(2);
  const crossing = [joining.join(request), joining.join(request)];
  const [one, other] = await cluster.world.wait(Promise.all(crossing));
  assert.is(one!.nodeId, other!.nodeId);
  assert.is(one!.replica, other!.replica);
  await cluster.join(2);
  await cluster.until(
    "the node votes",
    () => groups.system.group.configuration.voters.length === 2,
  );
  await cluster.world.pass(2_000);
  assert.equal(
    groups.system.group.configuration.learners,
    [],
    "the second id is in no configuration",
  );
});

test.run();
