/**
 * Recovery: truncate or refuse, at every byte; forged records; lost and reordered writes; missing
 * files.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { concatBytes, fromHex } from "../../../src/base/bytes.ts";
import { groupId, logIndex, term } from "../../../src/base/ids.ts";
import { NODE_STATE_GROUP } from "../../../src/replication/log_ids.ts";
import { Batch } from "../../../src/wal/batch.ts";
import { TAIL_FILE } from "../../../src/wal/log_mark.ts";
import { LogHarness } from "../../support/log_harness.ts";

const LOG = "log-0000000000000000.wal";
const PAGE = 4096;
const encoder = new TextEncoder();

/** Returns a log of four batches, one per page after the header, closed or crashed. */
function written({ closed, texts = ["a", "b", "c", "d"] }: {
  closed: boolean;
  texts?: readonly string[];
}): LogHarness {
  const h = new LogHarness();
  h.open();
  for (const [at, text] of texts.entries()) {
    h.put(1, at + 1, text);
    h.world.settle();
  }
  if (closed) h.close();
  else h.crash();
  return h;
}

/** Returns the bytes with content, without the preallocated zeros. */
function content(h: LogHarness): Uint8Array {
  const bytes = h.disk.peek(LOG)!;
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return bytes.slice(0, Math.ceil(end / PAGE) * PAGE);
}

function segmentsOf(h: LogHarness) {
  return h.disk.list().filter(({ name }) => name.startsWith("log-"));
}

/** Opens a log that consists only of these bytes. */
function openOn(bytes: Uint8Array): LogHarness {
  // Small segments, because thousands of logs are created: fewer zeros are preallocated.
  const h = new LogHarness({ segmentBytes: 64 * 1024 });
  h.disk.plant(LOG, bytes);
  h.start();
  h.world.settle();
  return h;
}

test("recovery of a log cut at every byte of its last batch has all batches before it", () => {
  // Two records in the last batch, so that cuts fall into each and between.
  const h = written({ closed: false });
  h.open();
  h.put(1, 5, "e");
  h.put(1, 6, "f");
  h.world.settle();
  const all = content(h);
  const start = all.length - PAGE;
  for (let end = start; end <= all.length; end++) {
    const cut = openOn(all.subarray(0, end));
    assert.is(cut.error, undefined, `cut at ${end}`);
    const texts = cut.texts(1);
    assert.equal(texts.slice(0, 4), ["a", "b", "c", "d"], `cut at ${end}`);
    assert.equal(texts, ["a", "b", "c", "d", "e", "f"].slice(0, texts.length));
    // The log continues from there, and later acknowledged data is there at the next start.
    cut.put(1, texts.length + 1, "next");
    cut.world.settle();
    cut.crash();
    cut.open();
    assert.equal(cut.texts(1), [...texts, "next"]);
  }
});

test("recovery with the last batch torn to zeros from every byte on has all batches before it", () => {
  const all = content(written({ closed: false }));
  for (let from = all.length - PAGE; from < all.length - PAGE + 300; from++) {
    const torn = concatBytes([all.slice().fill(0, from), new Uint8Array(2 * PAGE)]);
    const h = openOn(torn);
    assert.is(h.error, undefined);
    assert.equal(h.texts(1).slice(0, 3), ["a", "b", "c"]);
  }
});

test("recovery refuses every flipped byte below the watermark, naming file and offset", () => {
  const all = content(written({ closed: true, texts: ["a", "b"] }));
  const watermark = all.length - PAGE;
  for (let at = 0; at < all.length; at++) {
    const flipped = all.slice();
    flipped[at]! ^= 1 << (at & 7);
    const h = openOn(flipped);
    if (at >= watermark) {
      assert.is(h.error, undefined, `flip at ${at}`);
      assert.equal(h.texts(1), ["a", "b"]);
      continue;
    }
    assert.is(h.error?.code, "corrupt", `flip at ${at}`);
    assert.is(h.error?.fields.field, LOG);
    const [, offset] = /damaged at offset (\d+)/.exec(h.error!.message)!;
    assert.ok(Number(offset) <= at && at - Number(offset) < PAGE, `flip at ${at}: ${offset}`);
    assert.match(h.error!.message, /Restore/);
    assert.is(h.log, undefined);
  }
});

