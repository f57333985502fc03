/**
 * The Consul backend at a fake of Consul (tests/support/fake_consul.ts): the conformance suite in stepped
 * time, the ends of sessions, and its errors.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BackedRelayRegistry } from "../../../../src/relay/backed_registry.ts";
import { ConsulStore } from "../../../../src/relay/leased/consul_store.ts";
import { LeasedRelayBackend } from "../../../../src/relay/leased/leased_backend.ts";
import type { RelayTimes } from "../../../../src/relay/relay_times.ts";
import type { HttpAddress } from "../../../../src/relay/relay_url.ts";
import { FakeConsul } from "../../../support/fake_consul.ts";
import { codeOf, codeOfCall, refusalOf, rejectionOf } from "../../../support/refusal.ts";
import { SteppedWorld } from "../../../support/stepped_world.ts";
import { testConformance } from "../conformance.ts";
import { steppedStage } from "../stepped_stage.ts";

const ADDRESS = {
  kind: "consul",
  name: "consul://127.0.0.1:8500",
  origin: "http://127.0.0.1:8500",
} as const;
const TIMES: RelayTimes = { relayTtlMs: 30_000, agentTtlMs: 20_000 };

function backendAt(
  consul: FakeConsul,
  times: RelayTimes,
  address: HttpAddress = ADDRESS,
): LeasedRelayBackend {
  const store = new ConsulStore(address, (request) => consul.answer(request), times);
  return new LeasedRelayBackend(store, times);
}

testConformance("ConsulRelayBackend at a fake", test, () => {
  let consul: FakeConsul | undefined;
  // The date of an answer has whole seconds.
  return Promise.resolve({
    ...steppedStage((world, times) => backendAt(consul ??= new FakeConsul(world), times)),
    clockErrorMs: 1_000,
  });
});

function stage() {
  const world = new SteppedWorld();
  const consul = new FakeConsul(world);
  const front = new BackedRelayRegistry(backendAt(consul, TIMES), world);
  return { world, consul, front };
}

const relay = (relayId: string) => ({ relayId, address: "192.0.2.1", grpcPort: 1 });

test("ConsulRelayBackend sends the token of its URL", async () => {
  const { world, consul, front } = stage();
  consul.token = "secret";
  assert.is(await codeOf(front.registerRelay(relay("r1"))), "invalid_configuration");
  const address = { ...ADDRESS, password: "secret" };
  const other = new BackedRelayRegistry(backendAt(consul, TIMES, address), world);
  await other.registerRelay(relay("r1"));
  await other.registerAgent("a1", "r1");
  assert.is((await other.placement("a1")).relayId, "r1");
});

test("ConsulRelayBackend leaves no session behind", async () => {
  const { world, consul, front } = stage();
  await front.registerRelay(relay("r1"));
  for (let count = 0; count < 3; count++) {
    await front.registerRelay(relay("r1"));
    await front.registerAgent("a1", "r1");
    await front.heartbeatAgent("a1", "r1");
  }
  assert.is(consul.sessionCount, 2);
  await world.pass(2 * TIMES.relayTtlMs);
  assert.is(consul.sessionCount, 0);
  assert.equal(consul.keys, []);
});

test("ConsulRelayBackend ends an entry at twice its ttl, and at once with its session", async () => {
  const { world, consul, front } = stage();
  await front.registerRelay(relay("r1"));
  // Each request takes a millisecond.
  await world.pass(2 * TIMES.relayTtlMs - 10);
  assert.is((await front.listRelays()).length, 1);
  await world.pass(10);
  assert.is((await front.listRelays()).length, 0);
  await front.registerRelay(relay("r1"));
  await front.registerAgent("a1", "r1");
  consul.endSessions();
  assert.is(await codeOf(front.heartbeatAgent("a1", "r1")), "not_found");
  assert.is(await codeOf(front.heartbeatRelay("r1")), "not_found");
  await front.registerRelay(relay("r1"));
  await front.registerAgent("a1", "r1");
});

test("ConsulRelayBackend gives errors of Consul a code", async () => {
  const { consul, front } = stage();
  const codes = {
    500: "connection_lost",
    503: "connection_lost",
    429: "overloaded",
    403: "invalid_configuration",
    400: "internal",
    302: "internal",
  };
  for (const [status, code] of Object.entries(codes)) {
    consul.outage = { status: Number(status), text: "No cluster leader\n" };
    const refusal = await rejectionOf(front.registerRelay(relay("r1")));
    assert.is(refusal.code, code);
    assert.match(refusal.message, `${status} No cluster leader`);
  }
  consul.outage = undefined;
  await front.registerRelay(relay("r1"));
});

test("ConsulRelayBackend ignores a key that no session holds, and refuses one of others", async () => {
  const { consul, front } = stage();
  consul.set("crs/relay/cjE.", JSON.stringify({ address: "a", port: 1, heartbeatUnixMs: 1 }));
  assert.equal(await front.listRelays(), []);
  assert.is(await codeOf(front.heartbeatRelay("r1")), "not_found");
  consul.set("crs/relay/something", "else");
  assert.is(await codeOf(front.listRelays()), "internal");
});

test("ConsulStore refuses a ttl below Consul's shortest", () => {
  const { message } = refusalOf(() =>
    new ConsulStore(ADDRESS, fetch, { ...TIMES, agentTtlMs: 9_999 })
  );
  assert.match(message, "agentTtlMs must be at least 10000 with Consul: current value is 9999");
  assert.is(
    codeOfCall(() => new ConsulStore(ADDRESS, fetch, { relayTtlMs: 10_000, agentTtlMs: 10_000 })),
    "ok",
  );
});

test.run();
