/**
 * Images that are made and read in pieces: whatever is applied between two chunks, an image is the state
 * at the index at which it began, and nothing of a state that is being read can be seen.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import fc from "fast-check";
import { bytesEqual, concatBytes } from "../../../src/base/bytes.ts";
import type { RegistryError } from "../../../src/base/errors.ts";
import { TOMBSTONE_MS } from "../../../src/base/limits.ts";
import { KIND_AGENT, KIND_ALIAS } from "../../../src/record/key.ts";
import { PARTITION_APPLY_VERSION } from "../../../src/store/apply_version.ts";
import { StoreShared } from "../../../src/store/shared.ts";
import { PartitionStore } from "../../../src/store/store.ts";
import { extraOf, finished, idOf, imageOf, StoreHarness } from "../../support/store.ts";

const RECORDS = 40;

/** Returns shared memory of stores whose images have many chunks. */
function smallChunks(): StoreShared {
  const hashSeed = new Uint8Array(16).fill(7);
  return new StoreShared({ bytesMax: 1 << 30, hashSeed, imageChunkBytes: 300 });
}

/** Returns a store with records, tombstones, revocations and aliases. */
function filled(): StoreHarness {
  const harness = new StoreHarness({ shared: smallChunks() });
  for (let number = 1; number <= RECORDS; number++) {
    harness.putAgent({ number });
    harness.claim(`d${number}.example`, number);
  }
  for (const number of [7, 3, 30, 12]) change(harness, "remove", number);
  for (const number of [9, 4]) change(harness, "revoke", number);
  return harness;
}

const CHANGES = [
  ...["renew", "grow", "remove", "return", "revoke", "release", "forget"] as const,
  ...["extend", "report", "stale", "confirm"] as const,
];

/** Applies one change that concerns a record. */
function change(harness: StoreHarness, what: typeof CHANGES[number], number: number): void {
  const slot = harness.slotOf(KIND_AGENT, number);
  const alias = harness.alias(`d${number}.example`);
  const claim = alias?.claim;
  const sequence = 2 + harness.nextIndex;
  if (what === "forget") harness.tick(harness.timeMs + TOMBSTONE_MS);
  else if (what === "return") harness.putAgent({ number, process: 90 + harness.nextIndex });
  else if (what === "revoke" && claim) harness.revoke(number, claim);
  else if (what === "release" && claim) harness.release(`d${number}.example`, claim);
  else if (what === "confirm" && claim) harness.confirm(`d${number}.example`, number, claim);
  if (slot === -1) return;
  const incarnation = harness.store.incarnationOf(slot);
  const { process, leaseExpiryMs } = harness.agent(number)!;
  if (what === "renew") harness.putAgent({ number, process, sequence }, incarnation);
  if (what === "grow") {
    const extra = extraOf({ name: "x".repeat(sequence % 60) });
    harness.putAgent({ number, process, sequence, extra }, incarnation);
  }
  if (what === "remove") harness.remove(KIND_AGENT, number, incarnation, { process, sequence });
  if (what === "report") harness.report(number, incarnation, { kind: KIND_AGENT, state: 1 });
  if (what === "stale") harness.markStale(KIND_AGENT, number, incarnation, leaseExpiryMs);
  if (what === "extend") {
    harness.timeMs++;
    harness.extend(KIND_AGENT, number, incarnation);
  }
}

const changes = fc.array(
  fc.tuple(fc.constantFrom(...CHANGES), fc.integer({ min: 1, max: RECORDS })),
  { minLength: 60, maxLength: 120 },
);

/** Takes the rest of an image. */
const rest = (image: Iterable<Uint8Array>) => concatBytes(Array.from(image, (one) => one.slice()));

test("writeImage: an image is the state at its beginning, whatever is applied meanwhile", () => {
  fc.assert(
    fc.property(changes, (list) => {
      const harness = filled();
      const scratch = harness.shared.imageScratch;
      const expected = harness.image();
      const image = harness.store.writeImage(scratch);
      const chunks: Uint8Array[] = [];
      for (const [what, number] of list) {
        const { value } = image.next();
        if (value !== undefined) chunks.push(value.slice());
        change(harness, what, number);
      }
      chunks.push(rest(image));
      assert.equal(concatBytes(chunks), expected);
      // The changes were applied, as they are to a store of which no image is made.
      const twin = new PartitionStore({ shared: smallChunks() });
      for (const entry of harness.log) twin.apply(entry);
      assert.equal(harness.image(), imageOf(twin));
      harness.store.release();
      assert.is(harness.shared.statistics().recordBytes, 0);
    }),
    { numRuns: 60 },
  );
});

test("writeImage: images that overlap are each of their own index", () => {
  const harness = filled();
  const first = harness.store.writeImage();
  const firstExpected = harness.image();
  change(harness, "remove", 1);
  change(harness, "grow", 2);
  const second = harness.store.writeImage();
  const secondExpected = harness.image();
  const head = first.next().value!;
  change(harness, "renew", 2);
  change(harness, "return", 1);
  assert.equal(concatBytes([head, rest(first)]), firstExpected);
  change(harness, "remove", 5);
  assert.equal(rest(second), secondExpected);
});

test("writeImage: memory that an image held is free once it ends, early or not", () => {
  const harness = filled();
  const { arena } = harness.shared;
  const endedEarly = harness.store.writeImage();
  const neverBegun = harness.store.writeImage();
  for (let number = 1; number <= RECORDS; number++) change(harness, "remove", number);
  harness.tick(harness.timeMs + TOMBSTONE_MS);
  for (let tick = 0; tick < 20; tick++) harness.tick(harness.timeMs + 1);
  const heldBytes = arena.statistics().usedBytes;
  endedEarly.next();
  endedEarly.return();
  assert.is(endedEarly.next().done, true);
  assert.is(arena.statistics().usedBytes, heldBytes, "the other one may still read them");
  neverBegun.return();
  neverBegun.return();
  assert.ok(arena.statistics().usedBytes < heldBytes / 2);
  harness.store.release();
  assert.is(arena.statistics().usedBytes, 0);
});

