/** The backend in memory: the conformance suite, exact times, and its bounds. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RELAY_MEMORY_RELAYS_MAX, RELAY_RETRY_MS } from "../../../src/base/limits.ts";
import { BackedRelayRegistry } from "../../../src/relay/backed_registry.ts";
import { MemoryRelayBackend } from "../../../src/relay/memory_backend.ts";
import type { RelayBackend } from "../../../src/relay/relay_backend.ts";
import { rejectionOf } from "../../support/refusal.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";
import { testConformance } from "./conformance.ts";
import { steppedStage } from "./stepped_stage.ts";

/** Returns the backend as one of several fronts has it: closing the front leaves the others theirs. */
function shared(backend: MemoryRelayBackend): RelayBackend {
  return new Proxy<RelayBackend>(backend, {
    get: (_, name: keyof RelayBackend) => {
      if (name === "close") return () => Promise.resolve();
      const value = backend[name];
      return typeof value === "function" ? value.bind(backend) : value;
    },
  });
}

testConformance("MemoryRelayBackend", test, () => {
  let backend: MemoryRelayBackend | undefined;
  return Promise.resolve(
    steppedStage((world, times) => shared(backend ??= new MemoryRelayBackend(world, times))),
  );
});

const TIMES = { relayTtlMs: 30_000, agentTtlMs: 20_000 };

function openIn(world: SteppedWorld): BackedRelayRegistry {
  return new BackedRelayRegistry(new MemoryRelayBackend(world, TIMES), world);
}

test("MemoryRelayBackend ends a lease exactly at its ttl, by the monotonic clock", async () => {
  const world = new SteppedWorld();
  const front = openIn(world);
  await front.registerRelay({ relayId: "r1", address: "a", grpcPort: 1 });
  await world.pass(TIMES.relayTtlMs - 1);
  world.wallOffsetMs += 600_000;
  assert.is((await front.listRelays()).length, 1);
  await world.pass(1);
  assert.is((await front.listRelays()).length, 0);
});

test("MemoryRelayBackend refuses what exceeds its memory, until entries ended", async () => {
  const world = new SteppedWorld();
  const front = openIn(world);
  const register = (index: number) =>
    front.registerRelay({ relayId: `r${index}`, address: "a", grpcPort: 1 });
  for (let index = 0; index < RELAY_MEMORY_RELAYS_MAX; index++) await register(index);
  const { code, fields } = await rejectionOf(register(-1));
  assert.is(code, "overloaded");
  assert.is(fields.retryAfterMs, RELAY_RETRY_MS);
  await register(0);
  await world.pass(TIMES.relayTtlMs);
  await register(-1);
  assert.equal((await front.listRelays()).map(({ relayId }) => relayId), ["r-1"]);
});

test.run();
