/**
 * The expiry guard with a whole registry and a clock moved by hand: what ends when few or many owners fall
 * silent, how it comes back, and what operators can do.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EXPIRY_RELEASE_MS, STALE_CONFIRM_MS_DEFAULT } from "../../../../src/base/limits.ts";
import { formatUuid } from "../../../../src/base/uuid.ts";
import { KIND_AGENT } from "../../../../src/record/key.ts";
import { isStaleState } from "../../../../src/record/record_state.ts";
import { EXPIRY_ACTIONS } from "../../../../schemas/gen/wire.ts";
import type { RawPeer } from "../../../support/raw_peer.ts";
import { agentRequest, RegistryHarness } from "../../../support/registry_harness.ts";
import { idOf } from "../../../support/store.ts";

const TTL_MS = 10_000;
/** A silent owner's lease is over, and the guard has decided. */
const LAPSED_MS = TTL_MS + 3_000;

interface Incarnation {
  readonly generation: number;
  readonly index: number;
}

/** A registry that guards expiry, and agents whose owners renew or not. */
class Fleet {
  readonly harness: RegistryHarness;
  readonly incarnations = new Map<number, Incarnation>();
  #peer: RawPeer | undefined;

  private constructor(harness: RegistryHarness) {
    this.harness = harness;
  }

  static async open(count: number, fields: { readonly region?: string } = {}): Promise<Fleet> {
    const harness = await RegistryHarness.open({ partitions: 16 });
    await harness.raiseVersion();
    // The budget of a new leader is empty.
    await harness.world.pass(60_000);
    const fleet = new Fleet(harness);
    for (let at = 0; at < count; at += 250) {
      await fleet.register(at + 1, Math.min(at + 250, count), fields);
    }
    return fleet;
  }

  async peer(): Promise<RawPeer> {
    return this.#peer ??= await this.harness.peer();
  }

  /** Connects anew, after a restart. */
  reconnect(): void {
    this.#peer = undefined;
  }

  async register(first: number, last: number, fields: object = {}): Promise<void> {
    const numbers = range(first, last);
    const items = numbers.map((number) => ({
      ...agentRequest({ number, ttlMs: TTL_MS, ...fields }),
      kind: KIND_AGENT,
    }));
    const reply = await (await this.peer()).must("registerMany", { items });
    for (const [at, { code, incarnation }] of reply.items.entries()) {
      assert.is(code, 0);
      this.incarnations.set(numbers[at]!, incarnation);
    }
  }

  /** Renews agents once; returns how many were renewed. */
  async renew(first: number, last: number): Promise<number> {
    const items = range(first, last).map((number) => ({
      id: idOf(number),
      incarnation: this.incarnations.get(number)!,
      kind: KIND_AGENT,
    }));
    return (await (await this.peer()).must("renew", { items })).renewed;
  }

  /** Passes time in which some agents are renewed as an SDK does. */
  async pass(ms: number, first = 1, last = 0): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += 2_500) {
      if (last >= first) assert.is(await this.renew(first, last), last - first + 1);
      await this.harness.world.pass(Math.min(2_500, ms - passedMs));
    }
  }

  counts(first: number, last: number): { readonly live: number; readonly stale: number } {
    let live = 0;
    let stale = 0;
    for (const number of range(first, last)) {
      const agent = this.harness.agent(idOf(number));
      if (agent === undefined) continue;
      if (isStaleState(agent.state)) stale++;
      else live++;
    }
    assert.is(this.harness.registry.status().stale >= stale, true);
    return { live, stale };
  }

  async steer(action: keyof typeof EXPIRY_ACTIONS, forMs = 0, region = ""): Promise<void> {
    const body = { action: EXPIRY_ACTIONS[action], forMs, region };
    await (await this.peer()).must("steerExpiry", body);
  }
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

