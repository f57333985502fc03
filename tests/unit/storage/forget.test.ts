/**
 * Forgetting a group: all of it disappears at once, under any crash; later entries are another
 * replica's.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { InvariantError } from "../../../src/base/assert.ts";
import { groupId, logIndex, term } from "../../../src/base/ids.ts";
import { LogHarness, type RecoveredGroup } from "../../support/log_harness.ts";

const GROUP = groupId(1);
const BYSTANDER = 2;
const encoder = new TextEncoder();

function point(index: number) {
  return { index: logIndex(index), term: term(1), configuration: new Uint8Array(0) };
}

function hardState(ofTerm: number) {
  return { term: term(ofTerm), vote: 3, commit: logIndex(1) };
}

/** Returns a log in which the group has a hard state, an image up to 2 and the entries 3 and 4. */
function lived(limits = {}): LogHarness {
  const h = new LogHarness(limits);
  const log = h.open();
  for (let index = 1; index <= 4; index++) h.put(GROUP, index, `e${index}`);
  h.put(BYSTANDER, 1, "bystander");
  log.saveHardState(GROUP, hardState(5));
  h.world.settle();
  log.writeImage(GROUP, point(2), [encoder.encode("image")], () => {});
  h.world.settle();
  return h;
}

function imageFiles(h: LogHarness): string[] {
  return h.disk.list().map(({ name }) => name).filter((name) => name.includes("image"));
}

const WHOLE = "term 5; image at 2; e3,e4";
const NOTHING = "term 0; image at 0; ";

/** Returns the recovered state of the group in one line. */
function told({ hardState, imageIndex, entries }: RecoveredGroup): string {
  const texts = entries.map(({ text }) => text).join(",");
  return `term ${hardState?.term ?? 0}; image at ${imageIndex}; ${texts}`;
}

test("SharedLog.forget ends entries, hard state and image of the group, and of no other", () => {
  const h = lived();
  const log = h.log!;
  let answer: unknown = "waiting";
  assert.is(log.forget(GROUP, (error) => answer = error), undefined);
  assert.is(answer, "waiting");
  h.world.settle();
  assert.is(answer, undefined);
  assert.is(log.lastIndex(GROUP), 0);
  assert.is(log.imageIndex(GROUP), 0);
  assert.equal(log.live(GROUP), { entries: 0, bytes: 0 });
  assert.is(log.stats().liveEntries, 1);
  assert.equal(imageFiles(h), []);
  h.crash();
  h.open();
  assert.not(h.groups.has(GROUP));
  assert.equal(h.texts(BYSTANDER), ["bystander"]);
  assert.equal(imageFiles(h), []);
});

test("SharedLog.forget of a group that was never seen is answered", () => {
  const h = new LogHarness();
  const log = h.open();
  let answer: unknown = "waiting";
  log.forget(GROUP, (error) => answer = error);
  h.world.settle();
  assert.is(answer, undefined);
  h.crash();
  h.open();
  assert.is(h.groups.size, 0);
});

test("SharedLog.forget crash points: all of the group is there, or nothing, and its image file too", () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 6; seed++) {
    for (let steps = 0;; steps++) {
      const h = lived();
      let answered = false;
      h.log!.forget(GROUP, () => answered = true);
      let turns = 0;
      while (turns < steps && h.world.turn()) turns++;
      const done = answered;
      h.crash(seed === 0 ? undefined : seed * 1_000 + steps);
      h.open();
      const found = told(h.group(GROUP));
      seen.add(found);
      assert.ok(found === NOTHING || (found === WHOLE && !done), found);
      assert.is(imageFiles(h).length, found === WHOLE ? 1 : 0);
      assert.equal(h.texts(BYSTANDER), ["bystander"]);
      if (turns < steps) {
        assert.ok(done);
        break;
      }
    }
  }
  assert.is(seen.size, 2);
});

test("SharedLog.forget lets another replica begin at index 1 at once, in whatever part survives", () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 6; seed++) {
    for (let steps = 0;; steps++) {
      const h = lived();
      const log = h.log!;
      log.forget(GROUP, () => {});
      h.put(GROUP, 1, "new1");
      h.put(GROUP, 2, "new2");
      log.saveHardState(GROUP, hardState(9));
      let turns = 0;
      while (turns < steps && h.world.turn()) turns++;
      h.crash(seed === 0 ? undefined : seed * 1_000 + steps);
      h.open();
      const found = told(h.group(GROUP));
      seen.add(found);
      const allowed = [WHOLE, NOTHING, "term 0; image at 0; new1", "term 0; image at 0; new1,new2"];
      assert.ok([...allowed, "term 9; image at 0; new1,new2"].includes(found), found);
      if (turns < steps) break;
    }
  }
  assert.ok(seen.has(WHOLE) && seen.has("term 9; image at 0; new1,new2"));
});

test("SharedLog.forget lets another replica begin with an image, before it is durable itself", () => {
  const h = lived();
  const log = h.log!;
  log.forget(GROUP, () => {});
  let installed: unknown = "waiting";
  log.installImage(GROUP, point(70), [encoder.encode("new")], (error) => installed = error);
  h.world.settle();
  assert.is(installed, undefined);
  h.put(GROUP, 71, "after");
  h.world.settle();
  h.crash();
  h.open();
  assert.is(told(h.group(GROUP)), "term 0; image at 70; after");
  assert.is(h.group(GROUP).image, "new");
  assert.is(imageFiles(h).length, 1);
});

