/**
 * The steps of the backend over leases when others act between their requests: at a fake of Consul, with
 * the other's action before a chosen request.
 */
import { setImmediate } from "node:timers";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RELAY_ATTEMPTS_MAX } from "../../../../src/base/limits.ts";
import { BackedRelayRegistry } from "../../../../src/relay/backed_registry.ts";
import { ConsulStore } from "../../../../src/relay/leased/consul_store.ts";
import { LeasedRelayBackend } from "../../../../src/relay/leased/leased_backend.ts";
import type { RelayRegistry } from "../../../../src/relay/relay_registry.ts";
import { FakeConsul } from "../../../support/fake_consul.ts";
import { codeOf } from "../../../support/refusal.ts";
import { SteppedWorld } from "../../../support/stepped_world.ts";

const ADDRESS = { kind: "consul", name: "consul://h:1", origin: "http://h:1" } as const;
const TIMES = { relayTtlMs: 30_000, agentTtlMs: 20_000 };

/** A front whose requests a test can come between, and another one of the same Consul. */
class Stage {
  readonly world = new SteppedWorld();
  readonly consul = new FakeConsul(this.world);
  readonly other = this.#frontOver((request) => this.consul.answer(request));
  readonly front = this.#frontOver(async (request) => {
    await this.#between();
    return await this.consul.answer(request);
  });
  #before: { requests: number; act: () => Promise<unknown> } | undefined;

  /** Runs `call` with `act` before its request after `requests` others; returns if there was one. */
  async between(
    requests: number,
    act: () => Promise<unknown>,
    call: () => Promise<unknown>,
  ): Promise<boolean> {
    this.#before = { requests, act };
    await call();
    const hasActed = this.#before === undefined;
    this.#before = undefined;
    return hasActed;
  }

  /** Lets `act` happen before each request from now on. */
  beforeEach(act: () => Promise<unknown>): void {
    const again = async () => {
      await act();
      this.#before = { requests: 0, act: again };
    };
    this.#before = { requests: 0, act: again };
  }

  /** Ends the relay and its session as time does, and leaves the agent. */
  async endRelay(): Promise<void> {
    for (let passedMs = 0; passedMs < 2 * TIMES.relayTtlMs; passedMs += TIMES.agentTtlMs) {
      await this.world.pass(TIMES.agentTtlMs);
      await codeOf(this.other.heartbeatAgent("a1", "r1"));
    }
    assert.is(await codeOf(this.other.heartbeatRelay("r1")), "not_found");
  }

  async #between(): Promise<void> {
    const before = this.#before;
    if (before === undefined || before.requests-- > 0) return;
    this.#before = undefined;
    await before.act();
  }

  #frontOver(send: (request: Request) => Promise<Response>): RelayRegistry {
    const store = new ConsulStore(ADDRESS, send, TIMES);
    // Time passes while a call is on its way, and no call here is to end by its deadline.
    const never = { after: () => ({ cancel: () => {} }), nextTurn: () => {} };
    return new BackedRelayRegistry(new LeasedRelayBackend(store, TIMES), { scheduler: never });
  }
}

const relay = (relayId: string) => ({ relayId, address: "192.0.2.1", grpcPort: 1 });

/** Runs a scenario for each request of a call that another one can come before. */
async function atEachRequest(
  requestsMin: number,
  scenario: (stage: Stage, requests: number) => Promise<boolean>,
): Promise<void> {
  let requests = 0;
  while (await scenario(new Stage(), requests)) requests++;
  assert.ok(requests >= requestsMin, `Only ${requests} requests were come between`);
}

test("LeasedRelayBackend places no agent at a relay that ended meanwhile", () =>
  atEachRequest(3, async (stage, requests) => {
    await stage.other.registerRelay(relay("r1"));
    let code = "";
    const hasEnded = await stage.between(requests, () => stage.endRelay(), async () => {
      code = await codeOf(stage.front.registerAgent("a1", "r1"));
    });
    await stage.other.registerRelay(relay("r1"));
    assert.is(code, hasEnded ? "not_found" : "ok");
    assert.is(await codeOf(stage.other.placement("a1")), code);
    return hasEnded;
  }));

