/** Stages of the conformance suite in stepped time. */
import { BackedRelayRegistry } from "../../../src/relay/backed_registry.ts";
import type { RelayBackend } from "../../../src/relay/relay_backend.ts";
import type { RelayRegistry } from "../../../src/relay/relay_registry.ts";
import type { RelayTimes } from "../../../src/relay/relay_times.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";
import type { RelayStage } from "./conformance.ts";

/** Leases of the stages: an agent's is the shorter one. */
export const STEPPED_TIMES: RelayTimes = { relayTtlMs: 30_000, agentTtlMs: 20_000 };
const STEP_MS = STEPPED_TIMES.agentTtlMs / 8;

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
    ...steppedTime(world),
    front: () => {
      const front = new BackedRelayRegistry(backendOf(world, STEPPED_TIMES), world);
      fronts.push(front);
      return Promise.resolve(front);
    },
    close: async () => {
      for (const front of fronts) await front.close();
    },
  };
}

/** Returns the time of a stage, whose backend reports exactly that of `world`. */
export function steppedTime(world: SteppedWorld): Omit<RelayStage, "front" | "close"> {
  return {
    times: STEPPED_TIMES,
    unixMs: () => world.unixMs(),
    clockErrorMs: 0,
    until: async (what, holds) => {
      for (let passedMs = 0; !await holds(); passedMs += STEP_MS) {
        if (passedMs > STEPPED_TIMES.relayTtlMs * 3) {
          throw new Error(`Not within ${passedMs} ms: ${what}`);
        }
        await world.pass(STEP_MS);
      }
    },
    during: async (ms, act) => {
      for (let passedMs = 0; passedMs < ms; passedMs += STEP_MS) {
        await act();
        await world.pass(STEP_MS);
      }
    },
  };
}
