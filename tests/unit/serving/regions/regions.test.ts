/** Peer regions through a whole registry: what controllers set, and the mirrors of removed regions. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { encodeBase64url } from "../../../../src/base/base64url.ts";
import { MIRROR_DROP_LOOK_MS } from "../../../../src/base/limits.ts";
import {
  encodeMirrorBatch,
  encodeMirrorFence,
  encodeRaisePartitionVersion,
} from "../../../../src/record/command.ts";
import type { Partition } from "../../../../src/serving/partitions.ts";
import { RegionServers } from "../../../../src/serving/regions/region_servers.ts";
import type { PeerRegion } from "../../../../src/system/regions/region_state.ts";
import { PARTITION_APPLY_VERSION } from "../../../../src/store/apply_version.ts";
import { agentPut, batchOf } from "../../../support/mirrors.ts";
import { RegistryHarness } from "../../../support/registry_harness.ts";

const NAMED = { name: "us-1", servers: ["192.0.2.7:4443"], bundle: "" };
const PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----";
const DEFAULTS = { preference: 0, bytesPerSecondMax: 0, logPercentMax: 0 };

/** Opens a registry whose group 0 knows regions. */
async function opened(): Promise<RegistryHarness> {
  const harness = await RegistryHarness.open();
  await raised(harness);
  return harness;
}

/** Makes the node a member, after which the apply version rises. */
async function raised({ registry, world }: RegistryHarness): Promise<void> {
  const pin = new Uint8Array(32);
  await world.wait(registry.putMember({ nodeId: 1, addresses: [], pin, nextPin: pin }));
  registry.placement.hurry();
  await world.pass(100);
}

/** Logs commands in a partition. */
async function logged({ world }: RegistryHarness, { group }: Partition, make: readonly Command[]) {
  for (const command of make) {
    const header = { timeMs: Math.floor(group.timeMs()), unixS: 1, writer: 0 };
    const proposed = await world.wait(group.propose(command(header), 5_000));
    assert.ok(proposed.ok && proposed.outcome.code === "ok");
  }
}

type Command = (header: { timeMs: number; unixS: number; writer: number }) => Uint8Array;

test("regions are added with defaults, changed, paused, listed and removed", async () => {
  const harness = await opened();
  const peer = await harness.peer();
  const list = async () => (await peer.must("listRegions", {})).regions;
  await peer.must("addRegion", { ...NAMED, ...DEFAULTS });
  const added = (await list())[0]!;
  assert.equal([added.name, added.preference, added.logPercentMax, added.isPaused], [
    ...["us-1", 100, 25, false],
  ]);
  assert.is((await peer.ask("addRegion", { ...NAMED, ...DEFAULTS })).code, "incarnation_mismatch");
  const unchanged = { ...NAMED, ...DEFAULTS, servers: [], pause: 0 };
  await peer.must("setRegion", { ...unchanged, preference: 7, pause: 1 });
  const paused = (await list())[0]!;
  assert.equal([paused.preference, paused.isPaused, paused.servers], [7, true, NAMED.servers]);
  await peer.must("setRegion", { ...unchanged, pause: 2, bundle: PEM });
  const resumed = (await list())[0]!;
  assert.equal([resumed.preference, resumed.isPaused, resumed.hasBundle], [7, false, true]);
  assert.is((await peer.ask("setRegion", { ...unchanged, pause: 3 })).code, "invalid_argument");
  const other = { ...unchanged, name: "ap-1" };
  assert.is((await peer.ask("setRegion", other)).code, "not_found");
  const own = { ...NAMED, ...DEFAULTS, name: "global" };
  assert.is((await peer.ask("addRegion", own)).code, "invalid_argument");
  await peer.must("removeRegion", { name: "us-1" });
  assert.equal(await list(), []);
  assert.is((await peer.ask("removeRegion", { name: "us-1" })).code, "not_found");
});

test("regionServers tells clients where a region's servers are, and how they are verified", async () => {
  const harness = await opened();
  const peer = await harness.peer();
  const of = async (name: string) => await peer.must("regionServers", { name });
  assert.equal(await of("global"), { servers: [], authorities: "" });
  assert.is((await peer.ask("regionServers", { name: "us-1" })).code, "not_found");
  await peer.must("addRegion", { ...NAMED, ...DEFAULTS, bundle: `${PEM}\n` });
  const [address] = NAMED.servers;
  assert.equal(await of("us-1"), { servers: [{ address, pins: [] }], authorities: PEM });
});

