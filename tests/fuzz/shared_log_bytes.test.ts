/**
 * Arbitrary bytes as a log: it opens or is refused with `corrupt`, never hangs or throws, a second
 * opening finds what the first left, and the offline check reaches the same verdict as the opening.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defined } from "../../src/base/assert.ts";
import { groupId, logIndex, term } from "../../src/base/ids.ts";
import { NODE_STATE_GROUP } from "../../src/replication/log_ids.ts";
import { SeededEntropy } from "../../src/base/prng.ts";
import { verifyFolder } from "../../src/storage/wal_inspect.ts";
import { cases } from "../support/cases.ts";
import { LogHarness } from "../support/log_harness.ts";

const SEEDS = cases(1_500);
const LIMITS = { segmentBytes: 64 * 1024 };
const POINT = { term: term(1), configuration: new Uint8Array(0) };

function lived(): LogHarness {
  const h = new LogHarness(LIMITS);
  const log = h.open();
  for (let index = 1; index <= 30; index++) {
    h.put(1, index, "x".repeat((index * 997) % 6_000));
    h.put(2 + index % 3, Math.ceil(index / 3), `other ${index}`);
    if (index % 4 === 0) h.world.settle();
    if (index !== 20) continue;
    log.writeImage(
      groupId(1),
      { ...POINT, index: logIndex(12) },
      [new Uint8Array(5_000).fill(7)],
      () => {},
    );
  }
  log.installImage(groupId(2), { ...POINT, index: logIndex(4) }, [new Uint8Array(90)], () => {});
  log.forget(groupId(3), () => {});
  log.saveHardState(NODE_STATE_GROUP, { term: term(9), vote: 1, commit: logIndex(0) });
  h.world.settle();
  h.put(2, 5, "above the image");
  h.put(3, 1, "another replica");
  h.close();
  return h;
}

function mutate(bytes: Uint8Array, random: SeededEntropy): Uint8Array {
  const upTo = (limit: number) => Math.floor(random.unit() * limit);
  const wrong = bytes.slice();
  for (let changes = 1 + upTo(4); changes > 0; changes--) {
    const at = upTo(wrong.length);
    const length = upTo(6) === 0 ? 4_096 : 1 + upTo(40);
    const action = upTo(5);
    if (action === 0) wrong[at]! ^= 1 << upTo(8);
    else if (action === 1) wrong.fill(0, at, at + length);
    else if (action === 2) wrong.copyWithin(at, upTo(wrong.length), upTo(wrong.length));
    else if (action === 3) random.fill(wrong.subarray(at, at + length));
    else return wrong.subarray(0, at);
  }
  return wrong;
}

test("openSharedLog of mutated bytes opens or refuses as corrupt, as verifyFolder says", () => {
  const sound = lived();
  const files = sound.disk.list();
  const outcomes = { opened: 0, cut: 0, refused: 0 };
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = new SeededEntropy(seed);
    const h = new LogHarness(LIMITS);
    for (const { name } of files) h.disk.plant(name, sound.disk.peek(name)!);
    const { name } = files[Math.floor(random.unit() * files.length)]!;
    h.disk.plant(name, mutate(sound.disk.peek(name)!, random));
    const report = verifyFolder({
      names: () => h.disk.list().map((file) => file.name),
      read: (file) => defined(h.disk.peek(file), `No such file: ${file}`),
    });
    h.start();
    h.world.settle();
    if (h.error !== undefined) {
      outcomes.refused++;
      assert.is(h.error.code, "corrupt", `seed ${seed}: ${h.error.message}`);
      assert.not(report.ok, `seed ${seed}: ${h.error.message}`);
      continue;
    }
    outcomes.opened++;
    outcomes.cut += h.cuts.length;
    assert.ok(h.log !== undefined, `seed ${seed}: neither opened nor refused`);
    assert.ok(report.ok, `seed ${seed}: ${JSON.stringify(report.problems)}`);
    const found = JSON.stringify([...h.groups]);
    h.crash();
    h.open();
    assert.is(JSON.stringify([...h.groups]), found, `seed ${seed}`);
  }
  assert.ok(outcomes.opened > 0 && outcomes.cut > 0 && outcomes.refused > 0);
});

test.run();