test("a few silent owners: their records expire on time, by permits", async () => {
  const fleet = await Fleet.open(200);
  await fleet.pass(TTL_MS - 500, 21, 200);
  assert.equal(fleet.counts(1, 20), { live: 20, stale: 0 });
  await fleet.pass(1_500, 21, 200);
  assert.equal(fleet.counts(1, 20), { live: 0, stale: 0 });
  assert.equal(fleet.counts(21, 200), { live: 180, stale: 0 });
  assert.equal(fleet.harness.registry.expiry.permits.get("global"), { granted: 20, denied: 0 });
});

test("half of the owners silent at once: nobody is removed, all are flagged, one renewal brings each back", async () => {
  const fleet = await Fleet.open(1_000);
  await fleet.pass(LAPSED_MS, 501, 1_000);
  assert.equal(fleet.counts(1, 500), { live: 0, stale: 500 });
  assert.equal(fleet.counts(501, 1_000), { live: 500, stale: 0 });
  // Nothing happens until the loss is confirmed.
  await fleet.pass(STALE_CONFIRM_MS_DEFAULT - 2 * LAPSED_MS, 501, 1_000);
  assert.equal(fleet.counts(1, 500), { live: 0, stale: 500 });
  assert.is(await fleet.renew(1, 250), 250);
  assert.equal(fleet.counts(1, 500), { live: 250, stale: 250 });
  // They have leases again.
  await fleet.pass(TTL_MS - 2_500, 251, 1_000);
  assert.equal(fleet.counts(1, 500), { live: 500, stale: 0 });
});

test("a confirmed loss ends at the rate of the budget, the oldest first, and within the bound", async () => {
  const fleet = await Fleet.open(600);
  await fleet.harness.world.pass(2_000);
  await fleet.register(601, 900);
  await fleet.harness.world.pass(LAPSED_MS + 5_000);
  assert.equal(fleet.counts(1, 900), { live: 0, stale: 900 });
  await fleet.harness.world.pass(STALE_CONFIRM_MS_DEFAULT - TTL_MS);
  // The budget was full: a minute's permits, which is the floor or a tenth of the records.
  await fleet.harness.world.pass(10_000);
  const first = fleet.counts(1, 600).stale;
  assert.ok(first >= 600 - 130 && first <= 510, `${first} of the older ones are left`);
  assert.equal(fleet.counts(601, 900), { live: 0, stale: 300 }, "the younger ones are all there");
  await fleet.harness.world.pass(60_000);
  const second = fleet.counts(1, 600).stale;
  assert.ok(second >= first - 110 && second <= first - 80, `${second} are left a minute later`);
  // 900 records at a hundred a minute.
  await fleet.harness.world.pass(9 * 60_000);
  assert.equal(fleet.counts(1, 900), { live: 0, stale: 0 });
  assert.is(fleet.harness.registry.expiry.permits.get("global")!.granted, 900);
});

test("a held region loses nothing, until the hold ends by itself", async () => {
  const fleet = await Fleet.open(50);
  await fleet.steer("hold", 20 * 60_000, "global");
  await fleet.harness.world.pass(LAPSED_MS);
  assert.equal(fleet.counts(1, 50), { live: 0, stale: 50 });
  await fleet.harness.world.pass(19 * 60_000);
  assert.equal(fleet.counts(1, 50), { live: 0, stale: 50 });
  await fleet.harness.world.pass(2 * 60_000);
  assert.equal(fleet.counts(1, 50), { live: 0, stale: 0 });
});

test("an operator ends a hold, and releases stale records at once, but not those that are silent since", async () => {
  const fleet = await Fleet.open(1_000);
  await fleet.steer("hold", 60 * 60_000);
  await fleet.pass(LAPSED_MS, 601, 1_000);
  assert.equal(fleet.counts(1, 600), { live: 0, stale: 600 });
  await fleet.steer("hold", 0);
  await fleet.pass(60_000, 601, 1_000);
  assert.equal(fleet.counts(1, 600), { live: 0, stale: 600 }, "the loss is not confirmed");
  await fleet.harness.world.pass(1_000);
  await fleet.steer("release", 0, "eu");
  await fleet.harness.world.pass(500);
  assert.equal(fleet.counts(1, 600), { live: 0, stale: 600 }, "another region was released");
  await fleet.steer("release", 0, "global");
  await fleet.harness.world.pass(3_000);
  assert.equal(fleet.counts(1, 600), { live: 0, stale: 0 });
  assert.equal(fleet.counts(601, 1_000), { live: 400, stale: 0 });
  await fleet.harness.world.pass(EXPIRY_RELEASE_MS);
  assert.equal(fleet.counts(601, 1_000), { live: 0, stale: 400 });
});

