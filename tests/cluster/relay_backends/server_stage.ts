/** A stage of the conformance suite at a real server. */
import type { World } from "../../../src/base/world.ts";
import { openRelayRegistry } from "../../../src/relay/open_relay_registry.ts";
import type { RelayRegistry } from "../../../src/relay/relay_registry.ts";
import type { RelayTimes } from "../../../src/relay/relay_times.ts";
import { testWorld } from "../../support/production_world.ts";
import { codeOf } from "../../support/refusal.ts";
import { until } from "../../support/until.ts";
import type { RelayStage } from "../../unit/relay/conformance.ts";

/** How a server keeps its time. */
export interface ServerTimes {
  readonly times: RelayTimes;
  /** Error of the times that it reports, ms. */
  readonly clockErrorMs: number;
}

/** Opens a stage at the server of a URL. */
export function serverStage(url: string, { times, clockErrorMs }: ServerTimes): RelayStage {
  const fronts: RelayRegistry[] = [];
  const { relayTtlMs, agentTtlMs } = times;
  return {
    times,
    clockErrorMs,
    front: async ({ clockOffsetMs = 0 } = {}) => {
      const front = await openRelayRegistry(url, { world: worldAt(clockOffsetMs), ...times });
      fronts.push(front);
      return front;
    },
    unixMs: () => Date.now(),
    until: (what, holds) => until(what, holds, 3 * relayTtlMs + 5_000),
    during: async (ms, act) => {
      const endMs = performance.now() + ms;
      await until("the time passes", async () => {
        await act();
        return performance.now() > endMs;
      }, ms + agentTtlMs);
    },
    close: async () => {
      for (const front of fronts) await front.close();
    },
  };
}

/** Returns this process' world with a wall clock that is wrong. */
function worldAt(clockOffsetMs: number): World {
  const world = testWorld();
  return { ...world, wall: { unixMs: () => world.wall.unixMs() + clockOffsetMs } };
}

/** Uses a front of the backend of a URL. */
export async function withFrontAt(
  url: string,
  times: RelayTimes,
  use: (front: RelayRegistry) => Promise<void>,
): Promise<void> {
  const front = await openRelayRegistry(url, { world: testWorld(), ...times });
  try {
    await use(front);
  } finally {
    await front.close();
  }
}

/** Returns the code with which a call ends, `ok` if it succeeds, and how long it took. */
export async function timed(call: Promise<unknown>): Promise<{ code: string; tookMs: number }> {
  const startMs = performance.now();
  const code = await codeOf(call);
  return { code, tookMs: performance.now() - startMs };
}
