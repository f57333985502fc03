/** Leases: renewed together in time, reported when they are lost, and kept through every outage. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseUuid } from "../../../src/base/uuid.ts";
import type { Client, Lease, LeaseEnd, LeaseEvent } from "../../../src/client/types.ts";
import {
  AGENT_ID,
  FakeRegistry,
  type FakeRequest,
  GATEWAY_ID,
  registeredRecord,
  rejection,
} from "./fake_registry.ts";

const GATEWAY = { id: GATEWAY_ID, region: "global", address: "192.0.2.1", port: 4000 };
const AGENT = { id: AGENT_ID, region: "global", gatewayId: GATEWAY_ID };

interface Kept {
  readonly registry: FakeRegistry;
  readonly client: Client;
  readonly lease: Lease;
  readonly events: LeaseEvent[];
}

/** Returns a client with one gateway kept: ttl 30 s, incarnation 40, renewals every 10 s. */
async function keepOne(options: { renewAfterMs?: number; ttlMs?: number } = {}): Promise<Kept> {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const events: LeaseEvent[] = [];
  const { ttlMs = 30_000 } = options;
  const kept = client.keepGateway({ ...GATEWAY, ttlMs }, {
    onEvent: (event) => events.push(event),
  });
  (await registry.next("registerGateway")).replyRegistered(options);
  return { registry, client, lease: await registry.wait(kept), events };
}

/** Advances time until a request arrives, by at most `ms`; returns it and the time it took. */
async function nextWithin(registry: FakeRegistry, ms: number): Promise<[FakeRequest, number]> {
  const startMs = registry.time.nowMs();
  await registry.settle();
  while (registry.requests.length === 0 && registry.time.nowMs() - startMs < ms) {
    await registry.pass(Math.max(1, registry.time.nextDelayMs ?? ms));
  }
  const request = await registry.next();
  return [request, request.atMs - startMs];
}

test("keepGateway registers, and renews at the interval that the server dictated", async () => {
  const { registry, client, lease, events } = await keepOne({ renewAfterMs: 10_000 });
  assert.is(lease.id, GATEWAY_ID);
  assert.is(lease.state, "active");
  assert.equal(lease.incarnation, { generation: 1, index: 40 });
  const [first, firstMs] = await nextWithin(registry, 20_000);
  assert.is(first.name, "renew");
  assert.equal(first.body.items, [
    { id: parseUuid(GATEWAY_ID), incarnation: { generation: 1, index: 40 }, kind: 2 },
  ]);
  assert.ok(firstMs > 8_900 && firstMs <= 10_000, `${firstMs}`);
  first.replyRenewed([], 4_000);
  await registry.settle();
  const [second, secondMs] = await nextWithin(registry, 20_000);
  assert.ok(secondMs > 3_500 && secondMs <= 4_000, `${secondMs}`);
  second.replyRenewed();
  await registry.settle();
  assert.equal(events.map(({ kind }) => kind), ["renewed", "renewed"]);
  await registry.wait(client.close());
});

test("a lease is renewed by half of its ttl, whatever the server says", async () => {
  const { registry, client } = await keepOne({ ttlMs: 6_000, renewAfterMs: 60_000 });
  for (let round = 0; round < 3; round++) {
    const [request, ms] = await nextWithin(registry, 60_000);
    assert.ok(ms <= 3_000, `${ms}`);
    request.replyRenewed([], 60_000);
    await registry.settle();
  }
  await registry.wait(client.close());
});

test("all leases of a client are renewed in one request", async () => {
  const { registry, client } = await keepOne();
  const more = client.keepMany([
    { kind: "agent", agent: AGENT },
    { kind: "agent", agent: { ...AGENT, region: "" } },
  ]);
  const register = await registry.next("registerMany");
  const outcome = {
    id: parseUuid(AGENT_ID),
    incarnation: { generation: 1, index: 50 },
    revision: { generation: 1, index: 50 },
    remainingMs: 30_000,
    renewAfterMs: 10_000,
    created: true,
    message: "",
  };
  register.reply("registerMany", {
    items: [{ ...outcome, code: 0 }, { ...outcome, code: 3, message: "region must be given" }],
  });
  const [agent, refused] = await registry.wait(more);
  assert.is(agent?.lease?.id, AGENT_ID);
  assert.is(refused?.error?.code, "invalid_argument");
  assert.is(client.status.leases, 2);
  const [renew] = await nextWithin(registry, 20_000);
  assert.equal(renew.body.items.map(({ kind }: { kind: number }) => kind), [2, 1]);
  renew.replyRenewed();
  await registry.settle();
  assert.is(registry.requests.length, 0);
  await registry.wait(client.close());
});