test("LeasedRelayBackend places an agent at the incarnation that followed meanwhile", () =>
  atEachRequest(3, async (stage, requests) => {
    await stage.other.registerRelay(relay("r1"));
    const comeBack = async () => {
      await stage.endRelay();
      await stage.other.registerRelay(relay("r1"));
    };
    const register = () => stage.front.registerAgent("a1", "r1");
    const hasComeBack = await stage.between(requests, comeBack, register);
    assert.is(await codeOf(stage.other.placement("a1")), "ok");
    return hasComeBack;
  }));

test("LeasedRelayBackend lets a takeover win over a heartbeat of the old relay", () =>
  atEachRequest(2, async (stage, requests) => {
    await stage.other.registerRelay(relay("r1"));
    await stage.other.registerRelay(relay("r2"));
    await stage.other.registerAgent("a1", "r1");
    let code = "";
    const takeOver = () => stage.other.registerAgent("a1", "r2");
    const isTaken = await stage.between(requests, takeOver, async () => {
      code = await codeOf(stage.front.heartbeatAgent("a1", "r1"));
    });
    // The third request is a renewal beside the write, which may have come before the takeover.
    if (isTaken && requests < 2) assert.is(code, "not_found");
    assert.is((await stage.other.placement("a1")).relayId, isTaken ? "r2" : "r1");
    assert.is(
      await codeOf(stage.front.heartbeatAgent("a1", "r1")),
      isTaken ? "not_found" : "ok",
    );
    return isTaken;
  }));

test("LeasedRelayBackend finds an agent that moves while it is looked up", async () => {
  const calls: ((front: RelayRegistry) => Promise<unknown>)[] = [
    (front) => front.placement("a1"),
    (front) => front.heartbeatAgent("a1", undefined),
  ];
  for (const call of calls) {
    await atEachRequest(2, async (stage, requests) => {
      await stage.other.registerRelay(relay("r1"));
      await stage.other.registerRelay(relay("r2"));
      await stage.other.registerAgent("a1", "r1");
      const move = () => stage.other.registerAgent("a1", "r2");
      const hasMoved = await stage.between(requests, move, () => call(stage.front));
      assert.is((await stage.other.placement("a1")).relayId, hasMoved ? "r2" : "r1");
      return hasMoved;
    });
  }
});

test("LeasedRelayBackend registers again what ended before it could be renewed", () =>
  atEachRequest(2, async (stage, requests) => {
    await stage.other.registerRelay(relay("r1"));
    const end = async () => {
      // A write beside the renewal comes before.
      await new Promise((resolve) => void setImmediate(resolve));
      stage.consul.endSessions();
    };
    const register = () => stage.front.registerRelay(relay("r1"));
    const hasEnded = await stage.between(requests, end, register);
    assert.is((await stage.other.listRelays()).length, 1);
    return hasEnded;
  }));

test("LeasedRelayBackend gives a relay that two fronts register at once one session", () =>
  atEachRequest(3, async (stage, requests) => {
    const register = (front: RelayRegistry) => front.registerRelay(relay("r1"));
    const hasBoth = await stage.between(
      requests,
      () => register(stage.other),
      () => register(stage.front),
    );
    await stage.front.heartbeatRelay("r1");
    assert.is(stage.consul.sessionCount, 1);
    return hasBoth;
  }));

test("LeasedRelayBackend gives up what others change without end, and leaves nothing", async () => {
  const stage = new Stage();
  await stage.other.registerRelay(relay("r1"));
  let changes = 0;
  stage.beforeEach(() => stage.other.registerRelay(relay("r1")).then(() => changes++));
  assert.is(await codeOf(stage.front.heartbeatRelay("r1")), "overloaded");
  assert.ok(changes >= RELAY_ATTEMPTS_MAX);
  assert.is(stage.consul.sessionCount, 1);
});

test.run();
