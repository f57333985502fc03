/** The ledger: the meaning of append, relocate and image mark, compared with a simple model. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { Ledger } from "../../../src/wal/ledger.ts";

const GROUP = 5;

function image(index: number, number = 1) {
  return { index, term: 1, number, byteCount: 0, checksum: 0, configuration: new Uint8Array(0) };
}

/** Returns live entries as `index:sequence@segment`, with an r if they were relocated. */
function live(ledger: Ledger): string[] {
  return ledger.group(GROUP).runs.flatMap((run) => {
    const texts: string[] = [];
    for (let index = run.first; index <= run.last; index++) {
      texts.push(`${index}@${run.segment}${run.relocated ? "r" : ""}`);
    }
    return texts;
  });
}

test("Ledger.append ends the group's log before its first index", () => {
  const ledger = new Ledger();
  ledger.append(GROUP, 1, 5, { sequence: 10, segment: 0, bytes: 500 });
  ledger.append(GROUP, 3, 1, { sequence: 11, segment: 0, bytes: 100 });
  assert.equal(live(ledger), ["1@0", "2@0", "3@0"]);
  assert.equal(ledger.tally(0), { entries: 3, bytes: 300 });
  const group = ledger.group(GROUP);
  assert.not(group.isLive(3, 10, 0, false));
  assert.ok(group.isLive(3, 11, 0, false));
  assert.not(group.isLive(4, 10, 0, false));
});

test("Ledger.relocate truncates nothing", () => {
  const ledger = new Ledger();
  ledger.append(GROUP, 1, 2, { sequence: 10, segment: 0, bytes: 200 });
  ledger.append(GROUP, 3, 2, { sequence: 20, segment: 100, bytes: 200 });
  ledger.relocate(GROUP, 1, 2, { origin: 10, segment: 200, bytes: 220 });
  assert.equal(live(ledger), ["1@200r", "2@200r", "3@100", "4@100"]);
  assert.equal(ledger.tally(0), { entries: 0, bytes: 0 });
  assert.equal(ledger.tally(200), { entries: 2, bytes: 220 });
  assert.is(ledger.group(GROUP).firstGap(), 0);
});

test("Ledger.relocate loses to what was appended at or below its index after its origin", () => {
  const ledger = new Ledger();
  ledger.append(GROUP, 1, 5, { sequence: 10, segment: 0, bytes: 500 });
  ledger.append(GROUP, 3, 1, { sequence: 20, segment: 100, bytes: 100 });
  ledger.relocate(GROUP, 1, 5, { origin: 10, segment: 200, bytes: 500 });
  assert.equal(live(ledger), ["1@200r", "2@200r", "3@100"]);
});

test("Ledger.relocate without its original still loses to newer appends of a later segment", () => {
  const ledger = new Ledger();
  ledger.append(GROUP, 3, 1, { sequence: 20, segment: 100, bytes: 100 });
  ledger.relocate(GROUP, 1, 5, { origin: 10, segment: 200, bytes: 500 });
  assert.equal(live(ledger), ["1@200r", "2@200r", "3@100"]);
});

test("Ledger.relocate brings back nothing that an image contains", () => {
  const ledger = new Ledger();
  ledger.append(GROUP, 1, 4, { sequence: 10, segment: 0, bytes: 400 });
  ledger.imageMark(GROUP, image(3));
  ledger.relocate(GROUP, 1, 4, { origin: 10, segment: 100, bytes: 400 });
  assert.equal(live(ledger), ["4@100r"]);
});

test("Ledger.relocate twice is the same as once", () => {
  const ledger = new Ledger();
  ledger.append(GROUP, 1, 3, { sequence: 10, segment: 0, bytes: 300 });
  for (const segment of [100, 200]) {
    ledger.relocate(GROUP, 1, 3, { origin: 10, segment, bytes: 300 });
  }
  assert.equal(live(ledger), ["1@200r", "2@200r", "3@200r"]);
  assert.equal(ledger.total(), { entries: 3, bytes: 300 });
});

test("Ledger.append truncates relocated entries too", () => {
  const ledger = new Ledger();
  ledger.append(GROUP, 1, 3, { sequence: 10, segment: 0, bytes: 300 });
  ledger.relocate(GROUP, 1, 3, { origin: 10, segment: 100, bytes: 300 });
  ledger.append(GROUP, 2, 1, { sequence: 30, segment: 100, bytes: 100 });
  assert.equal(live(ledger), ["1@100r", "2@100"]);
});

test("Ledger.imageMark ends all entries up to its index; one above the end empties the log", () => {
  const ledger = new Ledger();
  ledger.append(GROUP, 1, 5, { sequence: 10, segment: 0, bytes: 500 });
  ledger.imageMark(GROUP, image(3));
  assert.equal(live(ledger), ["4@0", "5@0"]);
  assert.is(ledger.group(GROUP).lastIndex, 5);
  ledger.imageMark(GROUP, image(9, 2));
  assert.equal(live(ledger), []);
  assert.is(ledger.group(GROUP).lastIndex, 9);
  ledger.append(GROUP, 10, 1, { sequence: 11, segment: 0, bytes: 1 });
  assert.is(ledger.group(GROUP).firstGap(), 0);
});

test("Ledger.imageMark that installs ends the entries above its index too", () => {
  const ledger = new Ledger();
  ledger.append(GROUP, 1, 5, { sequence: 10, segment: 0, bytes: 500 });
  ledger.imageMark(GROUP, image(3), true);
  assert.equal(live(ledger), []);
  assert.is(ledger.group(GROUP).lastIndex, 3);
  assert.equal(ledger.total(), { entries: 0, bytes: 0 });
  ledger.append(GROUP, 4, 1, { sequence: 12, segment: 0, bytes: 100 });
  assert.equal(live(ledger), ["4@0"]);
  assert.not(ledger.group(GROUP).isLive(4, 10, 0, false));
});