test("more leases than one request takes are renewed in several", async () => {
  const { registry, client } = await keepSome(5_000);
  const [first] = await nextWithin(registry, 20_000);
  const second = await registry.next("renew");
  assert.is(first.body.items.length, 4_096);
  assert.is(second.body.items.length, 904);
  const error = await rejection(
    registry,
    client.keepMany(new Array(30_000).fill({ kind: "agent", agent: AGENT })),
  );
  assert.is(error.code, "overloaded");
  await registry.wait(client.close());
});

test("keepGateway takes the record over unless it is told not to", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const held = { incarnation: { generation: 1, index: 12 } };
  const kept = client.keepGateway(GATEWAY);
  (await registry.next()).refuse("incarnation_mismatch", held);
  const second = await registry.next("registerGateway");
  assert.equal(second.body.expected, held.incarnation);
  second.replyRegistered();
  assert.is((await registry.wait(kept)).state, "active");
  const polite = client.keepGateway(GATEWAY, { takeOver: false });
  (await registry.next()).refuse("incarnation_mismatch", held);
  assert.is((await rejection(registry, polite)).code, "incarnation_mismatch");
  await registry.wait(client.close());
});

test("a superseded lease is lost, and renewed no more", async () => {
  const { registry, client, lease, events } = await keepOne();
  const [renew] = await nextWithin(registry, 20_000);
  renew.replyRenewed([{ position: 0, code: "superseded", index: 99 }]);
  const end = await registry.wait(lease.ended);
  assert.is(end.reason, "superseded");
  assert.equal(end.error?.fields.incarnation, { generation: 1, index: 99 });
  assert.is(lease.state, "lost");
  assert.is(lease.remainingMs, 0);
  assert.is(events.at(-1)?.kind, "ended");
  assert.is(client.status.leases, 0);
  await registry.pass(60_000);
  assert.is(registry.requests.length, 0);
  assert.is((await rejection(registry, lease.update({ port: 1 }))).code, "superseded");
  await registry.wait(lease.release());
  assert.is(registry.requests.length, 0);
  await registry.wait(client.close());
});

test("an expired lease is registered again without a takeover, and says so", async () => {
  const { registry, client, lease, events } = await keepOne();
  const [renew] = await nextWithin(registry, 20_000);
  renew.replyRenewed([{ position: 0, code: "not_found" }]);
  const register = await registry.next("registerGateway");
  assert.is(lease.state, "recovering");
  assert.equal(register.body.expected, { generation: 0, index: 0 });
  assert.is(registeredRecord(register).process, client.process);
  assert.is(registeredRecord(register).sequence, 2);
  register.replyRegistered({ index: 70 });
  await registry.settle();
  assert.is(lease.state, "active");
  assert.equal(lease.incarnation, { generation: 1, index: 70 });
  assert.equal(events.map(({ kind }) => kind), ["expired", "recovered"]);
  const [next] = await nextWithin(registry, 20_000);
  assert.is(next.body.items[0].incarnation.index, 70);
  await registry.wait(client.close());
});

test("an expired lease whose record another process holds by now is lost", async () => {
  const { registry, client, lease } = await keepOne();
  const [renew] = await nextWithin(registry, 20_000);
  renew.replyRenewed([{ position: 0, code: "not_found" }]);
  (await registry.next("registerGateway")).refuse("incarnation_mismatch", {
    incarnation: { generation: 1, index: 71 },
  });
  assert.is((await registry.wait(lease.ended)).reason, "superseded");
  assert.is(registry.requests.length, 0);
  await registry.wait(client.close());
});

test("a lease that an earlier incarnation supersedes, of a restored registry, is taken back", async () => {
  const { registry, client, lease, events } = await keepOne();
  const held = lease.incarnation.index;
  const [renew] = await nextWithin(registry, 20_000);
  renew.replyRenewed([{ position: 0, code: "superseded", index: held - 1 }]);
  const incarnation = { generation: 1, index: held - 1 };
  (await registry.next("registerGateway")).refuse("incarnation_mismatch", { incarnation });
  const register = await registry.next("registerGateway");
  assert.equal(register.body.expected, incarnation);
  register.replyRegistered({ index: 70 });
  await registry.settle();
  assert.is(lease.state, "active");
  assert.equal(events.map(({ kind }) => kind), ["expired", "recovered"]);
  await registry.wait(client.close());
});