test("recovery that refuses changes nothing on the disk", () => {
  const all = content(written({ closed: true }));
  all[PAGE + 20]! ^= 1;
  const h = openOn(all);
  assert.is(h.error?.code, "corrupt");
  assert.equal(h.disk.peek(LOG), all);
  assert.equal(h.disk.list().map(({ name }) => name), [LOG]);
});

test("recovery cuts two outstanding appends of which only the later reached the disk", () => {
  const earlier = "e".repeat(PAGE);
  const h = new LogHarness();
  h.open();
  h.put(1, 1, "acknowledged");
  h.world.settle();
  h.disk.intercept = ({ kind }) => kind === "sync" ? "hold" : undefined;
  h.put(1, 2, earlier);
  h.put(1, 3, "later");
  h.world.settle();
  assert.equal(h.acknowledged, ["acknowledged"]);
  const bytes = content(h);
  assert.is(bytes.length, 4 * PAGE);
  bytes.fill(0, 2 * PAGE, 3 * PAGE);
  const after = openOn(bytes);
  assert.is(after.error, undefined);
  assert.equal(after.texts(1), ["acknowledged"]);
  assert.is(after.cuts.length, 1);
  assert.is(after.cuts[0]?.offset, 2 * PAGE);
  // Truncated data is gone: it does not reappear after the data written in its place.
  after.put(1, 2, "instead");
  after.world.settle();
  after.crash();
  after.open();
  assert.equal(after.texts(1), ["acknowledged", "instead"]);
});

test("recovery cuts a batch whose first record is lost though the second stands", () => {
  const bytes = content(written({ closed: false }));
  const torn = bytes.slice();
  // The record's first half is gone; the rest of the batch is still there.
  torn.fill(0, 4 * PAGE, 4 * PAGE + 24);
  const h = openOn(torn);
  assert.is(h.error, undefined);
  assert.equal(h.texts(1), ["a", "b", "c"]);
});

/** Returns a sealed watermark record that claims to be at `position`, with any log id. */
function forged(logId: Uint8Array, position: number, watermark: number): Uint8Array {
  const batch = new Batch();
  const size = batch.watermark();
  return batch.seal({ logId, sequence: 99, position, watermark }).slice(0, size);
}

/** Returns an entry whose data has records at every page boundary on which it may lie. */
function trap(record: (position: number) => Uint8Array, dataPosition: number): string {
  const data = new Uint8Array(4 * PAGE).fill(65);
  for (let page = 0; page < 3 * PAGE; page += PAGE) {
    const at = page + PAGE - dataPosition % PAGE;
    data.set(record(dataPosition + at), at);
  }
  return String.fromCharCode(...data);
}

test("recovery takes no record inside an entry's data for one of the log", () => {
  // Data is preceded by 8 bytes of frame, 8 of root pointer, 64 of struct, 8 of tag, 24 of entry.
  const dataPosition = 2 * PAGE + 112;
  const foreign = new Uint8Array(16).fill(7);
  const h = new LogHarness();
  h.open();
  const data = Uint8Array.from(
    trap((position) => forged(foreign, position, position), dataPosition),
    (character) => character.charCodeAt(0),
  );
  h.put(1, 1, "first");
  h.world.settle();
  h.disk.intercept = ({ kind }) => kind === "sync" ? "hold" : undefined;
  const trapped = { term: term(1), kind: 0, data };
  h.log!.appendOne(groupId(1), logIndex(2), trapped, () => {});
  h.world.settle();
  const bytes = content(h);
  assert.equal([...bytes.subarray(3 * PAGE, 3 * PAGE + 2)], [0xca, 0xfe], "the trap stands there");
  const whole = openOn(bytes);
  assert.equal(whole.group(1).entries.map(({ index }) => index), [1, 2]);
  // Its page is lost, so a search begins: the forged watermarks must not turn truncation into
  // damage.
  const torn = bytes.slice().fill(0, 2 * PAGE, 3 * PAGE);
  const cut = openOn(torn);
  assert.is(cut.error, undefined);
  assert.equal(cut.texts(1), ["first"]);
});

