/**
 * The log's mark and a log that lost data: if acknowledged data is missing the log is refused, or
 * the data is given up by the operator's decision under a higher generation; data that was never
 * acknowledged is truncated.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defined } from "../../../src/base/assert.ts";
import { WAL_IDLE_MS, WAL_MARK_MS } from "../../../src/base/limits.ts";
import { verifyFolder } from "../../../src/storage/wal_inspect.ts";
import type { SingleOperation } from "../../../src/storage/storage.ts";
import { MARK_FILE, MARK_SLOT_OFFSETS, TAIL_FILE } from "../../../src/wal/log_mark.ts";
import { LogHarness } from "../../support/log_harness.ts";

const LOG = "log-0000000000000000.wal";

/** Start of the last batch of {@link written}: each takes a page, and so does the header. */
const LAST_BATCH = 5 * 4096;

/** Returns a log with some batches of some records each. */
function written(h = new LogHarness()): LogHarness {
  h.open();
  let index = 0;
  for (let batch = 0; batch < 5; batch++) {
    for (let record = 0; record < 3; record++) h.put(7, ++index, `entry ${index}`);
    h.world.settle();
  }
  return h;
}

/** Advances time until the mark covers everything durable. */
function marked(h: LogHarness): LogHarness {
  h.world.pass(WAL_IDLE_MS + 2 * WAL_MARK_MS);
  return h;
}

/** Returns the same folders after the newest segment was truncated to `size` bytes. */
function truncated(h: LogHarness, size: number): LogHarness {
  const copy = new LogHarness();
  for (const { name } of h.disk.list()) copy.disk.plant(name, bytesOf(h, name));
  copy.disk.plant(LOG, bytesOf(h, LOG).slice(0, size));
  const mark = h.markDisk.peek(MARK_FILE);
  if (mark !== undefined) copy.markDisk.plant(MARK_FILE, mark);
  return copy;
}

function bytesOf(h: LogHarness, file: string): Uint8Array {
  return defined(h.disk.peek(file), `No such file: ${file}`);
}

/** Returns the end of the last record. */
function endOf(h: LogHarness): number {
  return bytesOf(h, LOG).findLastIndex((byte) => byte !== 0) + 1;
}

function verified(h: LogHarness) {
  return verifyFolder({
    names: () => h.disk.list().map(({ name }) => name),
    read: (file) => bytesOf(h, file),
  }, h.markDisk.peek(MARK_FILE));
}

/** Yields every size at which acknowledged data is lost: page boundaries, and some within pages. */
function* lossySizes(end: number): Generator<number> {
  for (let size = 0; size < end; size += 211) yield size;
  for (let size = 0; size < end; size += 4096) yield size;
  yield end - 1;
}

test("a log cut anywhere after a clean stop is refused, and the check of its folder says the same", () => {
  const h = written();
  h.close();
  const end = endOf(h);
  for (const size of lossySizes(end)) {
    const cut = truncated(h, size);
    assert.is(verified(cut).ok, false, `cut to ${size}`);
    const error = cut.refused();
    assert.is(error.code, "corrupt", `cut to ${size}`);
    assert.match(error.message, /records? .*missing|was synced once/);
    assert.match(error.message, /--accept-data-loss/);
  }
  const whole = truncated(h, end);
  assert.is(verified(whole).ok, true);
  whole.open();
  assert.is(whole.texts(7).length, 15);
});

test("a log cut anywhere after kill -9 is refused, also where the mark beside it rests", () => {
  const h = marked(written());
  h.put(7, 16, "the mark follows at once");
  h.world.settle();
  h.put(7, 17, "acknowledged, and the mark beside the log does not know of it yet");
  h.world.settle();
  assert.is(h.acknowledged.length, 17);
  const end = endOf(h);
  h.kill();
  for (const size of lossySizes(end)) {
    const cut = truncated(h, size);
    assert.is(cut.refused().code, "corrupt", `cut to ${size}`);
    assert.is(verified(truncated(h, size)).ok, false);
  }
  const whole = truncated(h, end);
  whole.open();
  assert.is(whole.texts(7).length, 17);
});

/** Runs `each` after every number of turns of a load, with the harness in that state. */
function atEveryTurn(each: (h: LogHarness, turns: number) => void): void {
  for (let turnsMax = 0;; turnsMax++) {
    const h = new LogHarness({ segmentBytes: 64 * 1024 });
    h.open();
    let turns = 0;
    let index = 0;
    for (; turns < turnsMax; turns++) {
      if (turns % 3 === 0 && index < 8) h.put(7, ++index, "x".repeat(9_000));
      if (!h.world.turn() && index === 8) break;
    }
    each(h, turns);
    if (turns < turnsMax) return;
  }
}