test("Ledger.forget removes the whole group; later entries belong to another replica", () => {
  const ledger = new Ledger();
  ledger.hardState(GROUP, { term: 3, vote: 2, commit: 1 });
  ledger.hardState(1, { term: 4, vote: 2, commit: 1 });
  ledger.append(GROUP, 1, 5, { sequence: 10, segment: 0, bytes: 500 });
  ledger.append(1, 1, 1, { sequence: 11, segment: 0, bytes: 100 });
  ledger.imageMark(GROUP, image(3));
  ledger.forget(GROUP);
  assert.equal(ledger.total(), { entries: 1, bytes: 100 });
  assert.equal(ledger.states().map(({ groupId }) => groupId), [1]);
  assert.equal([...ledger.groups.keys()], [1]);
  ledger.append(GROUP, 1, 2, { sequence: 12, segment: 0, bytes: 200 });
  assert.equal(live(ledger), ["1@0", "2@0"]);
  assert.not(ledger.group(GROUP).isLive(1, 10, 0, false));
  assert.is(ledger.group(GROUP).hardState, undefined);
});

test("GroupLedger.firstGap names the first missing index", () => {
  const ledger = new Ledger();
  ledger.append(GROUP, 4, 1, { sequence: 10, segment: 0, bytes: 1 });
  assert.is(ledger.group(GROUP).firstGap(), 1);
  ledger.imageMark(GROUP, image(2));
  assert.is(ledger.group(GROUP).firstGap(), 3);
  ledger.imageMark(GROUP, image(3));
  assert.is(ledger.group(GROUP).firstGap(), 0);
});

test("Ledger.segmentHeader and states carry hard states and images over", () => {
  const ledger = new Ledger();
  ledger.hardState(GROUP, { term: 3, vote: 2, commit: 1 });
  ledger.imageMark(GROUP, image(8, 6));
  ledger.hardState(1, { term: 9, vote: 0, commit: 0 });
  const later = new Ledger();
  later.segmentHeader(7, ledger.states());
  assert.equal(later.group(GROUP).hardState, { term: 3, vote: 2, commit: 1 });
  assert.equal(later.group(GROUP).image, image(8, 6));
  assert.is(later.group(1).image, undefined);
  assert.is(later.imageNumberMax, 7);
});

interface ModelEntry {
  readonly sequence: number;
  segment: number;
  relocated: boolean;
}

test("Ledger agrees with a map of entries over random appends, relocations, images, forgets", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new SeededEntropy(seed);
    const upTo = (limit: number) => Math.floor(random.unit() * limit);
    const ledger = new Ledger();
    const model = new Map<number, ModelEntry>();
    let [last, imageIndex, segment, sequence] = [0, 0, 0, 0];
    /** Every copy of an entry that was ever logged. */
    const logged: (ModelEntry & { readonly index: number })[] = [];
    for (let step = 0; step < 120; step++) {
      if (upTo(10) === 0) segment += 100;
      const action = upTo(12);
      if (action === 10) {
        // An image from a leader; one step later the entries that it ended must not be live.
        imageIndex += upTo(last - imageIndex + 3);
        ledger.imageMark(GROUP, image(last = imageIndex, step + 1), true);
        model.clear();
      } else if (action === 11 && upTo(4) === 0) {
        ledger.forget(GROUP);
        model.clear();
        last = imageIndex = 0;
      } else if (action < 7) {
        const first = upTo(3) === 0 ? imageIndex + 1 + upTo(last - imageIndex + 1) : last + 1;
        const count = 1 + upTo(3);
        ledger.append(GROUP, first, count, { sequence: ++sequence, segment, bytes: 10 * count });
        for (const index of [...model.keys()]) if (index >= first) model.delete(index);
        for (let index = first; index < first + count; index++) {
          model.set(index, { sequence, segment, relocated: false });
          logged.push({ index, sequence, segment, relocated: false });
        }
        last = first + count - 1;
      } else if (action < 9) {
        const oldest = [...model.values()][0]?.segment;
        for (const [index, entry] of [...model].filter(([, entry]) => entry.segment === oldest)) {
          ledger.relocate(GROUP, index, 1, { origin: entry.sequence, segment, bytes: 10 });
          Object.assign(entry, { segment, relocated: true });
          logged.push({ index, sequence: entry.sequence, segment, relocated: true });
        }
      } else if (action === 9 && last > imageIndex) {
        imageIndex += 1 + upTo(last - imageIndex);
        ledger.imageMark(GROUP, image(imageIndex, step + 1));
        for (const index of [...model.keys()]) if (index <= imageIndex) model.delete(index);
      }
      const expected = [...model].sort(([left], [right]) => left - right)
        .map(([index, entry]) => `${index}@${entry.segment}${entry.relocated ? "r" : ""}`);
      assert.equal(live(ledger), expected, `seed ${seed}, step ${step}`);
      const group = ledger.group(GROUP);
      for (const copy of logged) {
        const entry = model.get(copy.index);
        const isLive = entry?.sequence === copy.sequence && entry.segment === copy.segment &&
          entry.relocated === copy.relocated;
        assert.is(
          group.isLive(copy.index, copy.sequence, copy.segment, copy.relocated),
          isLive,
          `seed ${seed}, step ${step}: ${JSON.stringify(copy)}`,
        );
      }
      assert.is(ledger.total().entries, model.size);
      assert.is(group.lastIndex, last);
    }
  }
});

test.run();
