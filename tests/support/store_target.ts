/**
 * The partitions of a destination as a puller writes to them, over stores under test: commands take time
 * to be logged, may be refused for now, and their answers may be lost.
 */
import { RegistryError } from "../../src/base/errors.ts";
import { SeededEntropy } from "../../src/base/prng.ts";
import type { World } from "../../src/base/world.ts";
import { KIND_MIRROR, KIND_MIRROR_ALIAS } from "../../src/record/key.ts";
import type {
  LoggedMirrors,
  MirrorTarget,
  MirrorVisitors,
  SeenSource,
} from "../../src/region/mirror_target.ts";
import { Partitioner } from "../../src/ring/partition.ts";
import { MirrorHarness } from "./mirrors.ts";
import { newShared } from "./store.ts";

/** The partitions of a cluster under test. */
export class StoreTarget implements MirrorTarget {
  readonly partitions: readonly MirrorHarness[];
  readonly #partitioner: Partitioner;
  readonly #world: World;
  readonly #random: SeededEntropy;
  /** The share of commands that are refused, and of those whose answer is lost. */
  refusedShare = 0;
  lostShare = 0;
  /** The longest time until a command is applied, and as long again until it is answered, ms. */
  delayMs = 5;
  /** A partition that takes nothing, and those that do not answer. */
  stuck: number | undefined;
  silent: readonly number[] = [];
  /** The number of commands that were applied. */
  entries = 0;
  inFlight = 0;
  inFlightMax = 0;
  bytesInFlight = 0;
  bytesInFlightMax = 0;

  constructor(partitionCount: number, world: World, seed = 1) {
    const shared = newShared();
    this.partitions = Array.from(
      { length: partitionCount },
      (_, partition) => new MirrorHarness({ partition, shared }),
    );
    this.#partitioner = new Partitioner(new Uint8Array(16).fill(9), partitionCount);
    this.#world = world;
    this.#random = new SeededEntropy(seed);
  }

  get partitionCount(): number {
    return this.partitions.length;
  }

  partitionOf(kind: number, key: Uint8Array): number {
    return this.#partitioner.partitionOf(kind, key, 0, key.length);
  }

  async log(partition: number, command: Uint8Array): Promise<LoggedMirrors> {
    this.inFlightMax = Math.max(this.inFlightMax, ++this.inFlight);
    this.bytesInFlight += command.length;
    this.bytesInFlightMax = Math.max(this.bytesInFlightMax, this.bytesInFlight);
    try {
      return await this.#log(partition, command);
    } finally {
      this.inFlight--;
      this.bytesInFlight -= command.length;
    }
  }

  async #log(partition: number, command: Uint8Array): Promise<LoggedMirrors> {
    await this.#pause();
    if (this.silent.includes(partition)) await new Promise(() => {});
    if (this.stuck === partition || this.#random.unit() < this.refusedShare) {
      throw new RegistryError("overloaded", "Not now");
    }
    this.entries++;
    const { code, message, count, refused } = this.partitions[partition]!.apply(command);
    await this.#pause();
    if (this.#random.unit() < this.lostShare) {
      throw new RegistryError("deadline_exceeded", "The answer is lost");
    }
    if (code !== "ok") throw new RegistryError(code, message);
    return { count, refused };
  }

  source(partition: number, home: string): Promise<SeenSource> {
    const { store } = this.partitions[partition]!;
    const source = store.mirrors.source(home);
    const cursors = [...source?.cursors.values() ?? []];
    return Promise.resolve({ feed: source?.feed ?? 0, cursors });
  }

  async scan(partition: number, home: string, visitors: MirrorVisitors): Promise<void> {
    await this.#pause();
    const { store } = this.partitions[partition]!;
    store.forEachSlot(KIND_MIRROR, (slot) => {
      const { home: of, ...seen } = store.mirrors.view(slot).toPlain();
      if (of === home) visitors.mirror(seen);
    });
    store.forEachSlot(KIND_MIRROR_ALIAS, (slot) => {
      const { home: of, ...seen } = store.mirrors.aliasView(slot).toPlain();
      if (of === home) visitors.alias(seen);
    });
  }

  #pause(): Promise<void> {
    const delayMs = this.#random.unit() * this.delayMs;
    return new Promise((resolve) => void this.#world.scheduler.after(delayMs, resolve));
  }
}
