/**
 * Random work on a shared log, random crashes: whatever part of the unsynced pages and of the folder's
 * changes survives, in whatever order the disk worked, recovery finds the state after some prefix of
 * what was submitted, and that prefix holds all that was acknowledged. The same over full disks,
 * images, relocations, truncations and many restarts of one log. A failure names its seed.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defined } from "../../src/base/assert.ts";
import { groupId, logIndex, term } from "../../src/base/ids.ts";
import { SeededEntropy } from "../../src/base/prng.ts";
import { LogHarness, textEntry } from "../support/log_harness.ts";

const GROUPS = 4;
const SEPARATOR = "|";

/** What a group's log says, images and entries alike: its texts by index, and its hard state. */
interface GroupState {
  texts: string[];
  hardTerm: number;
}

type State = GroupState[];

interface Submitted {
  readonly apply: (state: State) => void;
}

class CrashRun {
  readonly #random: SeededEntropy;
  readonly #h = new LogHarness({ segmentBytes: 64 * 1024, idleMs: 20 });
  readonly #seed: number;
  /** The state that the last recovery found, and what was submitted since. */
  #base: State = Array.from({ length: GROUPS }, () => ({ texts: [], hardTerm: 0 }));
  #submitted: Submitted[] = [];
  #acknowledged = 0;
  #names = 0;
  #diskFull = false;
  #imaging = new Set<number>();
  #relocating = false;
  readonly counts = { images: 0, relocations: 0, failures: 0, cuts: 0, truncations: 0, freed: 0 };

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = new SeededEntropy(seed);
  }

  run(rounds: number): void {
    for (let round = 0; round < rounds; round++) {
      this.#open(round);
      const steps = this.#upTo(120);
      for (let step = 0; step < steps; step++) this.#step();
      this.counts.freed += Number(!this.#h.disk.list().some(({ name }) => /-0{16}\./.test(name)));
      this.#crash();
    }
  }

  #upTo(limit: number): number {
    return Math.floor(this.#random.unit() * limit);
  }

  #where(round: number): string {
    return `seed ${this.#seed}, round ${round}`;
  }

  #crash(): void {
    this.#diskFull = false;
    this.#h.disk.intercept = () => undefined;
    this.#h.disk.reorder = undefined;
    this.#imaging = new Set();
    this.#relocating = false;
    this.#h.crash(this.#upTo(2 ** 31));
  }

  #open(round: number): void {
    const h = this.#h;
    h.start();
    h.world.settle();
    if (h.error !== undefined) throw new Error(`${this.#where(round)}: ${h.error.message}`);
    this.counts.cuts += h.cuts.length;
    const found = this.#recovered();
    const state = structuredClone(this.#base);
    let matches = this.#acknowledged === 0 && equal(state, found);
    this.#submitted.forEach(({ apply }, at) => {
      apply(state);
      if (at + 1 >= this.#acknowledged) matches ||= equal(state, found);
    });
    assert.ok(
      matches,
      `${this.#where(round)}: recovered ${summary(found)} is no state between ` +
        `acknowledged ${this.#acknowledged} and submitted ${this.#submitted.length}, ` +
        summary(state),
    );
    this.#base = found;
    this.#submitted = [];
    this.#acknowledged = 0;
    if (this.#upTo(2) === 0) h.disk.reorder = this.#random;
  }

  #recovered(): State {
    return Array.from({ length: GROUPS }, (_, group) => {
      const { image, imageIndex, entries, hardState } = this.#h.group(group);
      const texts = imageIndex === 0 ? [] : image.split(SEPARATOR);
      assert.is(texts.length, imageIndex);
      for (const { index, text } of entries) {
        assert.is(index, texts.length + 1);
        texts.push(text);
      }
      return { texts, hardTerm: hardState?.term ?? 0 };
    });
  }

  /** The state when all that was submitted is taken as done. */
  #hoped(): State {
    const state = structuredClone(this.#base);
    for (const { apply } of this.#submitted) apply(state);
    return state;
  }

  #submit(apply: (state: State) => void): (error: unknown) => void {
    const submitted = { apply };
    this.#submitted.push(submitted);
    return (error) => {
      if (error === undefined) {
        assert.is(this.#submitted[this.#acknowledged], submitted, "answers come in order");
        this.#acknowledged++;
      } else {
        // It is out of the log, and with it all that came after.
        this.counts.failures++;
        const at = this.#submitted.indexOf(submitted);
        assert.ok(at >= this.#acknowledged);
        this.#submitted.splice(at, 1);
      }
    };
  }

  #step(): void {
    const log = defined(this.#h.log, "Log must be open");
    const action = this.#upTo(100);
    const group = this.#upTo(GROUPS);
    if (action < 55) this.#append(group);
    else if (action < 62) {
      const hardTerm = ++this.#names;
      const state = { term: term(hardTerm), vote: 0, commit: logIndex(0) };
      const answer = this.#submit((hoped) => hoped[group]!.hardTerm = hardTerm);
      if (log.saveHardState(groupId(group), state, answer) !== undefined) this.#submitted.pop();
    } else if (action < 70) this.#image(group);
    else if (action < 76) this.#relocate();
    else if (action < 79) this.#toggleFull();
    else if (action < 84) this.#h.world.pass(this.#upTo(700));
    else for (let turns = this.#upTo(6); turns > 0; turns--) this.#h.world.turn();
  }

  #append(group: number): void {
    const log = defined(this.#h.log, "Log must be open");
    const { length } = this.#hoped()[group]!.texts;
    const lowest = log.imageIndex(groupId(group)) + 1;
    // A truncation must stay above an image that is still being written.
    const mayTruncate = !this.#imaging.has(group) && length >= lowest;
    const truncates = mayTruncate && this.#upTo(8) === 0;
    const first = truncates ? lowest + this.#upTo(length - lowest + 1) : length + 1;
    if (truncates) this.counts.truncations++;
    const names = Array.from({ length: 1 + this.#upTo(3) }, () => {
      const filler = this.#upTo(12) === 0 ? "x".repeat(this.#upTo(9_000)) : "";
      return `${++this.#names}${filler}`;
    });
    const answer = this.#submit((state) =>
      state[group]!.texts.splice(first - 1, Infinity, ...names)
    );
    const refusal = log.append(
      groupId(group),
      logIndex(first),
      names.map((name) => textEntry(name)),
      answer,
    );
    if (refusal !== undefined) this.#submitted.pop();
  }

  #image(group: number): void {
    const log = defined(this.#h.log, "Log must be open");
    const index = log.lastIndex(groupId(group));
    if (this.#imaging.has(group) || index === 0) return;
    // Acknowledged entries that nothing outstanding may truncate stand in the base or were answered.
    const durable = structuredClone(this.#base);
    for (const { apply } of this.#submitted.slice(0, this.#acknowledged)) apply(durable);
    const hoped = this.#hoped()[group]!.texts;
    const texts = durable[group]!.texts.slice(0, index);
    if (texts.some((text, at) => hoped[at] !== text)) return;
    this.#imaging.add(group);
    const point = { index, term: term(1), configuration: new Uint8Array(0) };
    const chunks = [new TextEncoder().encode(texts.join(SEPARATOR))];
    const refusal = log.writeImage(groupId(group), point, chunks, (error) => {
      this.#imaging.delete(group);
      if (error === undefined) this.counts.images++;
    });
    if (refusal !== undefined) this.#imaging.delete(group);
  }

  #relocate(): void {
    const log = defined(this.#h.log, "Log must be open");
    const holders = log.oldestHolders().filter(() => this.#upTo(4) > 0);
    if (this.#relocating || holders.length === 0) return;
    this.#relocating = true;
    const refusal = log.relocateOldest(new Set(holders.map(({ group }) => group)), (error) => {
      this.#relocating = false;
      if (error === undefined) this.counts.relocations++;
    });
    if (refusal !== undefined) this.#relocating = false;
  }

  #toggleFull(): void {
    this.#diskFull = !this.#diskFull;
    this.#h.disk.intercept = (operation) =>
      this.#diskFull && operation.kind === "write" && this.#upTo(3) > 0 ? "no_space" : undefined;
  }
}

/** How long each group is and how it ends, for a message that a person can read. */
function summary(state: State): string {
  return state.map(({ texts, hardTerm }) => {
    const tail = texts.slice(-4).map((text) => text.replace(/x+$/, "x"));
    return `[${texts.length}: …${tail.join(" ")}; ${hardTerm}]`;
  }).join(" ");
}

function equal(left: State, right: State): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}

test("SharedLog after any crash holds all that was acknowledged, in order, and a prefix of the rest", () => {
  const seeds = Number(Deno.env.get("CRS_SEEDS") ?? 60);
  const from = Number(Deno.env.get("CRS_SEED") ?? 1);
  const totals: Record<string, number> = {};
  for (let seed = from; seed < from + seeds; seed++) {
    const run = new CrashRun(seed);
    run.run(12);
    for (const [name, count] of Object.entries(run.counts)) {
      totals[name] = (totals[name] ?? 0) + count;
    }
  }
  // A run that never meets these proves nothing.
  if (seeds < 60) return;
  for (const [name, count] of Object.entries(totals)) {
    assert.ok(count > 0, `${name} never happened`);
  }
});

test.run();
