/** A stage of the conformance suite in stepped time. */
import { BackedRelayRegistry } from "../../../src/relay/backed_registry.ts";
import type { RelayBackend } from "../../../src/relay/relay_backend.ts";
import type { RelayRegistry } from "../../../src/relay/relay_registry.ts";
import type { RelayTimes } from "../../../src/relay/relay_times.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";
import type { RelayStage } from "./conformance.ts";

/** Leases of the stage: an agent's is the shorter one. */
const TIMES: RelayTimes = { relayTtlMs: 30_000, agentTtlMs: 20_000 };

/**
 * Opens a stage.
 *
 * @param backendOf returns the backend of a front.
 */
export function steppedStage(
  backendOf: (world: SteppedWorld, times: RelayTimes) => RelayBackend,
): RelayStage {
  const world = new SteppedWorld();
  const fronts: RelayRegistry[] = [];
  return {
    times: TIMES,
    front: () => {
      const front = new BackedRelayRegistry(backendOf(world, TIMES), world);
      fronts.push(front);
      return Promise.resolve(front);
    },
    unixMs: () => world.unixMs(),
    clockErrorMs: 0,
    until: async (what, holds) => {
      for (let passedMs = 0; !await holds(); passedMs += TIMES.agentTtlMs / 8) {
        if (passedMs > TIMES.relayTtlMs * 3) throw new Error(`Not within ${passedMs} ms: ${what}`);
        await world.pass(TIMES.agentTtlMs / 8);
      }
    },
    during: async (ms, act) => {
      for (let passedMs = 0; passedMs < ms; passedMs += TIMES.agentTtlMs / 8) {
        await act();
        await world.pass(TIMES.agentTtlMs / 8);
      }
    },
    close: async () => {
      for (const front of fronts) await front.close();
    },
  };
}