test("a process killed at any turn leaves a log that opens, and that without its end is refused", () => {
  let refused = 0;
  atEveryTurn((h, turns) => {
    const acknowledged = h.acknowledged.length;
    h.kill(turns);
    const whole = h.disk.list().findLast(({ name }) => name.startsWith("log-"))!;
    const bytes = bytesOf(h, whole.name);
    const copy = (size: number) => {
      const copied = new LogHarness({ segmentBytes: 64 * 1024 });
      for (const { name } of h.disk.list()) copied.disk.plant(name, bytesOf(h, name));
      copied.disk.plant(whole.name, bytes.slice(0, size));
      copied.markDisk.plant(MARK_FILE, defined(h.markDisk.peek(MARK_FILE), "A mark"));
      return copied;
    };
    const opened = copy(bytes.length);
    opened.open();
    assert.ok(opened.texts(7).length >= acknowledged, `${turns} turns`);
    for (let size = 0; size < bytes.length; size += 4_096) {
      const cut = copy(size);
      cut.start();
      cut.world.settle();
      if (cut.error !== undefined) refused++;
      else assert.ok(cut.texts(7).length >= acknowledged, `${turns} turns, cut to ${size}`);
    }
  });
  assert.ok(refused > 0);
});

test("a power cut at any turn leaves a log that opens: no mark claims more than was synced", () => {
  for (let seed = 1; seed < 12; seed++) {
    atEveryTurn((h, turns) => {
      const acknowledged = h.acknowledged.length;
      h.crash(seed * 1_000 + turns);
      h.open();
      assert.ok(h.texts(7).length >= acknowledged, `seed ${seed}, ${turns} turns`);
    });
  }
});

test("a log whose marks are written slowly at its opening opens again after kill -9", () => {
  for (let seed = 0; seed < 16; seed++) {
    const h = written();
    h.kill();
    let isMarking = false;
    h.disk.delayMs = (operation) => {
      if (operation.kind !== "write" || operation.file !== TAIL_FILE) return 0;
      isMarking = true;
      return 2 * WAL_IDLE_MS;
    };
    h.disk.intercept = (operation) =>
      isMarking && operation.kind === "write" && operation.file === LOG ? "hold" : undefined;
    h.start();
    h.world.pass(3 * WAL_IDLE_MS);
    h.kill(seed);
    h.disk.delayMs = () => 0;
    h.disk.intercept = () => undefined;
    h.open();
    assert.is(h.texts(7).length, 15, `seed ${seed}`);
  }
});

test("a tail mark of which no slot holds proves nothing, and is made anew", () => {
  const h = written();
  h.kill();
  const torn = truncated(h, bytesOf(h, LOG).length);
  for (const at of MARK_SLOT_OFFSETS) torn.disk.flip(TAIL_FILE, at + 20, 3);
  torn.open();
  torn.put(7, 16, "acknowledged");
  torn.world.settle();
  torn.kill();
  assert.is(truncated(torn, endOf(torn) - 1).refused().code, "corrupt");
});

test("a tail mark that cannot be written is told once, and the log goes on", () => {
  const h = new LogHarness();
  h.open();
  const isTail = (operation: SingleOperation) =>
    operation.kind === "write" && operation.file === TAIL_FILE;
  h.disk.intercept = (operation) => isTail(operation) ? "io" : undefined;
  for (let index = 1; index < 5; index++) {
    h.put(7, index, `entry ${index}`);
    h.world.settle();
  }
  assert.is(h.acknowledged.length, 4);
  assert.is(h.unmarked.length, 1);
  h.disk.intercept = () => undefined;
  h.put(7, 5, "entry 5");
  h.world.settle();
  h.kill();
  assert.is(truncated(h, endOf(h) - 1).refused().code, "corrupt");
});

test("the operator's word removes a tail mark that claims what is gone, also through a power cut", () => {
  const h = written();
  h.kill();
  const cut = truncated(h, LAST_BATCH);
  cut.acceptDataLoss = true;
  cut.open();
  assert.is(cut.lost.length, 1);
  cut.acceptDataLoss = false;
  for (let seed = 1; seed < 20; seed++) {
    cut.crash(seed);
    cut.open();
    cut.put(7, cut.texts(7).length + 1, "another", 2 ** 32 + 1);
    cut.world.settle();
  }
});

