/** The backend in this cluster: the conformance suite at a real registry in stepped time. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { World } from "../../../src/base/world.ts";
import { BackedRelayRegistry } from "../../../src/relay/backed_registry.ts";
import { ClusterRelayBackend } from "../../../src/relay/cluster_backend.ts";
import type { RelayRegistry } from "../../../src/relay/relay_registry.ts";
import { RegistryHarness } from "../../support/registry_harness.ts";
import type { SteppedWorld } from "../../support/stepped_world.ts";
import { type RelayStage, testConformance } from "./conformance.ts";
import { STEPPED_TIMES, steppedTime } from "./stepped_stage.ts";

/** Returns a registry whose calls move time until they are answered. */
function stepped(front: RelayRegistry, world: SteppedWorld): RelayRegistry {
  return new Proxy(front, {
    get: (_, name: keyof RelayRegistry) => {
      const method = front[name] as ((...args: unknown[]) => Promise<unknown>) | undefined;
      // A promise of the front asks whether it is a promise itself.
      if (method === undefined) return undefined;
      return (...args: unknown[]) => world.wait(method.apply(front, args));
    },
  });
}

function withClockOffset(world: SteppedWorld, offsetMs: number): World {
  const { monotonic, scheduler, entropy } = world;
  return { monotonic, scheduler, entropy, wall: { unixMs: () => world.unixMs() + offsetMs } };
}

async function openStage(): Promise<RelayStage> {
  const harness = await RegistryHarness.open();
  await harness.raiseVersion();
  const { world } = harness;
  return {
    ...steppedTime(world),
    front: async ({ clockOffsetMs = 0 } = {}) => {
      const client = await harness.client({}, withClockOffset(world, clockOffsetMs));
      const backend = new ClusterRelayBackend(client, { times: STEPPED_TIMES });
      return stepped(new BackedRelayRegistry(backend, world), world);
    },
    close: () => harness.stop(),
  };
}

testConformance("ClusterRelayBackend", test, openStage);

test("ClusterRelayBackend refuses leases that are shorter than the cluster's", () => {
  const times = { relayTtlMs: 30_000, agentTtlMs: 1_000 };
  const open = () => new ClusterRelayBackend({ relays: undefined! }, { times });
  assert.throws(open, /agentTtlMs must be at least 5000/);
});

test.run();