test("an expired lease that is refused ends, but trouble is waited out", async () => {
  const { registry, client, lease } = await keepOne();
  const [renew] = await nextWithin(registry, 20_000);
  renew.replyRenewed([{ position: 0, code: "not_found" }]);
  (await registry.next("registerGateway")).refuse("overloaded", { retryAfterMs: 6_000 });
  await registry.settle();
  assert.is(lease.state, "recovering");
  const [again, ms] = await nextWithin(registry, 8_000);
  assert.ok(ms >= 6_000);
  again.refuse("permission_denied");
  const end = await registry.wait(lease.ended);
  assert.is(end.reason, "refused");
  assert.is(end.error?.code, "permission_denied");
  await registry.wait(client.close());
});

test("a failed renewal is tried again soon, alone or as a whole", async () => {
  const { registry, client, lease, events } = await keepOne();
  const [first] = await nextWithin(registry, 20_000);
  first.replyRenewed([{ position: 0, code: "storage_unavailable" }]);
  await registry.settle();
  const [second, secondMs] = await nextWithin(registry, 20_000);
  assert.ok(secondMs <= 1_000, `${secondMs}`);
  second.refuse("permission_denied");
  await registry.settle();
  const [third, thirdMs] = await nextWithin(registry, 20_000);
  assert.ok(thirdMs <= 2_000, `${thirdMs}`);
  third.replyRenewed();
  await registry.settle();
  assert.is(lease.state, "active");
  assert.equal(events.map(({ kind }) => kind), ["renewal_failed", "renewal_failed", "renewed"]);
  await registry.wait(client.close());
});

/** Returns a client with that many leases of agents, ttl 30 s, renewals every 10 s. */
async function keepSome(
  count: number,
  onEvent: (event: LeaseEvent) => void = () => {},
): Promise<{ registry: FakeRegistry; client: Client }> {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  registry.answer = (request) => {
    if (request.name !== "registerMany") return false;
    request.reply("registerMany", {
      items: request.body.items.map(() => ({
        id: parseUuid(AGENT_ID),
        incarnation: { generation: 1, index: 1 },
        revision: { generation: 1, index: 1 },
        remainingMs: 30_000,
        renewAfterMs: 10_000,
        code: 0,
        created: true,
        message: "",
      })),
    });
    return true;
  };
  await registry.wait(client.keepMany(new Array(count).fill({ kind: "agent", agent: AGENT }), {
    onEvent,
  }));
  return { registry, client };
}

/**
 * Returns the arrival times of renewals, and the number of ids in each, from `fromMs` on for
 * `durationMs`.
 */
async function renewalsDuring(
  registry: FakeRegistry,
  durationMs: number,
  code: "storage_unavailable" | "overloaded",
): Promise<{ atMs: number; ids: number }[]> {
  const rounds: { atMs: number; ids: number }[] = [];
  registry.answer = (request) => {
    if (request.name !== "renew") return false;
    const ids = request.body.items.length;
    rounds.push({ atMs: request.atMs, ids });
    request.replyRenewed(Array.from({ length: ids }, (_, position) => ({ position, code })));
    return true;
  };
  const untilMs = registry.time.nowMs() + durationMs;
  while (registry.time.nowMs() < untilMs) {
    await registry.pass(Math.max(1, registry.time.nextDelayMs ?? durationMs));
  }
  return rounds;
}

test("a client with 1,000 failing leases renews at most once a second after 10 s, and in time", async () => {
  const { registry, client } = await keepSome(1_000);
  const rounds = await renewalsDuring(registry, 120_000, "storage_unavailable");
  const startMs = rounds[0]!.atMs;
  const late = rounds.filter(({ atMs }) => atMs >= startMs + 10_000);
  assert.ok(late.length <= 100, `${late.length} rounds in 100 s`);
  // A third of the ttl may have passed before the first failure; half of it bounds the rest.
  for (const [index, { atMs }] of rounds.entries()) {
    if (index > 0) assert.ok(atMs - rounds[index - 1]!.atMs <= 15_100);
  }
  registry.answer = () => false;
  const [renew, ms] = await nextWithin(registry, 15_000);
  assert.ok(ms <= 10_100, `${ms}`);
  assert.is(renew.body.items.length, 1_000);
  renew.replyRenewed();
  await registry.wait(client.close());
});