test("recovery takes no record of its own log at another position for one that follows", () => {
  const h = written({ closed: false });
  const bytes = content(h);
  const copy = bytes.slice(PAGE, 2 * PAGE);
  const after = openOn(concatBytes([bytes, new Uint8Array(PAGE), copy]));
  assert.is(after.error, undefined);
  assert.equal(after.texts(1), ["a", "b", "c", "d"]);
  assert.is(after.cuts.length, 1);
});

test("recovery takes no record at another position for its watermark", () => {
  const bytes = content(written({ closed: false }));
  // The last batch states that three pages are synced, but it is not where it was written.
  const moved = concatBytes([
    bytes.subarray(0, 2 * PAGE),
    new Uint8Array(PAGE),
    bytes.subarray(4 * PAGE, 5 * PAGE),
  ]);
  const h = openOn(moved);
  assert.is(h.error, undefined);
  assert.equal(h.texts(1), ["a"]);
});

/**
 * Returns a log whose last page but one holds two records, and that page's bytes without the
 * second.
 */
function twoInOnePage(): { bytes: Uint8Array; second: Uint8Array } {
  const h = new LogHarness();
  h.open();
  h.put(1, 1, "first");
  h.put(1, 2, "second");
  h.world.settle();
  h.put(1, 3, "third");
  h.world.settle();
  const bytes = content(h);
  const size = 124;
  const at = PAGE + size;
  assert.equal([...bytes.subarray(at, at + 2)], [0xca, 0xfe]);
  const second = bytes.slice(at, at + size);
  bytes.fill(0, at, at + size);
  return { bytes, second };
}

test("recovery notices by its number that a record is missing before a sound batch", () => {
  const { bytes } = twoInOnePage();
  // Without a watermark above the gap: as if neither batch had been synced.
  const refused = openOn(bytes);
  assert.is(refused.error?.code, "corrupt");
  const h = new LogHarness();
  h.open();
  h.disk.intercept = ({ kind }) => kind === "sync" ? "hold" : undefined;
  h.put(1, 1, "first");
  h.put(1, 2, "second");
  h.world.settle();
  h.put(1, 3, "third");
  h.world.settle();
  const unsynced = content(h);
  unsynced.fill(0, PAGE + 124, 2 * PAGE);
  const cut = openOn(unsynced);
  assert.is(cut.error, undefined);
  assert.equal(cut.texts(1), ["first"]);
});

test("recovery believes no record whose number follows but whose position does not", () => {
  const { bytes, second } = twoInOnePage();
  const moved = concatBytes([bytes.subarray(0, 2 * PAGE), second, new Uint8Array(PAGE)]);
  const h = openOn(moved);
  assert.is(h.error, undefined);
  assert.equal(h.texts(1), ["first"]);
});

test("recovery refuses a log whose end is gone below a watermark that a later segment knows", () => {
  const h = new LogHarness({ segmentBytes: 1024 * 1024 });
  h.open();
  const text = "x".repeat(400_000);
  for (let index = 1; index <= 4; index++) {
    h.put(1, index, text);
    h.world.settle();
  }
  h.close();
  const files = segmentsOf(h);
  assert.is(files.length, 2);
  const first = h.disk.peek(files[0]!.name)!;
  h.disk.plant(files[0]!.name, first.subarray(0, 500_000));
  const error = h.refused();
  assert.is(error.code, "corrupt");
  assert.is(error.fields.field, files[0]!.name);
});

test("recovery refuses a folder without its first segment, or with images alone", () => {
  const h = new LogHarness({ segmentBytes: 1024 * 1024 });
  const log = h.open();
  const text = "x".repeat(400_000);
  for (let index = 1; index <= 4; index++) {
    h.put(1, index, text);
    h.world.settle();
  }
  log.installImage(
    groupId(2),
    { index: logIndex(1), term: term(1), configuration: new Uint8Array(0) },
    [encoder.encode("image")],
    () => {},
  );
  h.world.settle();
  h.close();
  const [, first, second] = h.disk.list();
  h.disk.uproot(first!.name);
  assert.match(h.refused().message, /entry 1 of group 1 is missing/);
  h.disk.uproot(second!.name);
  assert.match(h.refused().message, /images but the log that names them is gone/);
});

