/**
 * Pullers under any interleaving of changes at home, takeovers while the former one goes on, histories
 * that are gone, lists that break off, regions out of reach or created anew, and partitions that refuse or
 * lose what they are told. The rules of mirrors hold after each step, what a puller calls fresh is
 * mirrored, and in the end everything is as at home.
 */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SourceRegion } from "../support/fake_region_link.ts";
import { MirrorChecker } from "../support/mirror_checker.ts";
import { expectedAliases, expectedMirrors, PullerWorld } from "../support/puller_world.ts";

const DOMAINS = ["a.example", "b.example"];
const RECORDS = 12;

/** A random step; `a` and `b` select what it is about. */
interface Step {
  readonly op: string;
  readonly a: number;
  readonly b: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  op: fc.constantFrom(
    ...["register", "register", "register", "register", "remove", "remove", "pass", "pass"],
    ...["pass", "pass", "wait", "wait", "save", "trim", "takeOver", "cut", "early", "stick"],
    ...["shake", "recreate"],
  ),
  a: fc.nat({ max: 59 }),
  b: fc.nat({ max: 59 }),
});

/** A destination that follows a region. */
class FollowedWorld {
  readonly source = new SourceRegion(2);
  readonly puller = new PullerWorld({ partitions: 4 });
  readonly #checker = new MirrorChecker(this.source, this.puller.target.partitions);
  takeOvers = 0;

  constructor() {
    this.puller.start(this.source);
  }

  get happened() {
    return { ...this.#checker.happened, takeOvers: this.takeOvers };
  }

  get #last() {
    return this.puller.runs.at(-1)!;
  }

  async run({ op, a, b }: Step): Promise<void> {
    const { source, puller: { target } } = this;
    const { link } = this.#last;
    switch (op) {
      case "register":
        source.register(a % RECORDS, b % 6 > 0, [undefined, ...DOMAINS][b % 3]);
        break;
      case "remove":
        source.remove(a % RECORDS);
        break;
      case "pass":
        await this.#pass(1 + a);
        break;
      case "wait":
        await this.#pass(1_000 + 100 * a);
        break;
      case "save":
        await this.#pass(61_000);
        break;
      case "trim":
        source.trim(a % 2);
        break;
      case "takeOver":
        this.#takeOver(b % 2 === 0);
        break;
      case "cut":
        link.isUp = a % 2 === 0;
        break;
      case "early":
        link.endsEarly = a % 3 === 0;
        break;
      case "stick":
        target.stuck = a % 2 === 0 ? b % 4 : undefined;
        break;
      case "shake":
        target.refusedShare = a % 3 === 0 ? 0.3 : 0;
        target.lostShare = b % 3 === 0 ? 0.3 : 0;
        break;
      case "recreate":
        if (a % 4 > 0) break;
        source.recreate();
        this.#takeOver(false);
    }
    for (const run of this.puller.runs) run.link.poke();
    await this.#pass(a % 3);
  }

  #takeOver(doesLastGoOn: boolean): void {
    if (!doesLastGoOn) this.#last.puller.stop();
    this.puller.start(this.source);
    this.takeOvers++;
  }

  async #pass(ms: number): Promise<void> {
    await this.puller.world.pass(ms);
    this.#checker.check();
  }

  /** Lets a last puller do all that is left, and checks that everything is as at home. */
  async converge(): Promise<void> {
    const { target } = this.puller;
    target.stuck = undefined;
    target.refusedShare = target.lostShare = 0;
    const last = this.puller.start(this.source);
    await this.puller.caughtUp(last, 60_000);
    this.#checker.check();
    assert.equal(this.puller.mirrors(), expectedMirrors(this.source));
    assert.equal(this.puller.aliases(DOMAINS), expectedAliases(this.source, DOMAINS));
    for (const run of this.puller.runs.slice(0, -1)) {
      run.link.isUp = true;
      run.link.poke();
    }
    await this.#pass(5_000);
    assert.equal(this.puller.mirrors(), expectedMirrors(this.source));
    for (const { puller } of this.puller.runs) puller.stop();
    await this.puller.world.pass(10_000);
  }
}

test("pullers converge to the region, by the rules of mirrors, whatever happens on the way", async () => {
  const happened = { mirrored: 0, ended: 0, takeOvers: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 80 }), async (steps) => {
      const world = new FollowedWorld();
      for (const one of steps) await world.run(one);
      await world.converge();
      for (const key of Object.keys(happened) as (keyof typeof happened)[]) {
        happened[key] += world.happened[key];
      }
    }),
    { numRuns: 60, seed: 1_414, includeErrorInReport: true, endOnFailure: true },
  );
  // The steps must be able to show what the test is about.
  const { mirrored, ended, takeOvers } = happened;
  assert.ok(mirrored > 400 && ended > 80 && takeOvers > 100, JSON.stringify(happened));
});

test.run();