test("SharedLog.forget behind the mark of an image begins the group's log anew all the same", () => {
  const h = lived();
  const log = h.log!;
  h.disk.intercept = (operation) => {
    const isLog = "file" in operation && operation.file.endsWith(".wal");
    return isLog && operation.kind === "sync" ? "hold" : undefined;
  };
  let installed = false;
  log.installImage(GROUP, point(9), [], (error) => installed = error === undefined);
  h.world.settle();
  log.forget(GROUP, () => h.put(GROUP, 2, "new2"));
  h.put(GROUP, 1, "new1");
  h.disk.intercept = () => undefined;
  h.disk.releaseHeld();
  h.world.settle();
  assert.ok(installed);
  h.crash();
  h.open();
  assert.is(told(h.group(GROUP)), "term 0; image at 0; new1,new2");
});

test("SharedLog.forget leaves what was acknowledged to the former replica behind it", () => {
  const h = lived();
  const log = h.log!;
  log.forget(GROUP, () => {});
  assert.throws(
    () => log.writeImage(GROUP, point(4), [], () => {}),
    (error: unknown) => error instanceof InvariantError,
  );
  assert.throws(() => h.put(GROUP, 5, "e5"), (error: unknown) => error instanceof InvariantError);
});

test("SharedLog.forget cancels an image under way, at every step of its making", () => {
  for (let steps = 0;; steps++) {
    const h = lived();
    const log = h.log!;
    let image: string | undefined = "waiting";
    log.writeImage(GROUP, point(3), [encoder.encode("late")], (error) => image = error?.code);
    let turns = 0;
    while (turns < steps && h.world.turn()) turns++;
    if (image === undefined) break;
    log.forget(GROUP, () => {});
    h.put(GROUP, 1, "new1");
    h.world.settle();
    // Its mark may already have been in the log: then the image was good, and was forgotten later.
    assert.ok(image === "canceled" || image === undefined, image);
    assert.is(log.imageIndex(GROUP), 0);
    assert.equal(imageFiles(h), []);
    h.crash();
    h.open();
    assert.is(told(h.group(GROUP)), "term 0; image at 0; new1");
  }
});

test("SharedLog.forget keeps a relocation under way from bringing entries back", () => {
  for (let steps = 0; steps < 12; steps++) {
    const h = new LogHarness({ segmentBytes: 64 * 1024 });
    const log = h.open();
    h.put(GROUP, 1, "cold1");
    h.put(GROUP, 2, "cold2");
    h.put(BYSTANDER, 1, "bystander");
    for (let index = 1; index <= 3; index++) {
      h.put(3, index, "x".repeat(30_000));
      h.world.settle();
    }
    let moved: unknown = "waiting";
    const cold = log.oldestHolders().map(({ group }) => group);
    assert.ok(cold.includes(GROUP));
    log.relocateOldest(new Set(cold), (error) => moved = error);
    for (let turns = 0; turns < steps; turns++) h.world.turn();
    log.forget(GROUP, () => {});
    h.world.settle();
    assert.is(moved, undefined);
    assert.is(log.live(GROUP).entries, 0);
    h.crash();
    h.open();
    assert.not(h.groups.has(GROUP));
    assert.equal(h.texts(BYSTANDER), ["bystander"]);
  }
});

test("SharedLog.forget frees the segments that the group alone held", () => {
  const h = new LogHarness({ segmentBytes: 64 * 1024 });
  const log = h.open();
  for (let index = 1; index <= 8; index++) {
    h.put(GROUP, index, "x".repeat(30_000));
    h.world.settle();
  }
  assert.ok(log.stats().segments > 3);
  log.forget(GROUP, () => {});
  h.world.settle();
  h.world.pass(1_000);
  assert.is(log.stats().segments, 1);
  assert.is(log.stats().liveBytes, 0);
  assert.is(h.disk.list().filter(({ name }) => name.startsWith("log-")).length, 1);
});

test("SharedLog.forget holds through the headers of later segments", () => {
  const h = lived({ segmentBytes: 64 * 1024 });
  h.log!.forget(GROUP, () => {});
  h.world.settle();
  for (let index = 1; index <= 8; index++) {
    h.put(3, index, "x".repeat(30_000));
    h.world.settle();
  }
  for (let round = 0; round < 2; round++) {
    h.crash();
    h.open();
    assert.not(h.groups.has(GROUP));
    assert.equal(h.texts(BYSTANDER), ["bystander"]);
  }
});

test("SharedLog.forget that cannot be written leaves all of the group, and may be tried again", () => {
  const h = lived();
  const log = h.log!;
  let full = true;
  h.disk.intercept = ({ kind }) => full && kind === "write" ? "no_space" : undefined;
  let code: string | undefined = "waiting";
  log.forget(GROUP, (error) => code = error?.code);
  h.put(GROUP, 1, "new1");
  h.world.settle();
  assert.is(code, "storage_unavailable");
  assert.is(h.answers.at(-1)?.error?.code, "storage_unavailable");
  assert.is(log.lastIndex(GROUP), 4);
  assert.is(log.imageIndex(GROUP), 2);
  full = false;
  h.world.pass(600);
  h.put(GROUP, 5, "e5");
  h.world.settle();
  h.crash();
  const again = h.open();
  assert.is(told(h.group(GROUP)), `${WHOLE},e5`);
  again.forget(GROUP, (error) => code = error?.code);
  h.world.settle();
  assert.is(code, undefined);
  h.crash();
  h.open();
  assert.not(h.groups.has(GROUP));
});

test.run();
