/**
 * Mirrors under any interleaving of pullers: batches delayed, repeated, out of turn, answers lost,
 * cursors saved at any time, takeovers while the former puller goes on, histories that are gone, and a
 * region that begins anew. A mirror never goes back, never shows what its home did not have, ends only
 * by evidence, and in the end is what its home has.
 */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { cases } from "../support/cases.ts";
import { MirrorChecker } from "../support/mirror_checker.ts";
import { MirrorHome } from "../support/mirror_home.ts";
import { TestPuller } from "../support/mirror_puller.ts";
import { MirrorHarness } from "../support/mirrors.ts";
import { imageOf, newShared } from "../support/store.ts";
import { PartitionStore } from "../../src/store/store.ts";

const RUNS = cases(500);
const RECORDS = 5;
const DOMAINS = [undefined, undefined, "a.example", "b.example"];

/** A random step; `a`, `b` and `c` select what it is about. */
interface Step {
  readonly op: string;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  op: fc.constantFrom(
    ...["register", "register", "register", "remove", "pull", "pull", "pull", "deliver"],
    ...["deliver", "deliver", "deliver", "deliver", "lose", "jump", "save", "sweep", "sweep"],
    ...["fence", "fence", "takeOver", "trim", "recreate"],
  ),
  a: fc.nat({ max: 59 }),
  b: fc.nat({ max: 59 }),
  c: fc.nat({ max: 59 }),
});

/** The mirrors of one region in two partitions, with its pullers. */
class MirrorWorld {
  readonly home = new MirrorHome(2);
  readonly here = [0, 1].map((partition) => new MirrorHarness({ partition }));
  readonly pullers: TestPuller[] = [];
  readonly #checker = new MirrorChecker(this.home, this.here);
  /** Counts of things that happened, so that a run which shows nothing is noticed. */
  readonly happened = { takeOvers: 0, superseded: 0 };

  constructor() {
    this.#takeOver();
    // It has listed what there is, so that later ones begin at a cursor.
    this.pullers[0]!.finish();
  }

  /** Counts of what the checker saw. */
  get seen() {
    return this.#checker.happened;
  }

  run({ op, a, b, c }: Step): void {
    const puller = this.pullers[a % 3 === 0 ? b % this.pullers.length : this.pullers.length - 1]!;
    const here = c % this.here.length;
    switch (op) {
      case "register":
        this.home.register(a % RECORDS, b % 5 > 0, DOMAINS[c % DOMAINS.length]);
        break;
      case "remove":
        this.home.remove(a % RECORDS);
        break;
      case "pull":
        puller.pull(c % this.home.partitionCount, 1 + b % 4);
        break;
      case "deliver":
        puller.deliver(here);
        break;
      case "lose":
        puller.deliver(here, { isLost: true });
        break;
      case "jump":
        puller.deliver(here, { place: 1 });
        break;
      case "save":
        puller.save();
        break;
      case "sweep":
        puller.sweep(c % this.home.partitionCount);
        break;
      case "fence":
        for (let at = 0; at <= b % 2; at++) puller.logFence((here + at) % this.here.length);
        break;
      case "takeOver":
        if (a % 3 > 0) break;
        this.#takeOver();
        if (b % 2 === 0) this.here.forEach((_, at) => this.pullers.at(-1)!.logFence(at));
        break;
      case "trim":
        this.home.trim(c % this.home.partitionCount);
        break;
      case "recreate":
        if (a % 8 > 0) break;
        this.home.recreate();
        this.#takeOver();
    }
    this.#checker.check();
  }

  #takeOver(): void {
    this.happened.takeOvers++;
    this.pullers.push(new TestPuller(this.pullers.length + 1, this.home, this.here));
  }

  /** Lets a last puller do all that is left, and checks that everything is as at home. */
  converge(): void {
    this.#takeOver();
    const last = this.pullers.at(-1)!;
    last.finish();
    this.#checker.check();
    this.happened.superseded = this.pullers.filter(({ isSuperseded }) => isSuperseded).length;
    assert.not.ok(last.isSuperseded);
    const expected = [...this.home.records.values()].filter(({ isGlobal }) => isGlobal);
    assert.equal(
      [...this.#checker.orders()].map((
        [number, { feed, revision }],
      ) => [number, feed, revision.index])
        .sort(),
      expected.map(({ number, index }) => [number, this.home.feed, index]).sort(),
    );
    const aliases = ["a.example", "b.example"].map((domain) => [
      domain,
      ...this.here.flatMap((here) => here.aliases(domain).map(([, number]) => number)),
    ]);
    const holders = ["a.example", "b.example"].map((domain) => [
      domain,
      ...expected.filter(({ held }) => held?.domain === domain).map(({ number }) => number),
    ]);
    assert.equal(aliases, holders);
    for (const { store } of this.here) {
      const shard = store.mirrors.source("us")!.shards.get(0)!;
      assert.is(shard.removedCount, 0, "all tombstones are settled");
    }
  }

  /** Checks that the logs give the same state again, also from an image in the middle. */
  checkReplay(from: number): void {
    for (const { log, store, shared } of this.here) {
      const partition = this.here.findIndex((here) => here.store === store);
      let twin = new PartitionStore({ shared: newShared(), partition });
      log.forEach((entry, index) => {
        twin.apply(entry);
        if (index !== from % log.length) return;
        const loaded = new PartitionStore({ shared: newShared(), partition });
        loaded.loadImage([imageOf(twin)]);
        twin = loaded;
      });
      assert.equal(imageOf(twin), imageOf(store));
      assert.is(
        shared.statistics().mirrors,
        this.here.reduce((sum, one) => sum + (one.shared === shared ? one.mirrorCount : 0), 0),
      );
    }
  }
}

test("mirrors converge to their home, never go back, and end by evidence only", () => {
  const happened = { mirrored: 0, ended: 0, takeOvers: 0, superseded: 0 };
  fc.assert(
    fc.property(fc.array(step, { minLength: 60, maxLength: 300 }), fc.nat(), (steps, from) => {
      const world = new MirrorWorld();
      for (const one of steps) world.run(one);
      world.converge();
      world.checkReplay(from);
      const seen = { ...world.happened, ...world.seen };
      for (const key of Object.keys(happened) as (keyof typeof happened)[]) {
        happened[key] += seen[key];
      }
    }),
    // Not shrunk, which takes minutes.
    { numRuns: RUNS, seed: 4_711, includeErrorInReport: true, endOnFailure: true },
  );
  // The steps must be able to show what the test is about.
  const { mirrored, ended, takeOvers, superseded } = happened;
  assert.ok(
    mirrored > RUNS * 4 && ended > RUNS * 0.8 && takeOvers > RUNS * 1.8 && superseded > RUNS * 0.4,
    JSON.stringify(happened),
  );
});

test.run();
