/** The feed of a region, as other regions follow it: what they are shown, and who may follow. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { developmentPeer } from "../../../../identity/enrolment/development_peer.ts";
import { type Agent, agentCodec } from "../../../../schemas/gen/record.ts";
import { WATCH_EVENT_TYPES, WATCH_STARTS } from "../../../../schemas/gen/wire.ts";
import { type AuthenticatedPeer, NO_GRANTS } from "../../../../src/base/peer.ts";
import { NO_POSITION, type Position } from "../../../../src/base/position.ts";
import { EXPIRY_FLOOR_DEFAULT, TTL_MS_MIN } from "../../../../src/base/limits.ts";
import { KIND_AGENT } from "../../../../src/record/key.ts";
import { isStaleState } from "../../../../src/record/record_state.ts";
import { encodePutRegionBans } from "../../../../src/system/regions/region_codec.ts";
import type { OperationName, RequestOf } from "../../../../src/wire/operations/mod.ts";
import type { RawPeer } from "../../../support/raw_peer.ts";
import {
  agentRequest,
  gatewayRequest,
  RegistryHarness,
} from "../../../support/registry_harness.ts";
import { idOf } from "../../../support/store.ts";
import { NO_ORDER, type ProbedEvent, startAll, WatchProbe } from "../../../support/watch_probe.ts";

const PARTITIONS = 4;
const STATE = startAll(PARTITIONS, WATCH_STARTS.state);
const NEXT = startAll(PARTITIONS, WATCH_STARTS.next);
const REGION_SCOPE = 1;
const { put, superseded, deregistered } = WATCH_EVENT_TYPES;
const ID = "6f1c2f6e-8a58-5d0c-9f6e-0d8d6c1b7a11";
const NO_BAN = { subject: "", lineage: 0, untilMs: 0 };
const ADDED = {
  ...{ servers: ["192.0.2.7:4443"], bundle: "" },
  ...{ preference: 0, bytesPerSecondMax: 0, logPercentMax: 0 },
};

/** Opens a region with the peer regions `us-1` and `ap-1`. */
async function opened(partitions = PARTITIONS) {
  let identity: Partial<AuthenticatedPeer> = {};
  const harness = await RegistryHarness.open({
    partitions,
    peer: (revoked) => ({ ...developmentPeer({ region: "global", revoked }), ...identity }),
  });
  const { registry, world } = harness;
  const owner = await harness.peer();
  const pin = new Uint8Array(32);
  await world.wait(registry.putMember({ nodeId: 1, addresses: [], pin, nextPin: pin }));
  registry.placement.hurry();
  await world.pass(100);
  for (const name of ["us-1", "ap-1"]) await owner.must("addRegion", { ...ADDED, name });
  const as = async (fields: Partial<AuthenticatedPeer>): Promise<RawPeer> => {
    identity = { pinned: true, grants: NO_GRANTS, ...fields };
    return await harness.peer();
  };
  const node = (region: string) => as({ role: "region", region, subject: `node of ${region}` });
  const put = async (fields: Partial<Agent> & { number: number }, expected?: Position) =>
    await owner.must("registerAgent", agentRequest(fields, expected));
  return { harness, owner, as, node, put };
}

const follow = (peer: RawPeer, positions = STATE, follower = "us-1") =>
  new WatchProbe(peer, "regionFeed", { positions, follower });

/** Returns the events as the number of the agent, the type, and whether the form before is shown. */
const told = (events: readonly ProbedEvent[]) =>
  events.map(({ record, type, before }) => [record[23], type, before.length > 0]);

test("regionFeed: the state of global scope, then its changes; others are never shown", async () => {
  const { harness, owner, node, put: register } = await opened();
  await register({ number: 1 });
  await register({ number: 2, scope: REGION_SCOPE });
  await owner.must("registerGateway", gatewayRequest({ number: 3 }));
  await owner.must("registerGateway", gatewayRequest({ number: 4, scope: REGION_SCOPE }));
  const probe = follow(await node("us-1"));
  await harness.world.pass(2);
  assert.equal(told(probe.events).map(([number]) => number).sort(), [1, 3]);
  assert.is(probe.positions.size, PARTITIONS);
  const { incarnation } = await register({ number: 5, scope: REGION_SCOPE });
  await register({ number: 2, scope: REGION_SCOPE, sequence: 8 });
  await register({ number: 6 });
  const ended = { id: idOf(5), process: 7, sequence: 9, incarnation, withAgents: false };
  await owner.must("deregisterAgent", ended);
  await harness.world.pass(2);
  assert.equal(told(probe.events.slice(2)), [[6, put, false]]);
  const shown = probe.events.filter(({ record }) => [2, 4, 5].includes(record[23]!));
  assert.equal(shown, []);
});

