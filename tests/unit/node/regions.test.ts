/** Peer regions through a whole registry: from their addition to mirrors that reads serve. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { MIRROR_FRESH_MS_MAX, REGION_SHARDS } from "../../../src/base/limits.ts";
import { formatUuid } from "../../../src/base/uuid.ts";
import type { PeerRegion } from "../../../src/system/regions/region_state.ts";
import { FakeRegionLink, SourceRegion } from "../../support/fake_region_link.ts";
import { rejectionOf } from "../../support/refusal.ts";
import { RegistryHarness } from "../../support/registry_harness.ts";
import { idOf } from "../../support/store.ts";

const NAMED = { name: "us", servers: ["192.0.2.7:4443"], bundle: "" };
const DEFAULTS = { preference: 0, bytesPerSecondMax: 0, logPercentMax: 0 };
const UNCHANGED = { ...NAMED, ...DEFAULTS, servers: [], pause: 0 };

/** A registry that follows a region under test. */
async function followed() {
  const source = new SourceRegion(4);
  const links: FakeRegionLink[] = [];
  const harness: RegistryHarness = new RegistryHarness({
    linkTo: (_: PeerRegion) => {
      const link = new FakeRegionLink(source, harness.world);
      link.isUp = links.at(-1)?.isUp ?? true;
      links.push(link);
      return link;
    },
  });
  await harness.start();
  const { registry, world } = harness;
  const pin = new Uint8Array(32);
  await world.wait(registry.putMember({ nodeId: 1, addresses: [], pin, nextPin: pin }));
  registry.placement.hurry();
  await world.pass(100);
  const peer = await harness.peer();
  await peer.must("addRegion", { ...NAMED, ...DEFAULTS });
  const entry = async () => (await peer.must("listRegions", {})).regions[0]!;
  return { source, links, harness, world, peer, entry };
}

test("a region that is added is accepted, assigned, mirrored, and served with its age", async () => {
  const { source, harness, world, entry } = await followed();
  for (let number = 0; number < 20; number++) source.register(number, true, undefined);
  assert.is((await entry()).state, "unassigned");
  await world.pass(10_000);
  const { state, generation, clusterId, mirrors, replicatedAgeMs, error } = await entry();
  assert.equal([state, generation, mirrors, error], ["following", 1, 20, ""]);
  assert.equal(clusterId, source.status.clusterId);
  assert.ok(replicatedAgeMs < 2_500, `${replicatedAgeMs}`);
  const client = await harness.client();
  const { source: from } = await world.wait(client.getAgent(formatUuid(idOf(7))));
  assert.equal([from?.home, from?.suspended], ["us", false]);
  assert.ok(from!.ageMs! < 2_500);
  const { pullers } = harness.registry.groups.system.store.state.regions.of("us")!;
  assert.equal(pullers.map(({ nodeId }) => nodeId), Array(REGION_SHARDS).fill(1));
});

test("a region out of reach is served as suspended, and nothing of it is deleted", async () => {
  const { source, harness, world, links } = await followed();
  for (let number = 0; number < 20; number++) source.register(number, true, undefined);
  await world.pass(10_000);
  for (const link of links) link.isUp = false;
  await world.pass(MIRROR_FRESH_MS_MAX + 60_000);
  const client = await harness.client();
  const answer = await world.wait(client.getAgent(formatUuid(idOf(7))));
  assert.is(answer.source?.suspended, true);
  assert.ok(answer.source!.ageMs! >= MIRROR_FRESH_MS_MAX + 60_000);
  // Nothing is known of it after a restart, so its age is not made up.
  await harness.restart();
  await world.pass(5_000);
  const again = await harness.client();
  const unknown = await world.wait(again.getAgent(formatUuid(idOf(7))));
  assert.equal([unknown.source?.suspended, unknown.source?.ageMs], [true, undefined]);
  const { mirrors, state } = (await (await harness.peer()).must("listRegions", {})).regions[0]!;
  assert.equal([mirrors, state], [20, "connecting"]);
});

test("a run after a restart has another fence, and continues where the one before was", async () => {
  const { source, harness, world, links } = await followed();
  for (let number = 0; number < 20; number++) source.register(number, true, undefined);
  await world.pass(70_000);
  const fences = () =>
    harness.registry.groups.system.store.state.regions.of("us")!.pullers.map(({ fence }) => fence);
  const before = fences();
  await harness.restart();
  source.register(3, true, undefined);
  await world.pass(10_000);
  assert.ok(Math.min(...fences()) > Math.max(...before));
  const continued = links.at(-1)!.feeds.map(({ request }) => request.cursors.size);
  assert.is(continued.reduce((sum, size) => sum + size, 0), 4);
  const client = await harness.client();
  const { agent } = await world.wait(client.getAgent(formatUuid(idOf(3))));
  assert.is(agent.port, source.records.get(3)!.port);
});

test("a region that was re-created is refused until it is accepted", async () => {
  const { source, harness, world, peer, entry, links } = await followed();
  for (let number = 0; number < 20; number++) source.register(number, true, undefined);
  await world.pass(10_000);
  const clusterId = new Uint8Array(16).fill(8);
  // Another cluster answers under the same name, with nothing in it.
  source.recreate();
  source.status = { ...source.status, clusterId };
  for (const feed of links.flatMap(({ feeds }) => feeds)) feed.close();
  await world.pass(60_000);
  const refused = await entry();
  assert.equal([refused.state, refused.mirrors, refused.seenGeneration], ["refused", 20, 1]);
  assert.equal(refused.seenClusterId, clusterId);
  assert.ok(refused.error.includes("accept-generation"), refused.error);
  await peer.must("acceptGeneration", { name: "us", clusterId, generation: 1 });
  await world.pass(60_000);
  const accepted = await entry();
  assert.equal([accepted.state, accepted.mirrors], ["following", 0]);
  const client = await harness.client();
  assert.is(
    (await rejectionOf(world.wait(client.getAgent(formatUuid(idOf(7)))))).code,
    "not_found",
  );
  assert.is(
    (await peer.ask("acceptGeneration", { name: "ap", clusterId, generation: 1 })).code,
    "not_found",
  );
});

test("a region that is paused or removed is followed no more", async () => {
  const { source, harness, world, peer, entry, links } = await followed();
  const counts = () => harness.registry.regions.snapshot().counts;
  source.register(1, true, undefined);
  await world.pass(10_000);
  await peer.must("setRegion", { ...UNCHANGED, pause: 1 });
  await world.pass(5_000);
  assert.is((await entry()).state, "paused");
  assert.is(counts().get("us")?.changes, 1);
  assert.ok(links.every(({ isClosed }) => isClosed));
  source.register(2, true, undefined);
  await world.pass(5_000);
  assert.is((await entry()).mirrors, 1);
  await peer.must("setRegion", { ...UNCHANGED, pause: 2 });
  await world.pass(10_000);
  assert.equal([(await entry()).state, (await entry()).mirrors], ["following", 2]);
  await peer.must("removeRegion", { name: "us" });
  await world.pass(60_000);
  assert.ok(links.every(({ isClosed }) => isClosed));
  assert.is(counts().size, 0, "metrics forget a removed region");
});

test.run();
