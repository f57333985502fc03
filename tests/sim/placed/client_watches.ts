/** The watches of one client: its reader, and the tap on its sessions. */
import type { SeededEntropy } from "../../../src/base/prng.ts";
import type { Client } from "../../../src/client/mod.ts";
import type { Dialer } from "../../../transport/transport.ts";
import type { Process } from "../machine.ts";
import type { SimWorld } from "../world.ts";
import { WatchOnWire } from "./watch_on_wire.ts";
import { WatchReader } from "./watch_reader.ts";
import { tapped } from "./watch_tap.ts";
import type { WatchTruth } from "./watch_truth.ts";

/** The watches of one client. */
export class ClientWatches {
  readonly reader: WatchReader;
  readonly #world: SimWorld;
  readonly #truth: WatchTruth;
  readonly #number: number;

  constructor(
    parts: {
      readonly number: number;
      readonly world: SimWorld;
      readonly truth: WatchTruth;
      readonly entropy: SeededEntropy;
      readonly agents: readonly string[];
      readonly partitionCount: number;
      readonly leases: boolean;
    },
  ) {
    this.#world = parts.world;
    this.#truth = parts.truth;
    this.#number = parts.number;
    this.reader = new WatchReader(parts);
  }

  /** Returns a dialer on whose sessions all watches are followed. */
  tapped(dialer: Dialer): Dialer {
    const world = this.#world;
    const who = `A watch of client ${this.#number}`;
    return tapped(dialer, {
      started: (request) =>
        new WatchOnWire(this.#truth, request, { nowMs: () => world.nowMs, who }),
      guard: (run) => world.guard(run),
    });
  }

  begin(client: Client, process: Process): void {
    this.reader.begin(client, process);
  }
}