test("regionFeed: a record that leaves the global scope is removed, and its new form not shown", async () => {
  const { harness, node, put: register } = await opened();
  const domain = "a1.example";
  await register({ number: 1, domain });
  const live = follow(await node("us-1"));
  await harness.world.pass(2);
  const resume = live.resume();
  await register({ number: 1, domain, sequence: 8, scope: REGION_SCOPE, port: 5 });
  await register({ number: 1, domain, sequence: 9, scope: REGION_SCOPE, port: 6 });
  await register({ number: 1, domain, sequence: 10, port: 7 });
  await register({ number: 1, domain, sequence: 11, port: 8 });
  await harness.world.pass(2);
  // Whoever was connected is told the same as one that continues from a cursor.
  const late = follow(await node("us-1"), resume);
  await harness.world.pass(2);
  for (const events of [live.events.slice(1), late.events]) {
    assert.equal(told(events), [[1, deregistered, false], [1, put, false], [1, put, true]]);
    assert.ok(events[0]!.left);
    const [left, back, changed] = events.map(({ record }) => agentCodec.decode(record));
    assert.equal([left!.port, left!.scope, back!.port, changed!.port], [0, 0, 7, 8]);
    assert.is(agentCodec.decode(events[2]!.before).port, 7);
  }
});

test("regionFeed: loss of a domain is told by the record alone, a take-over as such", async () => {
  const { harness, node, put: register } = await opened();
  await register({ number: 1, domain: "a1.example" });
  const probe = follow(await node("us-1"), NEXT);
  await harness.world.pass(2);
  const { incarnation } = await register({ number: 1, domain: "b1.example", sequence: 8 });
  await harness.world.pass(2);
  await register({ number: 1, domain: "b1.example", process: 8, sequence: 1 }, incarnation);
  await harness.world.pass(2);
  const types = probe.events.map(({ type }) => type);
  assert.ok(types.length >= 2 && types.every((type) => type === put || type === superseded));
  const { domain } = agentCodec.decode(probe.events[0]!.before);
  assert.is(domain, "a1.example");
});

test("regionFeed: credential hashes stay in their region", async () => {
  const { harness, node, put: register } = await opened();
  const credentialHash = new Uint8Array(32).fill(9);
  await register({ number: 1, extra: { credentialHash, labels: [], superseded: [] } });
  const probe = follow(await node("us-1"));
  await harness.world.pass(2);
  assert.is(agentCodec.decode(probe.events[0]!.record).extra?.credentialHash.length ?? 0, 0);
});

test("regionFeed: a node of a region follows in its own region's name, as long as that is a peer", async () => {
  const { harness, owner, node, as } = await opened();
  const us = await node("us-1");
  const asOther = follow(us, STATE, "ap-1");
  const stranger = follow(await node("eu-9"), STATE, "eu-9");
  const unpinned = follow(await as({ role: "region", region: "us-1", pinned: false }), STATE);
  const good = follow(us);
  const development = follow(await as({}), STATE, "ap-1");
  const unnamed = follow(await as({}), STATE, "eu-9");
  await harness.world.pass(2);
  assert.equal([asOther, stranger, unpinned, unnamed].map(({ end }) => end), [
    ...["permission_denied", "permission_denied", "permission_denied", "permission_denied"],
  ]);
  assert.equal([good, development].map(({ end }) => end), [undefined, undefined]);
  await owner.must("removeRegion", { name: "us-1" });
  await owner.must("registerAgent", agentRequest({ number: 1 }));
  await harness.world.pass(2);
  assert.is(good.end, "permission_denied");
  assert.is(good.events.length, 0);
  assert.is(development.events.length, 1);
});

test("regionStatus: tells the bans of nodes; a node that its region banned follows no longer", async () => {
  const { harness, owner, as } = await opened();
  const nothing = new Uint8Array(0);
  const subjectOf = (role: string) => `spiffe://x.example/region/global/${role}/${ID}`;
  for (const role of ["node", "agent"]) {
    await owner.must("ban", { kind: 1, name: subjectOf(role), reason: "", untilMs: 0 });
  }
  const us = { role: "region", region: "us-1", subject: "node of us-1", lineage: 7 } as const;
  const peer = await as(us);
  const status = { follower: "us-1", bundleSequence: 0, bansDigest: nothing };
  const { bans, bansDigest } = await peer.must("regionStatus", status);
  assert.equal(bans, [{ subject: subjectOf("node"), lineage: 0, untilMs: 0 }]);
  const again = await peer.must("regionStatus", { ...status, bansDigest });
  assert.equal([again.bans, again.bansDigest], [[], bansDigest]);
  await owner.must("unban", { kind: 1, name: subjectOf("node"), reason: "", untilMs: 0 });
  const lifted = await peer.must("regionStatus", { ...status, bansDigest });
  assert.equal(lifted.bans, []);
  assert.not.equal(lifted.bansDigest, bansDigest);
  // Now us-1 bans its node, which this region learns as it follows us-1.
  const probe = follow(peer);
  await harness.world.pass(2);
  const ban = { name: "us-1", digest: bansDigest, bans: [{ ...NO_BAN, lineage: 7 }] };
  const { group } = harness.registry.identities;
  await harness.world.wait(
    group.propose((header) => encodePutRegionBans(header, ban), 0, group.soon()),
  );
  await harness.world.pass(2_000);
  assert.is(probe.end, "unauthenticated");
  assert.is((await peer.ask("regionStatus", status)).code, "unauthenticated");
  const other = await as({ ...us, lineage: 8 });
  assert.is((await other.ask("regionStatus", status)).code, "ok");
});

