/** Reads that serve mirrors, and writes that are refused on them, through a whole registry. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { MIRROR_FRESH_MS_MAX } from "../../../../src/base/limits.ts";
import type { MirrorView } from "../../../../schemas/gen/record.ts";
import { RESOLVED_PARTS } from "../../../../schemas/gen/wire.ts";
import { domainBytes, KIND_AGENT, KIND_ALIAS } from "../../../../src/record/key.ts";
import { MirrorHomes } from "../../../../src/serving/regions/mirror_homes.ts";
import type { PeerRegion, RegionSettings } from "../../../../src/system/regions/region_state.ts";
import { SOURCE_AGE_UNKNOWN } from "../../../../src/wire/record_source.ts";
import { formatUuid } from "../../../../src/base/uuid.ts";
import { agentPut, agentRemoval, aliasItem, at } from "../../../support/mirrors.ts";
import { gatewayPut, MirroredRegistry } from "../../../support/mirrored_registry.ts";
import { rejectionOf } from "../../../support/refusal.ts";
import { idOf } from "../../../support/store.ts";

const ID = formatUuid(idOf(1));

test("getAgent answers with the best mirror, its home, revision, age, and whether it is suspended", async () => {
  const mirrored = await MirroredRegistry.open(["us-1", "ap-1"]);
  const { harness: { world }, ages } = mirrored;
  const client = await mirrored.harness.client();
  const get = async (region?: string) =>
    await world.wait(client.getAgent(ID, region === undefined ? {} : { region }));
  assert.is((await rejectionOf(get())).code, "not_found");
  await mirrored.mirror("us-1", { puts: [agentPut(10, { port: 1, region: "us-1" })] });
  await mirrored.mirror("ap-1", { puts: [agentPut(20, { port: 2, region: "ap-1" })] });
  const fresh = await get();
  assert.equal([fresh.agent.port, fresh.remainingMs], [1, 0]);
  const source = { home: "us-1", revision: at(10), ageMs: 100, suspended: false };
  assert.equal(fresh.source, source);
  assert.is(fresh.receipts.length, 1);
  assert.equal((await get("ap-1")).source, { ...source, home: "ap-1", revision: at(20) });
  ages.set("us-1", MIRROR_FRESH_MS_MAX + 1);
  assert.is((await get()).source?.home, "ap-1", "a fresh one is better than the preferred one");
  const old = (await get("us-1")).source;
  assert.equal([old?.ageMs, old?.suspended], [MIRROR_FRESH_MS_MAX + 1, true]);
  ages.clear();
  assert.equal((await get()).source, { ...source, ageMs: undefined, suspended: true });
  assert.is((await rejectionOf(get("global"))).code, "not_found", "no own one");
  const unknown = await rejectionOf(get("eu-9"));
  assert.equal([unknown.code, unknown.fields.field], ["invalid_argument", "home"]);
  await mirrored.mirror("us-1", { removals: [agentRemoval(1, 11)] });
  assert.is((await get()).source?.home, "ap-1");
});

test("the age of a mirror counts that of the replica that was read", async () => {
  const mirrored = await MirroredRegistry.open(["us-1"]);
  const { harness: { world, registry: { table } } } = mirrored;
  const client = await mirrored.harness.client();
  const domain = "a.example";
  await mirrored.mirrorAgent("us-1", 1, { domain, gateway: 4 });
  for (const { group } of table.here()) {
    const ofLeader = group.readPoint.bind(group);
    Object.defineProperty(group, "readPoint", {
      value: (maxStalenessMs: number) => {
        const point = ofLeader(maxStalenessMs);
        return point === undefined ? undefined : { ...point, ageBoundMs: 70 };
      },
    });
  }
  assert.is((await world.wait(client.getAgent(ID))).source?.ageMs, 170);
  const { agentSource, gatewaySource } = await world.wait(client.resolveAgent(domain));
  assert.equal([agentSource?.ageMs, gatewaySource?.ageMs], [170, 170]);
});

test("an own record comes before all mirrors, and is answered without a source", async () => {
  const mirrored = await MirroredRegistry.open(["us-1"]);
  const { world } = mirrored.harness;
  const client = await mirrored.harness.client();
  const own = { id: ID, region: "global", port: 7 };
  const registered = await world.wait(client.registerAgent(own));
  await mirrored.mirror("us-1", { puts: [agentPut(10, { port: 1, region: "us-1" })] });
  const { agent, source } = await world.wait(client.getAgent(ID));
  assert.equal([agent.port, source], [7, undefined]);
  assert.is((await world.wait(client.getAgent(ID, { region: "global" }))).agent.port, 7);
  assert.is((await world.wait(client.getAgent(ID, { region: "us-1" }))).agent.port, 1);
  const stored = await world.wait(client.getAgentStored(ID, { region: "us-1" }));
  assert.equal([stored.decode().port, stored.source?.home], [1, "us-1"]);
  // Its owner goes on although there is a mirror, and may end it.
  assert.is((await world.wait(client.registerAgent({ ...own, port: 8 }))).created, false);
  await world.wait(client.deregisterAgent(ID, { incarnation: registered.incarnation }));
  assert.is((await world.wait(client.getAgent(ID))).agent.port, 1);
});

test("a domain resolves to the own agent, else to that of the preferred fresh region", async () => {
  const mirrored = await MirroredRegistry.open(["us-1", "ap-1"]);
  const { harness: { world }, ages } = mirrored;
  const client = await mirrored.harness.client();
  const domain = "a.example";
  await mirrored.mirrorAgent("ap-1", 2, { domain, gateway: 3 });
  await mirrored.mirrorAgent("us-1", 1, { domain, gateway: 4 });
  const resolve = async (region?: string) =>
    await world.wait(client.resolveAgent(domain, region === undefined ? {} : { region }));
  const found = await resolve();
  assert.equal([found.agent.id, found.agentSource?.home], [ID, "us-1"]);
  assert.equal([found.gateway?.id, found.gatewaySource?.home], [formatUuid(idOf(4)), "us-1"]);
  assert.equal([found.agentRemainingMs, found.gatewayRemainingMs], [0, 0]);
  assert.is((await resolve("ap-1")).agentSource?.home, "ap-1");
  ages.delete("us-1");
  assert.is((await resolve()).agentSource?.home, "ap-1");
  ages.delete("ap-1");
  const suspended = await resolve();
  assert.equal([suspended.agentSource?.home, suspended.agentSource?.suspended], ["us-1", true]);
  const many = await world.wait(client.resolveAgents([domain, "none.example"]));
  assert.is(many[0]!.found?.agentSource?.home, "us-1");
  assert.is(many[1]!.error?.code, "not_found");
  const inAp = await world.wait(client.resolveAgents([domain], { region: "ap-1" }));
  assert.is(inAp[0]!.found?.agentSource?.home, "ap-1");
  await world.wait(client.registerAgent({ id: formatUuid(idOf(9)), region: "global", domain }));
  const own = await resolve();
  assert.equal([own.agent.id, own.agentSource, own.gateway], [
    ...[formatUuid(idOf(9)), undefined, undefined],
  ]);
  assert.is((await resolve("us-1")).agentSource?.home, "us-1");
  assert.is(
    (await rejectionOf(world.wait(
      client.resolveAgent("none.example", { region: "global" }),
    ))).code,
    "not_found",
  );
});

test("an agent of another region holds a domain only by the alias' claim, and by name", async () => {
  const mirrored = await MirroredRegistry.open(["us-1"]);
  const { world } = mirrored.harness;
  const client = await mirrored.harness.client();
  const code = async (domain: string) =>
    (await rejectionOf(world.wait(client.resolveAgent(domain)))).code;
  await mirrored.mirrorAgent("us-1", 1, { domain: "a.example" });
  // The agent has moved on to another claim and domain; its alias follows later.
  const moved = { number: 1, domain: "b.example", claim: at(15), region: "us-1" };
  await mirrored.mirror("us-1", { puts: [agentPut(20, moved)] });
  assert.is(await code("a.example"), "not_found");
  // Claims that a region assigned anew after a loss name other domains.
  await mirrored.mirror("us-1", { aliases: [aliasItem("c.example", 1, { claim: 15 })] });
  assert.is(await code("c.example"), "not_found");
  await mirrored.mirror("us-1", { aliases: [aliasItem("d.example", 7, {})] });
  assert.is(await code("d.example"), "not_found", "no such agent");
  await mirrored.mirror("us-1", { aliases: [aliasItem("b.example", 1, { claim: 12 })] });
  assert.is(await code("b.example"), "not_found", "of an earlier claim");
});

test("agents of other regions that another node holds are named as candidates", async () => {
  const mirrored = await MirroredRegistry.open(["us-1", "ap-1"]);
  const peer = await mirrored.harness.peer();
  const [domain, us, ap] = apart(mirrored);
  await mirrored.mirrorAgent("us-1", us, { domain });
  await mirrored.mirrorAgent("ap-1", ap, { domain, index: 20 });
  moveAway(mirrored, idOf(us));
  const ask = async () => await peer.must("resolveAgent", { domain });
  const { agentPart, agentId, candidates } = await ask();
  assert.equal([agentPart, agentId], [RESOLVED_PARTS.elsewhere, new Uint8Array(16)]);
  assert.equal(candidates?.agents, [
    { agentId: idOf(us), claim: at(9), home: "us-1" },
    { agentId: idOf(ap), claim: at(19), home: "ap-1" },
  ]);
  // What comes before the one that is elsewhere was looked at here.
  mirrored.ages.delete("us-1");
  assert.is((await ask()).agentSource?.home, "ap-1");
});

test("an own agent that another node holds comes before candidates of other regions", async () => {
  const mirrored = await MirroredRegistry.open(["ap-1"]);
  const { world } = mirrored.harness;
  const peer = await mirrored.harness.peer();
  const client = await mirrored.harness.client();
  const [domain, own, ap] = apart(mirrored);
  const id = formatUuid(idOf(own));
  await world.wait(client.registerAgent({ id, region: "global", domain }));
  await mirrored.mirrorAgent("ap-1", ap, { domain, index: 50 });
  moveAway(mirrored, idOf(own));
  const reply = await peer.must("resolveAgent", { domain });
  assert.equal([reply.agentPart, formatUuid(reply.agentId)], [RESOLVED_PARTS.elsewhere, id]);
  assert.equal(reply.candidates?.agents.map(({ home }) => home), ["ap-1"]);
});

/** Returns a domain and two numbers of agents, all three of which are in different partitions. */
function apart({ harness: { registry: { table } } }: MirroredRegistry): [string, number, number] {
  const domain = "a.example";
  const taken = new Set([table.held(KIND_ALIAS, domainBytes(domain)).id]);
  const numbers: number[] = [];
  for (let number = 1; numbers.length < 2; number++) {
    const { id } = table.held(KIND_AGENT, idOf(number));
    if (taken.has(id)) continue;
    taken.add(id);
    numbers.push(number);
  }
  return [domain, numbers[0] as number, numbers[1] as number];
}

