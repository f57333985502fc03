/** Refused hellos, each with its code and advice; both ends check. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { errorCodeFromWire } from "../../../../src/base/errors.ts";
import { nodeId } from "../../../../src/base/ids.ts";
import { MEMBER_PROGRAMS_APPLY_VERSION } from "../../../../src/system/versions/features.ts";
import type { PeerHello } from "../../../../src/wire/peer_control.ts";
import { filled } from "../../../support/auth_realm.ts";
import { PeerNodes, statusOf } from "../../../support/peer_nodes.ts";
import { RawNode } from "../../../support/raw_node.ts";

const REFUSED: readonly (readonly [string, Partial<PeerHello>, RegExp])[] = [
  ["wrong_cluster", { clusterId: filled(1, 16) }, /start it with a data folder of this cluster/],
  ["wrong_cluster", { generation: 2 }, /has generation 2 .* join it again/],
  ["invalid_configuration", { region: "us-1" }, /has region us-1, and node 2 eu-1/],
  ["invalid_configuration", { partitionCount: 8 }, /has partitions 8, and node 2 16/],
  ["invalid_configuration", { folderId: filled(9, 16) }, /admitted with data folder/],
  ["unsupported_version", { versionMin: 7, versionMax: 9 }, /upgrade the older one/],
  [
    "unsupported_version",
    { applyVersionMax: 8, program: "0.0.9" },
    /runs a program, 0\.0\.9, that knows apply versions up to 8, and the cluster uses 15: start/,
  ],
  [
    "unsupported_version",
    { program: "", applyVersionMax: 0 },
    /runs a program that knows apply versions up to 14, and the cluster uses 15: start/,
  ],
  ["permission_denied", { nodeId: 3 }, /identity of node 1 claims to be node 3/],
];

/** The cluster's apply version, as the node that is asked knows it. */
const APPLY_VERSION = MEMBER_PROGRAMS_APPLY_VERSION;

for (const [code, changes, message] of REFUSED) {
  test(`a hello with another ${Object.keys(changes)[0]} is refused: ${code}`, async () => {
    const nodes = new PeerNodes(3);
    const two = nodes.start(2, { facts: { applyVersion: () => APPLY_VERSION } });
    const raw = await RawNode.dial(nodes, 2, nodes.realm.enrol("node", 1));
    const answer = await raw.hello(nodes, 1, changes);
    const [wire, ...text] = answer.split(": ");
    assert.is(errorCodeFromWire(Number(wire)), code);
    assert.match(text.join(": "), message);
    const end = await nodes.world.wait(raw.session.closed);
    assert.is(end.code, code);
    assert.equal(two.input.take(), []);
    assert.is(statusOf(two, 1).counts.rejected.get(code), 1);
  });
}

test("the node that dials refuses a listener of another cluster, and goes on dialing", async () => {
  const nodes = new PeerNodes();
  const one = nodes.start(1);
  // The listener accepts the other end as a member of its cluster, because only one end has to
  // differ.
  const two = nodes.start(2, { facts: { folderId: filled(9, 16) } });
  await nodes.world.pass(10_000);
  assert.is(statusOf(one, 2).isConnected, false);
  assert.ok(statusOf(one, 2).counts.rejected.get("invalid_configuration")! > 5);
  assert.equal(one.input.take(), []);
  assert.equal(two.input.take(), []);
  assert.is(one.warnings.length, 1, "A refusal that repeats is logged once");
});

test("a node that is no member, or whose identity is not a node's, is refused", async () => {
  const nodes = new PeerNodes();
  const two = nodes.start(2);
  const unknown = await RawNode.dial(nodes, 2, nodes.realm.enrol("node", 8));
  assert.is((await nodes.world.wait(unknown.session.closed)).code, "permission_denied");
  const agent = await RawNode.dial(nodes, 2, nodes.realm.enrol("agent", 1));
  assert.is((await nodes.world.wait(agent.session.closed)).code, "permission_denied");
  assert.is(two.peers.refused.get("permission_denied"), 2);
  assert.equal(two.input.take(), []);
});

test("a node with a higher number that dials is refused", async () => {
  const nodes = new PeerNodes();
  nodes.start(1);
  const raw = await RawNode.dial(nodes, 1, nodes.realm.enrol("node", 2));
  assert.match(await raw.hello(nodes, 2), /the node with the lower number dials/);
});

test("a second process of a node is refused while the first one answers, and taken when it is gone", async () => {
  const nodes = new PeerNodes();
  const [one, two] = await nodes.startAll();
  const copy = nodes.start(1, { host: "elsewhere" });
  await nodes.world.pass(5_000);
  assert.is(statusOf(copy, 2).isConnected, false);
  assert.match(copy.warnings[0]!, /Node 1 is connected already.*stop one of the two processes/);
  assert.equal(two!.input.take(), []);
  assert.ok(statusOf(two!, 1).counts.rejected.get("locked")! > 0);
  nodes.crash(one!);
  await nodes.world.pass(5_000);
  assert.is(statusOf(copy, 2).isConnected, true);
  // The new session replaces the one that did not answer.
  assert.equal(two!.input.take(), ["1 connected", "1 lost"]);
});

test("a node that restarted replaces its old session before the other end notices its death", async () => {
  const nodes = new PeerNodes();
  const [one, two] = await nodes.startAll();
  // The host is cut off in both directions, so no end notices the end of the old session yet.
  nodes.network.cut("host1", "host2");
  one!.process.kill();
  const again = nodes.start(1, { host: "elsewhere" });
  await nodes.world.pass(1_500);
  assert.is(statusOf(again, 2).isConnected, true);
  assert.ok(two!.input.take().includes("1 connected"));
});

test("a banned node loses its session at once, and is not taken back", async () => {
  const nodes = new PeerNodes();
  const [one, two] = await nodes.startAll();
  const { subject } = nodes.realm.enrol("node", 1).identity;
  nodes.realm.banned.add(subject);
  nodes.bans.ban({ kind: "subject", name: subject, reason: "stolen" });
  await nodes.world.settle();
  assert.equal(two!.input.take(), ["1 lost"]);
  await nodes.world.pass(10_000);
  assert.is(statusOf(two!, 1).isConnected, false);
  one!.peers.send(nodeId(2), new Uint8Array(16));
  await nodes.world.pass(100);
  assert.equal(two!.input.take(), []);
});

test.run();