test("readImage: the state in use is served and changed until the image is installed", () => {
  const source = filled();
  const image = source.image();
  const harness = new StoreHarness({ shared: smallChunks() });
  harness.putAgent({ number: 900 });
  const reading = harness.store.readImage(image);
  for (let step = 0; step < 5; step++) {
    assert.is(reading.next().done, false);
    assert.is(harness.store.countOf(KIND_AGENT), 1 + step);
    harness.putAgent({ number: 901 + step });
    assert.is(harness.slotOf(KIND_AGENT, 1), -1);
  }
  const prepared = finished(reading);
  assert.is(harness.slotOf(KIND_AGENT, 1), -1);
  const freeing = prepared.install();
  assert.equal(harness.image(), image);
  assert.is(harness.slotOf(KIND_AGENT, 900), -1);
  finished(freeing);
  assert.equal(harness.image(), image);
  const twin = new PartitionStore({ shared: smallChunks() });
  twin.loadImage([image]);
  assert.equal(harness.shared.statistics().records, source.shared.statistics().records);
  assert.is(twin.find(KIND_ALIAS, idOf(1), 0, 16), -1);
});

test("writeImage: a change of any kind leaves alone what the image has not read", () => {
  for (const what of CHANGES) {
    const harness = filled();
    harness.raise(PARTITION_APPLY_VERSION);
    // These concern a record that was removed.
    if (what === "return" || what === "forget") change(harness, "remove", 1);
    const before = harness.image();
    const image = harness.store.writeImage();
    change(harness, what, 1);
    // The index in the header changes with every entry.
    const isChanged = !bytesEqual(harness.image().subarray(24), before.subarray(24));
    assert.ok(isChanged, `${what} has no effect`);
    assert.ok(bytesEqual(rest(image), before), `${what} changed what the image reads`);
  }
});

test("writeImage: a record that is changed again and again meanwhile takes one more block", () => {
  const harness = filled();
  const used = () => harness.shared.statistics().recordBytes;
  const before = used();
  const image = harness.store.writeImage();
  change(harness, "extend", 1);
  const once = used();
  assert.ok(once > before);
  for (let count = 0; count < 10; count++) change(harness, "extend", 1);
  assert.is(used(), once);
  const later = harness.store.writeImage();
  change(harness, "extend", 1);
  assert.is(used() - once, once - before, "the later image reads the block of the change before");
  image.return();
  later.return();
  assert.is(used(), before);
});

test("readImage: one that is ended early, cannot be read or is discarded leaves nothing", () => {
  const image = filled().image();
  const store = new PartitionStore({ shared: smallChunks() });
  const shared = smallChunks();
  const reader = new PartitionStore({ shared });
  const early = reader.readImage(image);
  for (let step = 0; step < 4; step++) early.next();
  assert.ok(shared.statistics().recordBytes > 0);
  early.return(undefined as never);
  assert.is(shared.statistics().recordBytes, 0);
  assert.throws(() => finished(reader.readImage(image.subarray(0, image.length - 8))), /image/);
  assert.is(shared.statistics().recordBytes, 0);
  finished(finished(reader.readImage(image)).discard());
  assert.is(shared.statistics().recordBytes, 0);
  assert.equal(imageOf(reader), imageOf(store));
});

test("readImage: a form that is malformed is refused as corrupt, and leaves nothing", () => {
  const harness = new StoreHarness({ shared: smallChunks() });
  for (const number of [1, 2, 3]) {
    harness.putAgent({ number });
    harness.claim(`d${number}.example`, number);
  }
  const image = harness.image();
  const shared = smallChunks();
  const empty = shared.statistics();
  const reader = new PartitionStore({ shared });
  let refused = 0;
  for (let at = 32; at < image.length; at++) {
    const mutated = image.slice();
    mutated[at] = mutated[at]! ^ 0x81;
    try {
      finished(finished(reader.readImage(mutated)).discard());
    } catch (error) {
      assert.is((error as RegistryError).code, "corrupt", `byte ${at}`);
      refused++;
    }
    assert.equal({ ...shared.statistics(), arenaBytes: 0 }, { ...empty, arenaBytes: 0 });
    assert.equal([`byte ${at}`, ...shared.regionCounts()], [`byte ${at}`]);
  }
  assert.ok(refused > 0);
});

test("readImage: counts that no partition can have are refused before memory is taken for them", () => {
  const image = new StoreHarness().image();
  const reader = new PartitionStore({ shared: smallChunks() });
  for (const [at, count] of [[24, 0xff_ffff], [24, 0xffff_ffff], [28, 1]] as const) {
    const mutated = image.slice();
    new DataView(mutated.buffer).setUint32(at, count, true);
    assert.throws(() => finished(reader.readImage(mutated)), /must have at most/);
  }
  assert.is(reader.tableBytes, 0);
});

test("readImage: a rank of a record that cannot be forgotten is refused", () => {
  const harness = new StoreHarness();
  harness.putAgent({ number: 1 });
  const image = harness.image();
  const view = new DataView(image.buffer);
  // The count of ranked slots in the header, and the rank of the first slot.
  view.setUint32(28, 1, true);
  view.setUint32(36, 1, true);
  const reader = new PartitionStore({ shared: smallChunks() });
  assert.throws(() => finished(reader.readImage(image)), /must rank forgettable slots only/);
});

test.run();
