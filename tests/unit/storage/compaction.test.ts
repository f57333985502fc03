/** Compaction: the log stays near its soft limit for any mixture of hot and cold groups. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type GroupId, groupId, logIndex, term } from "../../../src/base/ids.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { Compactor } from "../../../src/storage/compaction.ts";
import type { LogDone } from "../../../src/storage/shared_log.ts";
import { LogHarness } from "../../support/log_harness.ts";

const MIB = 1024 * 1024;
const LIMITS = { segmentBytes: MIB, softBytes: 4 * MIB, hardBytes: 16 * MIB };

/** A log under load, in which the state of a group is its concatenated texts. */
class LoadedLog {
  readonly h = new LogHarness(LIMITS);
  readonly texts = new Map<number, string[]>();
  readonly imaged: GroupId[] = [];
  refuseImages = false;
  compactor: Compactor;

  constructor() {
    const log = this.h.open();
    this.compactor = new Compactor({
      log,
      scheduler: this.h.world,
      softBytes: LIMITS.softBytes,
      writeImage: (group, done) => this.#writeImage(group, done),
    });
    this.h.onSynced = () => this.compactor.logWritten();
    this.compactor.start();
  }

  put(group: number, text: string): void {
    const texts = this.texts.get(group) ?? [];
    this.texts.set(group, texts);
    texts.push(text);
    const refusal = this.h.put(group, texts.length, text);
    if (refusal !== undefined) throw refusal;
  }

  #writeImage(group: GroupId, done: LogDone): void {
    const log = this.h.log!;
    this.imaged.push(group);
    const index = this.refuseImages ? logIndex(0) : log.lastIndex(group);
    const texts = this.texts.get(group)!.slice(0, index);
    const chunks = [new TextEncoder().encode(texts.join("|"))];
    const point = { index, term: term(1), configuration: new Uint8Array(0) };
    if (index === 0) {
      return this.h.world.nextTurn(() => done(undefined));
    }
    const refusal = log.writeImage(group, point, chunks, done);
    if (refusal !== undefined) done(refusal);
  }

  check(): void {
    this.h.crash();
    this.h.open();
    for (const [group, texts] of this.texts) {
      const { image, imageIndex } = this.h.group(group);
      const recovered = imageIndex === 0 ? [] : image.split("|");
      assert.equal([...recovered, ...this.h.texts(group)], texts);
    }
  }
}

test("Compactor does nothing below the soft limit", () => {
  const loaded = new LoadedLog();
  for (let count = 0; count < 20; count++) loaded.put(1, "x".repeat(100_000));
  loaded.h.world.pass(10_000);
  assert.is(loaded.compactor.rounds, 0);
  assert.equal(loaded.imaged, []);
});

test("Compactor sleeps while the log is small and nothing is written", () => {
  const loaded = new LoadedLog();
  loaded.put(1, "x".repeat(100_000));
  loaded.h.world.pass(10_000);
  assert.is(loaded.h.world.timerCount, 0);
  for (let count = 0; count < 60; count++) loaded.put(1, "x".repeat(90_000));
  loaded.h.world.pass(10_000);
  assert.ok(loaded.compactor.rounds > 0, "a write woke it");
  assert.is(loaded.h.world.timerCount, 0);
});

test("Compactor keeps the log near its soft limit by images of hot groups, moving cold ones", () => {
  const loaded = new LoadedLog();
  const random = new SeededEntropy(4);
  for (let group = 100; group < 120; group++) loaded.put(group, `cold ${group}`);
  for (let count = 0; count < 600; count++) {
    loaded.put(1 + Math.floor(random.unit() * 5), "x".repeat(60_000));
    loaded.h.world.pass(60);
    assert.ok(loaded.h.log!.stats().segmentBytes < LIMITS.softBytes + 3 * MIB);
  }
  assert.ok(loaded.imaged.every((group) => group < 100), "cold groups are moved, not imaged");
  assert.ok(loaded.compactor.rounds > 5);
  assert.ok(loaded.h.log!.live(groupId(100)).entries === 1);
  loaded.check();
});

test("Compactor moves what an image leaves behind, so that the segment goes all the same", () => {
  const loaded = new LoadedLog();
  loaded.refuseImages = true;
  for (let count = 0; count < 60; count++) loaded.put(1, "x".repeat(90_000));
  loaded.h.world.pass(100);
  const before = loaded.h.log!.oldestHolders()[0]!.firstIndex;
  assert.is(before, 1);
  loaded.h.world.pass(2_000);
  assert.ok(loaded.h.log!.oldestHolders()[0]!.firstIndex > 1);
  loaded.compactor.stop();
  loaded.check();
});

test("Compactor waits while the log is not writable, and stops when it is told", () => {
  const loaded = new LoadedLog();
  for (let count = 0; count < 60; count++) loaded.put(1, "x".repeat(90_000));
  loaded.h.world.settle();
  loaded.h.disk.intercept = ({ kind }) => kind === "write" ? "no_space" : undefined;
  loaded.put(1, "too much");
  loaded.h.world.pass(3_000);
  assert.equal(loaded.imaged, []);
  loaded.h.disk.intercept = () => undefined;
  loaded.compactor.stop();
  loaded.h.world.pass(3_000);
  assert.equal(loaded.imaged, []);
});

test.run();