test("a clean deregistration, and a registration anew, need no permit", async () => {
  const fleet = await Fleet.open(400);
  await fleet.harness.world.pass(LAPSED_MS);
  assert.equal(fleet.counts(1, 400), { live: 0, stale: 400 });
  const peer = await fleet.peer();
  for (const number of [1, 2]) {
    const body = { id: idOf(number), incarnation: fleet.incarnations.get(number)! };
    const more = { process: 0, sequence: 0, withAgents: false };
    assert.is((await peer.must("deregisterAgent", { ...body, ...more })).removed, 1);
  }
  assert.equal(fleet.counts(1, 2), { live: 0, stale: 0 });
  await peer.must("registerAgent", agentRequest({ number: 3, ttlMs: TTL_MS, sequence: 9 }));
  assert.equal(fleet.counts(3, 3), { live: 1, stale: 0 });
});

test("no number of restarts makes a stale record immortal, or ends one early", async () => {
  const fleet = await Fleet.open(300);
  await fleet.harness.world.pass(LAPSED_MS);
  const { harness } = fleet;
  for (let restart = 0; restart < 12; restart++) {
    assert.equal(fleet.counts(1, 300), { live: 0, stale: 300 }, `restart ${restart}`);
    await harness.restart(restart);
    fleet.reconnect();
    await harness.world.pass(40_000);
  }
  // Group time stands still in the outages and the graces after them; then it runs on.
  for (let restart = 0; restart < 30; restart++) {
    await harness.restart(restart);
    await harness.world.pass(60_000);
  }
  assert.equal(fleet.counts(1, 300), { live: 0, stale: 0 });
});

test("the domain of a stale agent goes to another one that claims it, and the first is told", async () => {
  const fleet = await Fleet.open(300);
  const peer = await fleet.peer();
  const client = await fleet.harness.client();
  const domain = "taken.example";
  const holder = await peer.must(
    "registerAgent",
    agentRequest({ number: 400, ttlMs: TTL_MS, domain }),
  );
  const other = () => peer.ask("registerAgent", agentRequest({ number: 401, domain }));
  assert.is((await other()).code, "domain_taken");
  await fleet.harness.world.pass(LAPSED_MS);
  assert.equal(fleet.counts(400, 400), { live: 0, stale: 1 });
  const resolved = await fleet.harness.world.wait(client.resolveAgent(domain));
  assert.is(resolved.agent?.isStale, true, "a stale agent is found, and flagged");
  assert.is((await other()).code, "ok");
  const now = await fleet.harness.world.wait(client.resolveAgent(domain));
  assert.is(now.agent?.isStale, false);
  assert.equal(fleet.counts(400, 401), { live: 1, stale: 1 });
  const items = [{ id: idOf(400), incarnation: holder.incarnation, kind: KIND_AGENT }];
  const { failures } = await peer.must("renew", { items });
  assert.is(failures.length, 1, "it learns of it by its next renewal");
});

test("a watch tells that a record is stale, and that it recovered", async () => {
  const fleet = await Fleet.open(200);
  const client = await fleet.harness.client();
  const watch = client.watch({ ids: [formatUuid(idOf(7))] });
  await fleet.harness.world.wait(watch.begun);
  await fleet.harness.world.pass(LAPSED_MS);
  assert.is(await fleet.renew(7, 7), 1);
  await fleet.harness.world.pass(100);
  const events: [string, boolean][] = [];
  const read = (async () => {
    for await (const event of watch) {
      if ("record" in event) events.push([event.type, event.record.isStale]);
      if (event.type === "recovered") break;
    }
  })();
  await fleet.harness.world.wait(read);
  assert.equal(events, [["stale", true], ["recovered", false]]);
});

test.run();