test("a client with 1,000 leases and no server tries at most once a second after 10 s", async () => {
  let failures = 0;
  const { registry, client } = await keepSome(1_000, ({ kind }) => {
    if (kind === "renewal_failed") failures++;
  });
  await registry.stop();
  await registry.pass(20_000);
  failures = 0;
  await registry.pass(60_000);
  assert.ok(failures > 0 && failures <= 60 * 1_000, `${failures}`);
  assert.is(client.status.leases, 1_000);
  await registry.wait(client.close());
});

test("renewal: failed leases alone are renewed again, together and at growing intervals", async () => {
  const { registry, client } = await keepSome(100);
  registry.answer = () => false;
  const [all] = await nextWithin(registry, 10_000);
  all.replyRenewed([{ position: 7, code: "not_leader" }, { position: 9, code: "not_leader" }]);
  await registry.settle();
  const [failing] = await nextWithin(registry, 10_000);
  assert.is(failing.body.items.length, 2);
  failing.replyRenewed();
  await registry.settle();
  const [next, ms] = await nextWithin(registry, 10_000);
  assert.is(next.body.items.length, 100);
  assert.ok(ms > 5_000, `${ms}`);
  next.replyRenewed();
  await registry.wait(client.close());
});

test("1,000 expired leases are registered again 32 at a time, and back off together", async () => {
  const { registry, client } = await keepSome(1_000);
  registry.answer = () => false;
  const [renew] = await nextWithin(registry, 10_000);
  renew.replyRenewed(
    Array.from({ length: 1_000 }, (_, position) => ({ position, code: "not_found" })),
  );
  await registry.settle();
  assert.is(registry.requests.length, 32);
  let asked = 0;
  // Longer than a call may take, so that its call queue does not repeat it.
  const refuse = (request: FakeRequest) => {
    asked++;
    request.refuse("overloaded", { retryAfterMs: 6_000 });
    return true;
  };
  registry.requests.splice(0).forEach(refuse);
  registry.answer = refuse;
  await registry.pass(120_000);
  assert.ok(asked <= 32 * (1 + 120 / 6), `${asked}`);
  registry.answer = (request) => {
    if (request.name !== "registerAgent") return false;
    request.replyRegistered({ index: 70 });
    return true;
  };
  await registry.pass(17_000);
  assert.is(client.status.leases, 1_000);
  registry.answer = () => false;
  const [next] = await nextWithin(registry, 20_000);
  assert.is(next.body.items.length, 1_000);
  next.replyRenewed();
  await registry.wait(client.close());
});

test("leases survive a lost connection and are renewed at once after it", async () => {
  const { registry, client, lease } = await keepOne();
  registry.sessions[0]!.drop();
  const [renew, ms] = await nextWithin(registry, 20_000);
  assert.is(renew.session, registry.sessions[1]);
  assert.ok(ms < 300, `${ms}`);
  renew.replyRenewed();
  await registry.settle();
  assert.is(lease.state, "active");
  await registry.wait(client.close());
});

test("leases survive an outage longer than their ttl", async () => {
  const { registry, client, lease } = await keepOne();
  await registry.stop();
  await registry.pass(100_000);
  assert.is(lease.state, "active");
  assert.is(lease.remainingMs, 0);
  registry.listen();
  const [renew] = await nextWithin(registry, 20_000);
  renew.replyRenewed();
  await registry.settle();
  assert.ok(lease.remainingMs > 29_000);
  await registry.wait(client.close());
});

test("remainingMs counts from when the renewal was sent", async () => {
  const { registry, client, lease } = await keepOne();
  assert.is(lease.remainingMs, 30_000);
  const [renew] = await nextWithin(registry, 20_000);
  await registry.pass(700);
  renew.replyRenewed();
  await registry.settle();
  assert.is(lease.remainingMs, 30_000 - (registry.time.nowMs() - renew.atMs));
  await registry.wait(client.close());
});

