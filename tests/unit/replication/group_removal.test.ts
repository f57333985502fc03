/**
 * Permanent removal of a replica: another one of its group is added only after the log has
 * forgotten it.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { InvariantError } from "../../../src/base/assert.ts";
import type { RegistryError } from "../../../src/base/errors.ts";
import { groupId } from "../../../src/base/ids.ts";
import { type ClusterNode, GroupCluster } from "../../support/group_cluster.ts";

const GROUP = groupId(1);

/** Returns a node with its own group, with an entry, and the answers to its removals. */
async function alone(): Promise<{ cluster: GroupCluster; node: ClusterNode; answers: string[] }> {
  const cluster = await GroupCluster.led({ nodes: 1 });
  const node = cluster.node(1);
  await cluster.world.wait(node.propose("kept"));
  return { cluster, node, answers: [] };
}

function remove({ node, answers }: Awaited<ReturnType<typeof alone>>): void {
  node.host.remove(GROUP, (error?: RegistryError) => void answers.push(error?.code ?? "forgotten"));
}

test("a removed group is gone at once, and forgotten over restarts", async () => {
  const parts = await alone();
  const { cluster, node, answers } = parts;
  const journal = node.journal();
  remove(parts);
  assert.is(node.set.group(GROUP), undefined);
  assert.ok(journal.isRetired, "its memory is freed");
  await cluster.world.pass(100);
  assert.equal(answers, ["forgotten"]);
  await node.restart([]);
  node.add();
  assert.equal(node.journal().applied, []);
});

test("a log that fails to write is asked again until it has forgotten the replica", async () => {
  const parts = await alone();
  const { cluster, node, answers } = parts;
  node.disk.intercept = ({ kind }) => kind === "write" ? "io" : undefined;
  remove(parts);
  await cluster.world.pass(5_000);
  assert.equal(answers, []);
  const twice = () => node.add();
  assert.throws(twice, (error: Error) => error instanceof InvariantError);
  node.disk.intercept = () => undefined;
  await cluster.world.pass(20_000);
  assert.equal(answers, ["forgotten"]);
  await node.restart([]);
  node.add();
  assert.equal(node.journal().applied, []);
});

test("a poisoned log answers, and a restart finds the replica still there", async () => {
  const parts = await alone();
  const { cluster, node, answers } = parts;
  node.disk.intercept = ({ kind }) => kind === "sync" ? "io" : undefined;
  remove(parts);
  await cluster.world.pass(5_000);
  assert.equal(answers, ["storage_unavailable"]);
  await node.restart([]);
  node.add();
  assert.equal(node.journal().applied, ["kept"]);
});

test("closing answers removals that the log did not take", async () => {
  const parts = await alone();
  const { cluster, node, answers } = parts;
  node.disk.intercept = ({ kind }) => kind === "write" ? "io" : undefined;
  remove(parts);
  await cluster.world.pass(1_000);
  node.set.close();
  assert.equal(answers, ["shutting_down"]);
});

test.run();
