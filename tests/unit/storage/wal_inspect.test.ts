/**
 * Inspection of a log from outside: each record as a plain object, and the check of a whole folder.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defined } from "../../../src/base/assert.ts";
import { groupId, logIndex, term } from "../../../src/base/ids.ts";
import {
  type FolderReader,
  folderReader,
  inspectRecords,
  verifyFolder,
} from "../../../src/storage/wal_inspect.ts";
import { LogHarness } from "../../support/log_harness.ts";

const LOG = "log-0000000000000000.wal";

/** Returns a closed log with a record of each kind that a short life produces. */
function lived(): LogHarness {
  const h = new LogHarness();
  const log = h.open();
  h.put(3, 1, "one");
  h.put(3, 2, "second");
  const state = { term: term(5), vote: 2, commit: logIndex(1) };
  log.saveHardState(groupId(3), state);
  h.world.settle();
  const point = { index: logIndex(1), term: term(1), configuration: new Uint8Array(0) };
  log.writeImage(groupId(3), point, [new Uint8Array(40)], () => {});
  h.world.settle();
  h.close();
  return h;
}

function reader(h: LogHarness): FolderReader {
  return {
    names: () => h.disk.list().map(({ name }) => name),
    read: (file) => defined(h.disk.peek(file), `No such file: ${file}`),
  };
}

test("inspectRecords tells each record's place, op and fields", () => {
  const records = [...inspectRecords(lived().disk.peek(LOG)!)];
  assert.equal(records.map(({ op, offset }) => [op, offset]), [
    ["segmentHeader", 0],
    ["append", 4096],
    ["append", 4096 + records[1]!.size],
    ["hardState", 4096 + 2 * records[1]!.size],
    ["imageMark", 8192],
    ["watermark", 12288],
  ]);
  assert.ok(records.every(({ crcOk }) => crcOk));
  assert.equal(records.map(({ sequence }) => sequence), [1, 2, 3, 4, 5, 6]);
  const { group, index, entries, position, watermark } = records[2]!;
  assert.equal({ group, index, watermark }, { group: 3, index: 2, watermark: 4096 });
  assert.is(position, records[2]!.offset);
  assert.equal(entries, [{ index: 2, term: 1, kind: 0, bytes: 6 }]);
  assert.equal([records[3]!.term, records[3]!.vote, records[3]!.commit], [5, 2, 1]);
  assert.is(records[4]!.image, 1);
});

test("inspectRecords tells a forgotten group, and an image that was installed", () => {
  const h = new LogHarness();
  const log = h.open();
  log.forget(groupId(3), () => {});
  const point = { index: logIndex(7), term: term(2), configuration: new Uint8Array(0) };
  log.installImage(groupId(4), point, [], () => {});
  h.world.settle();
  h.close();
  const records = [...inspectRecords(h.disk.peek(LOG)!)];
  const [, forget, install] = records;
  assert.equal([forget!.op, forget!.group], ["forget", 3]);
  const { op, group, index, image } = install!;
  assert.equal({ op, group, index, image }, { op: "imageInstall", group: 4, index: 7, image: 1 });
  assert.equal(verifyFolder(reader(h)).problems, []);
});

test("inspectRecords shows a record whose CRC is wrong and goes on behind it", () => {
  const bytes = lived().disk.peek(LOG)!;
  bytes[4096 + 60]! ^= 1;
  const records = [...inspectRecords(bytes)];
  assert.equal(records.map(({ op, crcOk }) => [op, crcOk]), [
    ["segmentHeader", true],
    ["append", false],
    ["imageMark", true],
    ["watermark", true],
  ]);
  assert.is(records[1]!.group, undefined);
});

test("inspectRecords reads an image file", () => {
  const h = lived();
  const file = h.disk.list().find(({ name }) => name.endsWith(".img"))!.name;
  const records = [...inspectRecords(h.disk.peek(file)!)];
  assert.equal(records.map(({ op }) => op), ["imageHeader", "imageChunk", "imageEnd"]);
  assert.is(records[0]!.group, 3);
  assert.is(records[1]!.bytes, 40);
});

test("inspectRecords of any bytes ends, with or without records", () => {
  for (let length = 0; length < 10_000; length += 997) {
    const bytes = Uint8Array.from({ length }, (_, at) => at % 3 === 0 ? 0xca : 0xfe);
    assert.equal([...inspectRecords(bytes)], []);
  }
});

test("verifyFolder finds a sound log sound and changes nothing", () => {
  const h = lived();
  const before = h.disk.list();
  const report = verifyFolder(reader(h));
  assert.ok(report.ok);
  assert.is(report.state, "clean");
  assert.equal(report.records, {
    segmentHeader: 1,
    append: 2,
    hardState: 1,
    imageMark: 1,
    watermark: 1,
  });
  assert.equal([report.segments, report.groups, report.liveEntries, report.images], [1, 1, 1, 1]);
  assert.is(report.watermark, 12288);
  assert.equal(h.disk.list(), before);
});

test("verifyFolder names file and offset of damage in segments and images", () => {
  const h = lived();
  const bytes = h.disk.peek(LOG)!;
  bytes[8192 + 30]! ^= 1;
  h.disk.plant(LOG, bytes);
  const report = verifyFolder(reader(h));
  assert.not(report.ok);
  assert.is(report.state, "damaged");
  assert.equal(report.problems.map(({ file, offset }) => [file, offset]), [[LOG, 8192]]);
  const other = lived();
  const image = other.disk.list().find(({ name }) => name.endsWith(".img"))!.name;
  other.disk.uproot(image);
  assert.equal(verifyFolder(reader(other)).problems.map(({ file }) => file), [image]);
});

test("verifyFolder of an empty folder, and of one with images but no log", () => {
  const h = new LogHarness();
  assert.ok(verifyFolder(reader(h)).ok);
  h.disk.plant("image-0000000000000001.img", new Uint8Array(8));
  assert.not(verifyFolder(reader(h)).ok);
});

test("folderReader reads a folder of this machine", () => {
  const folder = Deno.makeTempDirSync();
  const h = lived();
  for (const { name } of h.disk.list()) Deno.writeFileSync(`${folder}/${name}`, h.disk.peek(name)!);
  assert.ok(verifyFolder(folderReader(folder)).ok);
  Deno.removeSync(folder, { recursive: true });
});

test.run();