test("regionFeed: takes no conditions, and other watches take no follower", async () => {
  const { harness, node, as } = await opened();
  const peer = await node("us-1");
  const orders = [
    ...[{ kind: 1 }, { region: "eu" }, { labels: [{ key: "a", value: "b" }] }],
    ...[{ ids: [idOf(1)] }, { withBefore: true }, { follower: "" }, { positions: [] }],
  ];
  const probes = orders.map((order) =>
    new WatchProbe(peer, "regionFeed", { positions: STATE, follower: "us-1", ...order })
  );
  const client = new WatchProbe(await as({}), "watch", { positions: NEXT, follower: "us-1" });
  await harness.world.pass(2);
  for (const probe of [...probes, client]) assert.is(probe.end, "invalid_argument");
});

test("a node of another region may follow, end its feed, ask for progress, and nothing else", async () => {
  const { harness, node, put: register } = await opened();
  await register({ number: 1, domain: "a1.example" });
  const peer = await node("us-1");
  const id = idOf(1);
  const owned = { id, process: 7, sequence: 9, incarnation: NO_POSITION, withAgents: false };
  const nothing = new Uint8Array(0);
  const enrol = { token: "", subject: "", request: nothing, timeMs: 0, proof: nothing };
  const refused: Partial<{ readonly [Name in OperationName]: unknown }> = {
    ...{ getAgent: { id }, resolveAgent: { domain: "a1.example" }, status: {} },
    ...{ registerAgent: agentRequest({ number: 1 }), deregisterAgent: owned },
    ...{ listAgentsByRegion: { region: "", cursor: nothing, limit: 1 } },
    ...{ watch: { ...NO_ORDER, positions: NEXT }, listAndWatch: { ...NO_ORDER, positions: STATE } },
    ...{ clusterStatus: {}, getRingMap: {}, listRegions: {}, addRegion: { ...ADDED, name: "x" } },
    ...{ removeRegion: { name: "ap-1" }, enrol, systemReadPoint: {} },
    ...{ proposeSystem: { command: new Uint8Array(8), proof: nothing } },
  };
  const names = Object.keys(refused) as OperationName[];
  const codes: string[] = [];
  for (const name of names) {
    const { code } = await peer.ask(name, refused[name] as RequestOf<typeof name>);
    codes.push(`${name} ${code}`);
  }
  assert.equal(codes, names.map((name) => `${name} permission_denied`));
  const status = await peer.must("regionStatus", {
    follower: "us-1",
    bundleSequence: 0,
    bansDigest: nothing,
  });
  assert.equal([status.region, status.generation, status.partitionCount], [
    "global",
    1,
    PARTITIONS,
  ]);
  const { clusterId, hashKey } = harness.registry.cluster;
  assert.equal([status.clusterId, status.hashKey], [clusterId, hashKey]);
  const lie = await peer.ask("regionStatus", {
    follower: "ap-1",
    bundleSequence: 0,
    bansDigest: nothing,
  });
  assert.is(lie.code, "permission_denied");
  const probe = follow(peer);
  await harness.world.pass(2);
  await peer.must("askProgress", { id: probe.id, nonce: 5 });
  await harness.world.pass(2);
  assert.is(probe.progress.at(-1)!.body.nonce, 5);
  assert.is(probe.progress.at(-1)!.response.receipts.length, 1);
  await peer.must("cancelWatch", { id: probe.id });
  assert.is(probe.end, "ok");
});

test("regionFeed: a record that becomes stale, or recovers, is a change that earlier programs know", async () => {
  const { harness, node, owner, put: register } = await opened();
  // More than may be lost at once.
  const numbers = Array.from({ length: EXPIRY_FLOOR_DEFAULT + 10 }, (_, at) => at + 1);
  const incarnations: Position[] = [];
  for (const number of numbers) {
    incarnations.push((await register({ number, ttlMs: TTL_MS_MIN })).incarnation);
  }
  const probe = follow(await node("us-1"), NEXT);
  await harness.world.pass(TTL_MS_MIN + 3_000);
  const states = () =>
    probe.events.filter(({ record }) => record[23] === 7)
      .map(({ record, type }) => [type, isStaleState(agentCodec.decode(record).state)]);
  assert.equal(states(), [[put, true]]);
  const items = [{ id: idOf(7), incarnation: incarnations[6]!, kind: KIND_AGENT }];
  assert.is((await owner.must("renew", { items })).renewed, 1);
  await harness.world.pass(100);
  assert.equal(states(), [[put, true], [put, false]]);
});

test.run();
