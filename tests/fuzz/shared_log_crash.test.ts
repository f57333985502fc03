/**
 * Random operations on a shared log, on a faulty disk: it is slow, reorders, fills up, fails to
 * sync; the process is killed and finds its page cache again, or the power fails and any part of
 * the unsynced data is lost, also in the middle of a recovery. In all cases recovery finds the
 * state after some prefix of the submissions, and that prefix includes everything acknowledged and
 * everything that an earlier recovery reported. A log that is truncated below the position that its
 * mark covers is refused, and no other is. A failure names its seed: `CRS_SEED=n CRS_SEEDS=1`.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defined } from "../../src/base/assert.ts";
import type { RegistryError } from "../../src/base/errors.ts";
import { type GroupId, groupId, logIndex, term } from "../../src/base/ids.ts";
import { NODE_STATE_GROUP } from "../../src/replication/log_ids.ts";
import { SeededEntropy } from "../../src/base/prng.ts";
import type { SharedLog } from "../../src/storage/shared_log.ts";
import { LogHarness, textEntry } from "../support/log_harness.ts";
import { decodeMarks, MARK_FILE } from "../../src/wal/log_mark.ts";
import { segmentPosition } from "../../src/wal/segment.ts";
import { type Answer, LogModel, type LogState } from "../support/log_model.ts";

const GROUPS: readonly GroupId[] = [
  ...[0, 1, 2, 3].map((id) => groupId(id)),
  NODE_STATE_GROUP,
];
/** Groups with entries; the node's own state has none. */
const LOGS = GROUPS.length - 1;
const SEPARATOR = "|";