/** Lets another node hold the partition of an agent. */
function moveAway({ harness: { registry: { table } } }: MirroredRegistry, id: Uint8Array): void {
  table.put({ isHere: false, id: table.held(KIND_AGENT, id).id, nodes: [2], leader: 2 });
}

test("MirrorHomes: the age of a mirror grows until it is answered", () => {
  let nowMs = 0;
  const settings = { name: "us", isPaused: false } as RegionSettings;
  const region = { settings } as PeerRegion;
  const regions = [region];
  let ageMs: number | undefined = MIRROR_FRESH_MS_MAX - 10;
  const homes = new MirrorHomes({
    own: "eu",
    regions: () => regions,
    freshness: {
      ageMs: (_, staleMs = 0) => ageMs === undefined ? undefined : ageMs + staleMs,
    },
    clock: { nowMs: () => nowMs },
  });
  const mirror = { home: "us", revisionGeneration: 1, revisionIndex: 2 } as MirrorView;
  const read = homes.readSourceOf(mirror, 5);
  assert.equal([read.source.ageMs, read.source.isSuspended], [MIRROR_FRESH_MS_MAX - 5, false]);
  // It is proven anew meanwhile, which says nothing of what was read before.
  ageMs = 1;
  nowMs = 5.5;
  const later = homes.agedNow(read);
  assert.equal([later.ageMs, later.isSuspended], [MIRROR_FRESH_MS_MAX + 1, true]);
  ageMs = undefined;
  const unknown = homes.agedNow(homes.readSourceOf(mirror, 5));
  assert.equal([unknown.ageMs, unknown.isSuspended], [SOURCE_AGE_UNKNOWN, true]);
});