test("recovery refuses an image that is missing or damaged, naming its file", () => {
  const h = new LogHarness();
  const log = h.open();
  h.put(1, 1, "a");
  h.world.settle();
  log.writeImage(
    groupId(1),
    { index: logIndex(1), term: term(1), configuration: new Uint8Array(0) },
    [encoder.encode("image")],
    () => {},
  );
  h.world.settle();
  h.close();
  const { name } = h.disk.list().find((file) => file.name.startsWith("image"))!;
  const bytes = h.disk.peek(name)!;
  bytes[bytes.length >> 1]! ^= 4;
  h.disk.plant(name, bytes);
  const damaged = h.refused();
  assert.is(damaged.code, "corrupt");
  assert.is(damaged.fields.field, name);
  h.disk.uproot(name);
  const missing = h.refused();
  assert.is(missing.code, "corrupt");
  assert.is(missing.fields.field, name);
});

test("recovery removes temporary files and images that nothing names, and gives no number twice", () => {
  const h = written({ closed: true });
  h.disk.plant("image-0000000000000009.img", encoder.encode("nobody names it"));
  h.disk.plant("image-000000000000000a.img.tmp", encoder.encode("half written"));
  const log = h.open();
  assert.equal(h.disk.list().map(({ name }) => name), [LOG, TAIL_FILE]);
  log.writeImage(
    groupId(1),
    { index: logIndex(4), term: term(1), configuration: new Uint8Array(0) },
    [encoder.encode("image")],
    () => {},
  );
  h.world.settle();
  assert.ok(h.disk.peek("image-000000000000000a.img") !== undefined);
});

test("recovery makes a segment anew whose making was cut short at any byte", () => {
  const h = new LogHarness({ segmentBytes: 1024 * 1024 });
  h.open();
  const text = "x".repeat(400_000);
  for (let index = 1; index <= 2; index++) {
    h.put(1, index, text);
    h.world.settle();
  }
  const first = h.disk.peek(LOG)!;
  h.put(1, 3, text);
  h.world.settle();
  const second = h.disk.list()[1]!.name;
  const header = h.disk.peek(second)!.slice(0, PAGE);
  for (const length of [0, 1, 7, 8, 50, 120, PAGE - 1, PAGE]) {
    for (const tail of [0, PAGE]) {
      const cut = new LogHarness({ segmentBytes: 1024 * 1024 });
      cut.disk.plant(LOG, first);
      cut.disk.plant(second, concatBytes([header.subarray(0, length), new Uint8Array(tail)]));
      cut.open();
      assert.is(cut.texts(1).length, 2, `header cut at ${length}`);
      cut.put(1, 3, text);
      cut.world.settle();
      cut.crash();
      cut.open();
      assert.is(cut.texts(1).length, 3, `header cut at ${length}`);
    }
  }
});

test("recovery of a first segment whose making was cut short begins a new log", () => {
  const header = content(written({ closed: false })).slice(0, PAGE);
  for (const length of [0, 1, 8, 60, 100]) {
    const h = openOn(header.subarray(0, length));
    assert.is(h.error, undefined, `header cut at ${length}`);
    h.put(1, 1, "a");
    h.world.settle();
    assert.equal(h.acknowledged, ["a"]);
  }
});

/** Opens a folder with frozen bytes. */
function openFrozen(name: string): LogHarness {
  const vector: {
    files: Record<string, { size: number; pieces: { offset: number; hex: string }[] }>;
  } = JSON.parse(
    Deno.readTextFileSync(new URL(`../../vectors/wal/${name}.json`, import.meta.url)),
  );
  const h = new LogHarness();
  for (const [file, { size, pieces }] of Object.entries(vector.files)) {
    const bytes = new Uint8Array(size);
    for (const { offset, hex } of pieces) bytes.set(fromHex(hex)!, offset);
    h.disk.plant(file, bytes);
  }
  h.open();
  assert.equal(h.cuts, []);
  return h;
}

test("recovery opens the frozen folder", () => {
  const h = openFrozen("folder");
  assert.equal(h.group(1).entries, [
    { index: 1, term: 1, kind: 0, text: "one" },
    { index: 2, term: 2, kind: 0, text: "two anew" },
  ]);
  assert.equal(h.group(1).hardState, { term: term(2), vote: 7, commit: logIndex(1) });
  assert.equal([h.group(2).imageIndex, h.group(2).image], [1, "image of two"]);
  assert.equal(h.texts(2), ["after the image"]);
});