test("the mark follows within its interval under load, and after a pause at once", () => {
  const h = written();
  for (let index = 16; index < 60; index++) {
    h.put(7, index, `entry ${index}`);
    h.world.pass(WAL_MARK_MS / 10);
  }
  const { mark, end } = verified(h);
  assert.ok(defined(mark, "A mark").position > end - 12 * 4096, `${mark?.position} of ${end}`);
  marked(h);
  assert.is(verified(h).mark?.position, verified(h).end);
  assert.is(verified(h).mark?.closed, false);
  h.close();
  assert.is(verified(h).mark?.closed, true);
});

test("an emptied segment, a removed log and another log are refused", () => {
  const h = written();
  h.close();
  assert.match(truncated(h, 0).refused().message, /the whole log is gone/);
  const removed = truncated(h, 0);
  removed.disk.uproot(LOG);
  assert.is(verified(removed).ok, false);
  assert.is(removed.refused().code, "corrupt");
  // The second log that a harness creates has another id.
  const foreign = written();
  foreign.close();
  foreign.disk.uproot(LOG);
  foreign.disk.uproot(TAIL_FILE);
  foreign.markDisk.uproot(MARK_FILE);
  written(foreign).close();
  foreign.markDisk.plant(MARK_FILE, defined(h.markDisk.peek(MARK_FILE), "A mark"));
  assert.match(foreign.refused().message, /the mark belongs to log/);
});

test("the operator's word starts a log that lost its end under a greater generation, each time again", () => {
  const h = written();
  assert.is(h.log?.generation, 1);
  h.close();
  const cut = truncated(h, LAST_BATCH);
  cut.acceptDataLoss = true;
  assert.is(cut.open().generation, 2);
  assert.is(cut.lost.length, 1);
  assert.is(cut.texts(7).length, 12);
  cut.put(7, 13, "another thirteenth", 2 ** 32 + 1);
  cut.world.settle();
  cut.close();
  assert.is(cut.open().generation, 2, "nothing was gone this time");
  assert.is(cut.lost.length, 0);
  cut.close();
  // Now everything that was written under the second generation is missing.
  const again = truncated(cut, LAST_BATCH);
  again.acceptDataLoss = true;
  assert.is(again.open().generation, 3);
});

test("the operator's word begins a new log where all of it is gone, and goes on before what is damaged", () => {
  const h = written();
  h.close();
  const gone = truncated(h, 0);
  gone.acceptDataLoss = true;
  assert.is(gone.open().generation, 2);
  assert.is(gone.texts(7).length, 0);
  gone.close();
  const rotten = truncated(h, bytesOf(h, LOG).length);
  rotten.disk.flip(LOG, 4096 * 3 + 30, 1);
  assert.match(rotten.refused().message, /CRC/);
  rotten.acceptDataLoss = true;
  assert.is(rotten.open().generation, 2);
  assert.ok(rotten.texts(7).length < 15);
  rotten.put(7, rotten.texts(7).length + 1, "it goes on", 2 ** 32 + 1);
  rotten.world.settle();
  assert.equal(rotten.acknowledged, ["it goes on"]);
  rotten.close();
});

test("a log without a mark opens and gets one; a mark of which no slot holds is refused", () => {
  const h = written();
  h.close();
  const old = truncated(h, endOf(h));
  old.markDisk.uproot(MARK_FILE);
  old.open();
  old.close();
  assert.is(verified(old).mark?.position, verified(old).end);
  assert.is(truncated(old, endOf(h) - 1).refused().code, "corrupt");
  // One slot torn: the other counts.
  for (const at of MARK_SLOT_OFFSETS) {
    const torn = truncated(old, endOf(old));
    torn.markDisk.flip(MARK_FILE, at + 20, 3);
    torn.open();
    torn.close();
  }
  for (const at of MARK_SLOT_OFFSETS) old.markDisk.flip(MARK_FILE, at + 20, 3);
  assert.match(old.refused().message, /no checksum of the log's mark/);
  assert.is(verified(old).ok, false);
});

test("a mark that cannot be written is told once, and the log goes on", () => {
  const h = new LogHarness();
  h.open();
  h.markDisk.intercept = ({ kind }) => kind === "write" ? "io" : undefined;
  for (let index = 1; index < 9; index++) {
    h.put(7, index, `entry ${index}`);
    h.world.pass(2 * WAL_MARK_MS);
  }
  assert.is(h.acknowledged.length, 8);
  assert.is(h.unmarked.length, 1);
  h.markDisk.intercept = () => undefined;
  h.put(7, 9, "entry 9");
  marked(h);
  assert.is(verified(h).mark?.position, verified(h).end);
});

test.run();