test("lists of a region have its mirrors, in pages, without what own records hide", async () => {
  const mirrored = await MirroredRegistry.open(["us-1", "ap-1"]);
  const { world } = mirrored.harness;
  const client = await mirrored.harness.client();
  // The own record hides the mirror, whatever region that names.
  const own = formatUuid(idOf(5));
  await world.wait(client.registerAgent({ id: own, region: "global" }));
  const numbers = Array.from({ length: 20 }, (_, index) => index + 1);
  await mirrored.mirror("us-1", {
    puts: numbers.map((number) => agentPut(number, { number, region: "us-1" })),
  });
  await mirrored.mirror("ap-1", { puts: [agentPut(1, { number: 3, region: "us-1", port: 9 })] });
  const seen = new Map<string, string | undefined>();
  let cursor: Uint8Array | undefined;
  do {
    const page = await world.wait(
      client.listAgents("us-1", { limit: 3, ...(cursor === undefined ? {} : { cursor }) }),
    );
    for (const { agent, source, remainingMs } of page.items) {
      assert.not.ok(seen.has(agent.id), "no item twice");
      assert.is(remainingMs, 0);
      seen.set(agent.id, source?.home);
    }
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  const ids = numbers.map((number) => formatUuid(idOf(number))).filter((id) => id !== own);
  assert.equal([...seen.keys()].sort(), ids.sort());
  assert.ok([...seen.values()].every((home) => home === "us-1"), "the preferred region's");
  const { items } = await world.wait(client.listAgents("global"));
  assert.equal(items.map(({ agent, source }) => [agent.id, source]), [[own, undefined]]);
});

test("resolveGateways ranks mirrors by free capacity, and those of lost regions last", async () => {
  const mirrored = await MirroredRegistry.open(["us-1", "ap-1"]);
  const { harness: { world }, ages } = mirrored;
  const client = await mirrored.harness.client();
  const capacity = { cpu: 10, memoryMiB: 0, storageMiB: 0, bandwidthMbps: 0, connections: 0 };
  const gateway = (home: string, number: number, used: number, state = 0) =>
    mirrored.mirror(home, {
      puts: [gatewayPut(home, number, 10, {
        region: "shared",
        capacity,
        used: { ...capacity, cpu: used },
        state,
      })],
    });
  await gateway("us-1", 1, 9);
  await gateway("us-1", 2, 1);
  await gateway("ap-1", 3, 5);
  await gateway("us-1", 4, 0, 1);
  const ranked = async (limit = 16) => {
    const { items } = await world.wait(client.resolveGateways("shared", { limit }));
    return items.map(({ gateway: { used }, source }) => [used.cpu, source?.suspended]);
  };
  assert.equal(await ranked(), [[1, false], [5, false], [9, false]], "none that is draining");
  ages.delete("us-1");
  assert.equal(await ranked(), [[5, false], [1, true], [9, true]]);
  assert.equal(await ranked(2), [[5, false], [1, true]]);
});

test("writes on a record of another region are refused with its home as the hint", async () => {
  const mirrored = await MirroredRegistry.open(["us-1"]);
  const { world } = mirrored.harness;
  const client = await mirrored.harness.client();
  await mirrored.mirror("us-1", { puts: [agentPut(10, { region: "us-1" })] });
  const incarnation = { generation: 1, index: 10 };
  const refused = async (what: Promise<unknown>) => {
    const { code, fields } = await rejectionOf(world.wait(what));
    assert.equal([code, fields.homeRegion], ["foreign_region", "us-1"]);
  };
  await refused(client.registerAgent({ id: ID, region: "global" }));
  await refused(client.registerAgent({ id: formatUuid(idOf(2)), region: "us-1" }));
  await refused(client.deregisterAgent(ID, { incarnation }));
  await refused(client.deregisterAgent(ID));
  await refused(client.reportAgent(ID, { incarnation, draining: true }));
  const { failures } = await world.wait(client.renew([{ kind: "agent", id: ID, incarnation }]));
  assert.equal([failures[0]?.error.code, failures[0]?.error.fields.homeRegion], [
    ...["foreign_region", "us-1"],
  ]);
  const [one] = await world.wait(
    client.registerMany([{ kind: "agent", agent: { id: ID, region: "global" } }]),
  );
  assert.equal([one?.error?.code, one?.error?.fields.homeRegion], ["foreign_region", "us-1"]);
  const peer = await mirrored.harness.peer();
  assert.is((await peer.ask("removeRecord", { kind: 1, id: idOf(1) })).code, "foreign_region");
  // What is of no region stays unknown, and the agent of a removed region is free again.
  const nobody = formatUuid(idOf(8));
  const missing = await rejectionOf(world.wait(client.deregisterAgent(nobody, { incarnation })));
  assert.is(missing.code, "not_found");
  await peer.must("removeRegion", { name: "us-1" });
  assert.is((await world.wait(client.registerAgent({ id: ID, region: "us-1" }))).created, true);
});

test.run();