test("recovery opens the frozen folder of replicas that came and went", () => {
  const h = openFrozen("folder_replicas");
  assert.not(h.groups.has(1));
  assert.equal(h.group(2).entries, [{ index: 1, term: 4, kind: 0, text: "another replica" }]);
  assert.is(h.group(2).hardState, undefined);
  assert.equal([h.group(3).imageIndex, h.group(3).image], [2, "from the leader"]);
  assert.equal(h.group(3).entries, [{ index: 3, term: 6, kind: 2, text: "above it" }]);
  const node = { term: term(12), vote: 1, commit: logIndex(0) };
  assert.equal(h.group(NODE_STATE_GROUP).hardState, node);
});

test("recovery syncs every segment and the folder before it believes them", () => {
  const h = written({ closed: false });
  const operations: string[] = [];
  h.disk.intercept = (operation) => {
    const isTail = "file" in operation && operation.file === TAIL_FILE;
    operations.push(`${operation.kind}${isTail ? " tail" : ""}`);
    return undefined;
  };
  h.open();
  assert.equal(operations.slice(0, 5), ["read tail", "list", "sync", "syncFolder", "read"]);
});

test("recovery that cannot sync refuses to start", () => {
  const h = written({ closed: false });
  h.disk.intercept = ({ kind }) => kind === "sync" ? "io" : undefined;
  assert.is(h.refused().code, "storage_unavailable");
});

/** Makes a disk fail syncs without poisoning its storages. */
function failingSyncs(h: LogHarness, fail: () => boolean): void {
  h.disk.intercept = ({ kind }) => kind === "sync" && fail() ? "io" : undefined;
}

test("recovery after a kill makes durable what it hands out from the page cache", () => {
  const h = new LogHarness();
  h.open();
  h.put(1, 1, "a");
  h.world.settle();
  h.disk.intercept = ({ kind }) => kind === "sync" ? "hold" : undefined;
  h.put(1, 2, "b");
  h.world.settle();
  h.kill();
  h.disk.intercept = () => undefined;
  h.open();
  assert.equal(h.texts(1), ["a", "b"]);
  h.crash();
  h.open();
  assert.equal(h.texts(1), ["a", "b"]);
});

test("recovery after a failed sync believes no page that the kernel took for clean", () => {
  const h = new LogHarness();
  h.open();
  h.put(1, 1, "a");
  h.world.settle();
  failingSyncs(h, () => true);
  h.put(1, 2, "b");
  h.world.settle();
  assert.equal(h.acknowledged, ["a"]);
  h.kill();
  failingSyncs(h, () => false);
  h.open();
  // It is still in the page cache, and on the disk only because recovery writes it again.
  assert.equal(h.texts(1), ["a", "b"]);
  h.put(1, 3, "c");
  h.world.settle();
  h.crash();
  h.open();
  assert.equal(h.texts(1), ["a", "b", "c"]);
});

test("recovery after a recovery whose sync failed believes no page that the kernel took for clean", () => {
  const h = new LogHarness();
  h.open();
  h.put(1, 1, "a");
  h.world.settle();
  h.disk.intercept = ({ kind }) => kind === "sync" ? "hold" : undefined;
  h.put(1, 2, "b");
  h.world.settle();
  h.kill();
  failingSyncs(h, () => true);
  assert.is(h.refused().code, "storage_unavailable");
  h.kill();
  failingSyncs(h, () => false);
  h.open();
  assert.equal(h.texts(1), ["a", "b"]);
  h.crash();
  h.open();
  assert.equal(h.texts(1), ["a", "b"]);
});

test("recovery ends with failed when a handler throws", () => {
  const h = written({ closed: false });
  const group = h.group.bind(h);
  h.group = (id) => {
    if (id === 1) throw new Error("cannot apply");
    return group(id);
  };
  const error = h.refused();
  assert.is(error.code, "internal");
  assert.match(error.message, /cannot apply/);
});

test("recovery hands out only what recovery handed out before, restart after restart", () => {
  const h = written({ closed: false });
  for (let round = 0; round < 5; round++) {
    h.open();
    assert.equal(h.texts(1), ["a", "b", "c", "d"]);
    if (round % 2 === 0) h.close();
    h.crash();
  }
});

test.run();