test("RegionServers: the servers of a trust bundle are verified by their pins", () => {
  const server = {
    subject: "spiffe://registry.example/region/us-1/node/01890000-0000-7000-8000-000000000001",
    authorities: NAMED.servers,
    currentPin: encodeBase64url(new Uint8Array(32).fill(1)),
    nextPin: encodeBase64url(new Uint8Array(32).fill(2)),
  };
  const content = {
    ...{ version: 1, trustDomain: "registry.example", sequence: 1, issuedAtMs: 1, expiresAtMs: 2 },
    ...{ roots: [], intermediates: [], servers: [server] },
  };
  const of = (bundle: string, servers = NAMED.servers) => {
    const region = { settings: { ...NAMED, servers, bundle } } as unknown as PeerRegion;
    return new RegionServers({ own: "global", regionOf: () => region }).of("us-1");
  };
  const [address] = NAMED.servers;
  const pins = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
  const whole = JSON.stringify({ bundle: content });
  assert.equal(of(whole), { servers: [{ address, pins }], authorities: "" });
  const other = "192.0.2.8:4443";
  assert.equal(of(whole, [other]).servers, [{ address: other, pins: [] }]);
  assert.equal(of("{}"), { servers: [{ address, pins: [] }], authorities: "" });
});

test("a trust bundle is checked when it is added, and stored without the end of its file", async () => {
  const harness = await opened();
  const peer = await harness.peer();
  for (const bundle of ["{}", "us-1.bundle", '{"bundle": 1}']) {
    const { code } = await peer.ask("addRegion", { ...NAMED, ...DEFAULTS, bundle });
    assert.is(code, "invalid_argument", bundle);
  }
  await peer.must("addRegion", { ...NAMED, ...DEFAULTS });
  const changed = { ...NAMED, ...DEFAULTS, pause: 0, bundle: "{}" };
  assert.is((await peer.ask("setRegion", changed)).code, "invalid_argument");
});

test("a region is refused while group 0 does not know regions", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  assert.is((await peer.ask("addRegion", { ...NAMED, ...DEFAULTS })).code, "overloaded");
  await raised(harness);
  assert.is((await peer.ask("addRegion", { ...NAMED, ...DEFAULTS })).code, "ok");
});

test("the mirrors of a removed region are dropped, at once and after a restart", async () => {
  const harness = await opened();
  const peer = await harness.peer();
  await peer.must("addRegion", { ...NAMED, ...DEFAULTS });
  const partitions = [...harness.registry.table.here()].slice(0, 2);
  const mirrors = () => harness.registry.shared.statistics().mirrors;
  const mirror = async (partition: Partition, home: string, fence: number) => {
    const one = { home, fence, puts: [agentPut(5, { number: partition.id + 1 })] };
    const version: Command[] = partition.store.applyVersion > 1
      ? []
      : [(header) => encodeRaisePartitionVersion(header, PARTITION_APPLY_VERSION)];
    await logged(harness, partition, [
      ...version,
      (header) => encodeMirrorFence(header, { home, shard: 0, fence }),
      (header) => encodeMirrorBatch(header, batchOf(one)),
    ]);
  };
  for (const partition of partitions) {
    // The removal gets number 2.
    await mirror(partition, "us-1", 1);
    await mirror(partition, "ap-1", 1);
  }
  assert.is(mirrors(), 4);
  assert.is((await peer.must("listRegions", {})).regions[0]!.mirrors, 2);
  await peer.must("removeRegion", { name: "us-1" });
  await harness.world.pass(1_000);
  assert.is(mirrors(), 2, "those of another region stay");
  // Those of a removed region that were still on their way are found by the next look.
  await harness.restart();
  const [first] = harness.registry.table.here();
  assert.is(first!.store.mirrors.source("us-1"), undefined);
  const late = await harness.world.wait(first!.group.propose(
    encodeMirrorFence({ timeMs: 0, unixS: 1, writer: 0 }, { home: "us-1", shard: 0, fence: 1 }),
    5_000,
  ));
  assert.ok(late.ok && late.outcome.code === "superseded", "its puller is of before the removal");
  await harness.world.pass(2 * MIRROR_DROP_LOOK_MS);
  assert.is(mirrors(), 2);
});

test.run();
