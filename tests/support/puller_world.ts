/** Pullers between a region under test and the partitions of a destination, in virtual time. */
import { type ClockReading, sinceMs } from "../../src/base/clock_reading.ts";
import { toRegistryError } from "../../src/base/errors.ts";
import { KIND_MIRROR } from "../../src/record/key.ts";
import { LogShare } from "../../src/region/log_share.ts";
import { Puller } from "../../src/region/puller.ts";
import { FakeRegionLink, type SourceRegion } from "./fake_region_link.ts";
import { numberOf } from "./mirror_puller.ts";
import { SteppedWorld } from "./stepped_world.ts";
import { StoreTarget } from "./store_target.ts";

/** A run that was started. */
export interface StartedRun {
  readonly puller: Puller;
  readonly link: FakeRegionLink;
  /** The times as of which it said that everything is mirrored. */
  readonly fresh: ClockReading[];
  /** Why it ended: a code, or "stopped"; undefined while it runs. */
  ended: string | undefined;
}

/** A world with one destination. */
export class PullerWorld {
  readonly world: SteppedWorld;
  readonly target: StoreTarget;
  readonly runs: StartedRun[] = [];

  constructor({ partitions = 4, seed = 1 } = {}) {
    this.world = new SteppedWorld(seed);
    this.target = new StoreTarget(partitions, this.world, seed);
  }

  /** Starts a run; its fence is the number of the run. */
  start(
    source: SourceRegion,
    { shard = 0, shardCount = 1, othersPerMs = 0 }: {
      readonly shard?: number;
      readonly shardCount?: number;
      /** Bytes that others write to the log meanwhile. */
      readonly othersPerMs?: number;
    } = {},
  ): StartedRun {
    const { world } = this;
    const writtenBytes = () => othersPerMs * world.nowMs();
    const percentMax = () => othersPerMs === 0 ? 100 : 25;
    const fence = this.runs.length + 1;
    const link = new FakeRegionLink(source, this.world, fence);
    const fresh: ClockReading[] = [];
    const puller = new Puller({
      source: { home: "us", shard, fence, feed: source.feed },
      accepted: source.status,
      shardCount,
      bytesPerSecondMax: 1 << 30,
      link,
      target: this.target,
      world: this.world,
      share: new LogShare(writtenBytes, percentMax, world.nowMs()),
      onFresh: (asOf) => fresh.push(asOf),
    });
    const run: StartedRun = { puller, link, fresh, ended: undefined };
    this.runs.push(run);
    puller.run().then(
      () => run.ended = "stopped",
      (error) => run.ended = toRegistryError(error).code,
    );
    return run;
  }

  /** Returns the age by the last time that a run said that everything is mirrored, ms. */
  ageMs({ fresh }: StartedRun): number {
    const last = fresh.at(-1);
    return last === undefined ? Infinity : sinceMs(this.world, last);
  }

  /** Passes time until a run says that everything is mirrored as of now or later. */
  async caughtUp(run: StartedRun, withinMs = 20_000): Promise<void> {
    const fromMs = this.world.nowMs();
    while ((run.fresh.at(-1)?.monotonicMs ?? -1) < fromMs) {
      if (this.world.nowMs() - fromMs > withinMs) {
        throw new Error(`The run must catch up within ${withinMs} ms: it is ${run.ended ?? "on"}`);
      }
      run.link.poke();
      await this.world.pass(100);
    }
  }

  /** Returns the mirrors: number and port of each, sorted. */
  mirrors(): [number, number][] {
    const found: [number, number][] = [];
    for (const { store } of this.target.partitions) {
      store.forEachSlot(KIND_MIRROR, (slot) => {
        const { port } = store.mirrors.recordView(slot).toPlain() as unknown as { port: number };
        found.push([numberOf(store.mirrors.view(slot).id), port]);
      });
    }
    return found.sort(([left], [right]) => left - right);
  }

  /** Returns the agents that the aliases of some domains name. */
  aliases(domains: readonly string[]): [string, number][] {
    return domains.flatMap((domain) =>
      this.target.partitions.flatMap((partition) =>
        partition.aliases(domain).map(([, number]): [string, number] => [domain, number])
      )
    );
  }
}

/** Returns what a destination should have of a region. */
export function expectedMirrors(source: SourceRegion): [number, number][] {
  return [...source.records.values()].filter(({ isGlobal }) => isGlobal)
    .map(({ number, port }): [number, number] => [number, port])
    .sort(([left], [right]) => left - right);
}

/** Returns the aliases that a destination should have of a region. */
export function expectedAliases(
  source: SourceRegion,
  domains: readonly string[],
): [string, number][] {
  return domains.flatMap((domain) =>
    [...source.records.values()]
      .filter(({ isGlobal, held }) => isGlobal && held?.domain === domain)
      .map(({ number }): [string, number] => [domain, number])
  );
}