class CrashRun {
  readonly #random: SeededEntropy;
  readonly #h = new LogHarness({ segmentBytes: 64 * 1024, idleMs: 20 });
  readonly #seed: number;
  readonly #model = new LogModel(GROUPS.length);
  #where = "";
  #names = 0;
  #diskFull = false;
  readonly #imaging = new Set<number>();
  #relocating = false;
  readonly counts = {
    images: 0,
    installs: 0,
    forgets: 0,
    canceled: 0,
    relocations: 0,
    failures: 0,
    cuts: 0,
    truncations: 0,
    freed: 0,
    poisons: 0,
    kills: 0,
    powerCuts: 0,
    brokenRecoveries: 0,
    closes: 0,
    refusedCuts: 0,
  };

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = new SeededEntropy(seed);
  }

  run(rounds: number): void {
    for (let round = 0; round < rounds; round++) {
      this.#where = `seed ${this.#seed}, round ${round}`;
      this.#open();
      const steps = this.#upTo(120);
      for (let step = 0; step < steps && this.#h.poison === undefined; step++) this.#step();
      this.counts.freed += Number(!this.#h.disk.list().some(({ name }) => /-0{16}\./.test(name)));
      this.#end();
    }
  }

  #upTo(limit: number): number {
    return Math.floor(this.#random.unit() * limit);
  }

  #chance(part: number): boolean {
    return this.#random.unit() < part;
  }

  get #log(): SharedLog {
    return defined(this.#h.log, "Log must be open");
  }

  /** Ends the process: normally, by a kill, or with the whole machine. */
  #end(): void {
    const { disk, poison } = this.#h;
    this.#setFull(false);
    if (poison === undefined && this.#chance(0.1)) {
      this.counts.closes++;
      disk.releaseHeld();
      let closed = false;
      this.#log.close(() => closed = true);
      this.#h.world.pass(1_000);
      assert.ok(closed, this.#where);
    }
    this.counts.poisons += Number(poison !== undefined);
    this.#cutCopy();
    this.#die();
    this.#imaging.clear();
    this.#relocating = false;
  }

  /** Truncates a copy of the log below the position that its mark covers: it must be refused. */
  #cutCopy(): void {
    const { disk, markDisk } = this.#h;
    const marks = defined(markDisk.peek(MARK_FILE), `${this.#where}: a mark`);
    const found = decodeMarks(marks);
    if (typeof found === "string") throw new Error(`${this.#where}: the mark is ${found}`);
    const newest = disk.list().map(({ name }) => name).filter((name) => name.endsWith(".wal"))
      .at(-1)!;
    const known = found.mark.position - defined(segmentPosition(newest), "A segment");
    if (known <= 0) return;
    const bytes = defined(disk.peek(newest), "A segment");
    const last = bytes.subarray(0, known).findLastIndex((byte) => byte !== 0);
    const copy = new LogHarness({ segmentBytes: 64 * 1024 });
    for (const { name } of disk.list()) copy.disk.plant(name, defined(disk.peek(name), name));
    copy.disk.plant(newest, bytes.slice(0, this.#upTo(last + 1)));
    copy.markDisk.plant(MARK_FILE, marks);
    assert.is(copy.refused().code, "corrupt", this.#where);
    this.counts.refusedCuts++;
  }

  #die(): void {
    const { disk } = this.#h;
    disk.intercept = () => undefined;
    disk.reorder = undefined;
    disk.delayMs = this.#h.markDisk.delayMs = () => 0;
    const seed = this.#chance(0.2) ? undefined : this.#upTo(2 ** 31);
    if (this.#chance(0.5)) {
      this.counts.kills++;
      this.#h.kill(seed);
    } else {
      this.counts.powerCuts++;
      this.#h.crash(seed);
    }
  }

  #open(): void {
    const h = this.#h;
    while (this.#chance(0.3)) this.#breakRecovery();
    h.start();
    h.world.settle();
    if (h.error !== undefined) throw new Error(`${this.#where}: ${h.error.message}`);
    this.counts.cuts += h.cuts.length;
    this.#model.recovered(this.#recovered(), this.#where);
    const { random } = { random: this.#random };
    if (this.#chance(0.5)) h.disk.reorder = random;
    if (this.#chance(0.5)) {
      const slowest = 1 + this.#upTo(40);
      h.disk.delayMs = () => this.#chance(0.3) ? 0 : this.#upTo(slowest);
      h.markDisk.delayMs = h.disk.delayMs;
    }
    if (this.#chance(0.3)) this.#failOneSync();
  }

  /** Runs a recovery that a crash or a failing sync interrupts. */
  #breakRecovery(): void {
    this.counts.brokenRecoveries++;
    const h = this.#h;
    if (this.#chance(0.3)) this.#failOneSync(4);
    h.start();
    for (let turns = this.#upTo(30); turns > 0; turns--) h.world.turn();
    assert.not.equal(h.error?.code, "corrupt", `${this.#where}: ${h.error?.message}`);
    this.#die();
  }

  #failOneSync(within = 40): void {
    let left = this.#upTo(within);
    const { disk } = this.#h;
    const { intercept } = disk;
    disk.poisons = this.#chance(0.5);
    disk.intercept = (operation) => {
      const isSync = operation.kind === "sync" || operation.kind === "syncFolder";
      return isSync && left-- === 0 ? "io" : intercept(operation);
    };
  }

  #recovered(): LogState {
    return GROUPS.map((id) => {
      const { image, imageIndex, entries, hardState } = this.#h.group(id);
      const texts = imageIndex === 0 ? [] : image.split(SEPARATOR);
      assert.is(texts.length, imageIndex, this.#where);
      for (const { index, text } of entries) {
        assert.is(index, texts.length + 1, this.#where);
        texts.push(text);
      }
      return { texts, hardTerm: hardState?.term ?? 0 };
    });
  }

  /** Passes the outcome of a submission to the model. */
  #answering(answer: Answer): (error: RegistryError | undefined) => void {
    return (error) => {
      if (error !== undefined) this.counts.failures++;
      answer(error, this.#h.poison !== undefined);
    };
  }

  #step(): void {
    const action = this.#upTo(100);
    const group = this.#upTo(LOGS);
    if (action < 50) this.#append(group);
    else if (action < 58) this.#saveHardState(this.#upTo(GROUPS.length));
    else if (action < 65) this.#image(group);
    else if (action < 69) this.#install(group);
    else if (action < 72) this.#forget(group);
    else if (action < 77) this.#relocate();
    else if (action < 80) this.#setFull(!this.#diskFull);
    else if (action < 86) this.#h.world.pass(this.#upTo(this.#chance(0.1) ? 1_500 : 60));
    else for (let turns = this.#upTo(6); turns > 0; turns--) this.#h.world.turn();
  }

  #name(): string {
    const filler = this.#upTo(12) === 0 ? "x".repeat(this.#upTo(9_000)) : "";
    return `${++this.#names}${filler}`;
  }

  #append(group: number): void {
    if (this.#model.isInstalling(group)) return;
    const { length } = this.#model.hoped()[group]!.texts;
    const image = Math.min(length, this.#log.imageIndex(GROUPS[group]!));
    // Entries that the group has applied, and so has in images, are never truncated.
    const truncates = !this.#imaging.has(group) && length > image && this.#upTo(8) === 0;
    const first = truncates ? image + 1 + this.#upTo(length - image) : length + 1;
    const names = Array.from({ length: 1 + this.#upTo(3) }, () => this.#name());
    const answer = this.#model.submit((state) =>
      state[group]!.texts.splice(first - 1, Infinity, ...names)
    );
    const entries = names.map((name) => textEntry(name));
    const done = this.#answering(answer);
    const refusal = this.#log.append(GROUPS[group]!, logIndex(first), entries, done);
    if (refusal !== undefined) this.#model.refused();
    else if (truncates) this.counts.truncations++;
    if (refusal === undefined && this.#chance(0.3)) this.#saveHardState(group);
  }

  #saveHardState(group: number): void {
    const hardTerm = ++this.#names;
    const state = { term: term(hardTerm), vote: 0, commit: logIndex(0) };
    const answer = this.#model.submit((hoped) => hoped[group]!.hardTerm = hardTerm);
    const refusal = this.#log.saveHardState(GROUPS[group]!, state, this.#answering(answer));
    if (refusal !== undefined) this.#model.refused();
  }

  /**
   * Writes an image of the group's own, of an acknowledged entry that no pending operation
   * truncates.
   */
  #image(group: number): void {
    const { texts } = this.#model.acknowledged()[group]!;
    const hoped = this.#model.hoped()[group]!.texts;
    const from = this.#log.imageIndex(GROUPS[group]!);
    if (this.#imaging.has(group) || this.#model.isInstalling(group)) return;
    const index = from + this.#upTo(texts.length - from + 1);
    if (index === 0 || index > texts.length || index > hoped.length) return;
    if (texts.slice(0, index).some((text, at) => hoped[at] !== text)) return;
    this.#imaging.add(group);
    const chunks = [new TextEncoder().encode(texts.slice(0, index).join(SEPARATOR))];
    const refusal = this.#log.writeImage(GROUPS[group]!, point(index), chunks, (error) => {
      if (error?.code === "canceled") this.counts.canceled++;
      else this.#imaging.delete(group);
      if (error === undefined) this.counts.images++;
    });
    if (refusal !== undefined) this.#imaging.delete(group);
  }

  #install(group: number): void {
    const from = this.#log.imageIndex(GROUPS[group]!);
    const { length } = this.#model.hoped()[group]!.texts;
    if (this.#model.isInstalling(group) || length < from) return;
    const index = Math.max(1, from + this.#upTo(length - from + 4));
    const texts = Array.from({ length: index }, () => `${++this.#names}`);
    const answer = this.#model.install(group, texts);
    const done = this.#answering(answer);
    const chunks = [new TextEncoder().encode(texts.join(SEPARATOR))];
    this.#imaging.delete(group);
    const refusal = this.#log.installImage(GROUPS[group]!, point(index), chunks, (error) => {
      done(error);
      if (error === undefined) this.counts.installs++;
    });
    if (refusal !== undefined) answer(refusal, false);
  }

  #forget(group: number): void {
    const answer = this.#model.forget(group);
    this.#imaging.delete(group);
    const done = this.#answering(answer);
    const refusal = this.#log.forget(GROUPS[group]!, (error) => {
      done(error);
      if (error === undefined) this.counts.forgets++;
    });
    if (refusal !== undefined) this.#model.refused();
  }

  #relocate(): void {
    const holders = this.#log.oldestHolders().filter(() => this.#upTo(4) > 0);
    if (this.#relocating || holders.length === 0) return;
    this.#relocating = true;
    const groups = new Set(holders.map(({ group }) => group));
    const refusal = this.#log.relocateOldest(groups, (error) => {
      this.#relocating = false;
      if (error === undefined) this.counts.relocations++;
    });
    if (refusal !== undefined) this.#relocating = false;
  }

  #setFull(full: boolean): void {
    const { disk } = this.#h;
    this.#diskFull = full;
    disk.capacityBytes = full ? disk.usedBytes + this.#upTo(5) * 4_096 : Infinity;
  }
}

function point(index: number) {
  return { index: logIndex(index), term: term(1), configuration: new Uint8Array(0) };
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
  // A run that never meets these cases proves nothing.
  if (seeds < 60) return;
  for (const [name, count] of Object.entries(totals)) {
    assert.ok(count > 0, `${name} never happened`);
  }
});

test.run();