test("update registers the changed record under the same lease, one after another", async () => {
  const { registry, client, lease } = await keepOne();
  const first = lease.update({ port: 5_000 });
  const second = lease.update({ labels: { tier: "gold" } });
  const one = await registry.next("registerGateway");
  assert.is(registry.requests.length, 0);
  assert.is(registeredRecord(one).port, 5_000);
  one.replyRegistered({ created: false });
  const two = await registry.next("registerGateway");
  assert.is(registeredRecord(two).port, 5_000);
  assert.equal(registeredRecord(two).extra?.labels, [{ key: "tier", value: "gold" }]);
  assert.is(registeredRecord(two).sequence, registeredRecord(one).sequence + 1);
  two.replyRegistered({ created: false });
  await registry.wait(Promise.all([first, second]));
  assert.is(lease.state, "active");
  await registry.wait(client.close());
});

test("a refused update leaves the record as it was said before", async () => {
  const { registry, client, lease } = await keepOne();
  const bad = lease.update({ port: 70 });
  (await registry.next()).refuse("invalid_argument", { field: "port" });
  assert.is((await rejection(registry, bad)).code, "invalid_argument");
  const good = lease.update({ labels: { a: "b" } });
  const request = await registry.next();
  assert.is(registeredRecord(request).port, 4_000);
  request.replyRegistered();
  await registry.wait(good);
  await registry.wait(client.close());
});

test("an answer about an older incarnation does not touch a lease that moved on", async () => {
  const { registry, client, lease } = await keepOne();
  const [renew] = await nextWithin(registry, 20_000);
  const update = lease.update({ port: 1 });
  (await registry.next("registerGateway")).replyRegistered({ index: 41 });
  await registry.wait(update);
  renew.replyRenewed([{ position: 0, code: "superseded" }]);
  await registry.settle();
  assert.is(lease.state, "active");
  await registry.wait(client.close());
});

test("report names the lease's incarnation", async () => {
  const { registry, client, lease } = await keepOne();
  const used = { cpu: 1, memoryMiB: 2, storageMiB: 3, bandwidthMbps: 4, connections: 5 };
  const report = lease.report({ used });
  const request = await registry.next("report");
  assert.equal(request.body.incarnation, { generation: 1, index: 40 });
  assert.equal(request.body.used, used);
  assert.is(request.body.setState, false);
  request.reply("report", { revision: { generation: 1, index: 50 } });
  await registry.wait(report);
  await registry.wait(client.close());
});

test("release stops renewing and deregisters as the owner, once", async () => {
  const { registry, client, lease } = await keepOne();
  const released = Promise.all([lease.release({ withAgents: true }), lease.release()]);
  const request = await registry.next("deregisterGateway");
  assert.equal(request.body.incarnation, { generation: 1, index: 40 });
  assert.is(request.body.process, client.process);
  assert.is(request.body.sequence, 2);
  assert.is(request.body.withAgents, true);
  request.reply("deregisterGateway", { removed: 1 });
  await registry.wait(released);
  assert.equal(await registry.wait(lease.ended), { reason: "released", error: undefined });
  await registry.pass(60_000);
  assert.is(registry.requests.length, 0);
  await registry.wait(client.close());
});

test("release waits for a register under way, and removes what that one made", async () => {
  const { registry, client, lease } = await keepOne();
  const [renew] = await nextWithin(registry, 20_000);
  renew.replyRenewed([{ position: 0, code: "not_found" }]);
  const register = await registry.next("registerGateway");
  const released = lease.release();
  await registry.settle();
  assert.is(registry.requests.length, 0);
  register.replyRegistered({ index: 70 });
  const request = await registry.next("deregisterGateway");
  assert.is(request.body.incarnation.index, 70);
  request.refuse("not_found");
  await registry.wait(released);
  assert.is(lease.state, "released");
  await registry.wait(client.close());
});

test("close leaves leases to expire, or releases them first", async () => {
  const left = await keepOne();
  await left.registry.wait(left.client.close());
  assert.is(left.registry.requests.length, 0);
  assert.is((await left.registry.wait(left.lease.ended) as LeaseEnd).reason, "released");

  const { registry, client, lease } = await keepOne();
  const closed = client.close({ releaseLeases: true });
  (await registry.next("deregisterGateway")).reply("deregisterGateway", { removed: 1 });
  await registry.wait(closed);
  assert.is(lease.state, "released");
  assert.is(registry.time.timerCount, 0);
});

test.run();
