/**
 * The outbox: one write at a time, everything gathered meanwhile in the next, and permanent
 * failure.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { Outbox } from "../../../transport/outbox.ts";

/** A sink in which a test completes write by write. */
class Sink {
  readonly writes: { bytes: Uint8Array; done: () => void; fail: (error: unknown) => void }[] = [];

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((done, fail) => void this.writes.push({ bytes, done, fail }));
  }
}

function newOutbox(bytesMax = 4_096) {
  const sink = new Sink();
  const failures: RegistryError[] = [];
  const outbox = new Outbox(sink, { bytesMax, onFailure: (error) => void failures.push(error) });
  return { sink, outbox, failures };
}

function append(outbox: Outbox, ...bytes: number[]): void {
  const at = outbox.writer.allocate(bytes.length);
  outbox.writer.bytes.set(bytes, at);
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

test("Outbox writes nothing before flush, and nothing where nothing gathered", () => {
  const { sink, outbox } = newOutbox();
  append(outbox, 1, 2);
  assert.is(sink.writes.length, 0);
  assert.is(outbox.gatheredBytes, 2);
  outbox.flush();
  assert.is(sink.writes.length, 1);
  assert.is(outbox.gatheredBytes, 0);
  newOutbox().outbox.flush();
});

test("Outbox has one write under way, and the next takes all that gathered meanwhile", async () => {
  const { sink, outbox } = newOutbox();
  append(outbox, 1);
  outbox.flush();
  for (const byte of [2, 3, 4]) {
    append(outbox, byte);
    outbox.flush();
  }
  assert.is(sink.writes.length, 1);
  assert.equal([...sink.writes[0]!.bytes], [1], "what is under way does not change");
  sink.writes[0]!.done();
  await settled();
  assert.is(sink.writes.length, 2);
  assert.equal([...sink.writes[1]!.bytes], [2, 3, 4]);
  append(outbox, 5);
  assert.equal([...sink.writes[1]!.bytes], [2, 3, 4], "the two buffers are two");
});

test("Outbox refuses a frame beyond its limit and keeps what was there", () => {
  const { outbox } = newOutbox(16);
  append(outbox, ...new Array(12).fill(1));
  assert.throws(
    () => append(outbox, ...new Array(8).fill(2)),
    (error: unknown) => error instanceof RegistryError && error.code === "too_large",
  );
  assert.is(outbox.gatheredBytes, 12);
});

test("Outbox.drained resolves when at most so many bytes wait", async () => {
  const { sink, outbox } = newOutbox();
  append(outbox, 0);
  outbox.flush();
  append(outbox, ...new Array(100).fill(1));
  outbox.flush();
  let drained = false;
  void outbox.drained(50).then(() => drained = true);
  await settled();
  assert.is(drained, false);
  sink.writes[0]!.done();
  await settled();
  assert.is(drained, true);
});

test("Outbox.idle waits for the write under way too", async () => {
  const { sink, outbox } = newOutbox();
  append(outbox, 1);
  outbox.flush();
  let idle = false;
  void outbox.idle().then(() => idle = true);
  await settled();
  assert.is(idle, false);
  sink.writes[0]!.done();
  await settled();
  assert.is(idle, true);
});

test("Outbox tells of the first failure once, drops what follows and wakes who waits", async () => {
  const { sink, outbox, failures } = newOutbox();
  append(outbox, 1);
  outbox.flush();
  append(outbox, ...new Array(100).fill(2));
  outbox.flush();
  let woken = 0;
  void outbox.drained(10).then(() => woken++);
  void outbox.idle().then(() => woken++);
  sink.writes[0]!.fail(new RegistryError("connection_lost", "gone"));
  await settled();
  assert.is(woken, 2);
  assert.equal(failures.map(({ code }) => code), ["connection_lost"]);
  append(outbox, 3);
  outbox.flush();
  await settled();
  assert.is(sink.writes.length, 1);
  assert.is(outbox.gatheredBytes, 0);
  await outbox.drained(0);
  await outbox.idle();
  assert.is(failures.length, 1);
});

test("Outbox gives a large buffer back after its write", async () => {
  const { sink, outbox } = newOutbox(1 << 22);
  append(outbox, ...new Array(100).fill(1));
  outbox.writer.allocate(1 << 20);
  outbox.flush();
  append(outbox, 1);
  sink.writes[0]!.done();
  await settled();
  sink.writes[1]!.done();
  await settled();
  assert.ok(outbox.writer.bytes.length <= 64 * 1024, String(outbox.writer.bytes.length));
});

test("Outbox writes in pieces where it is told to, and tells of each that is taken", async () => {
  const sink = new Sink();
  const taken: [writes: number, pendingBytes: number][] = [];
  const outbox: Outbox = new Outbox(sink, {
    bytesMax: 4_096,
    writeBytesMax: 2,
    onFailure: () => {},
    onTaken: () => taken.push([outbox.writes, outbox.pendingBytes]),
  });
  append(outbox, 1, 2, 3, 4, 5);
  outbox.flush();
  append(outbox, 6);
  assert.is(outbox.pendingBytes, 6);
  const pieces: number[][] = [];
  for (let write = 0; write < 4; write++) {
    pieces.push([...sink.writes[write]!.bytes]);
    sink.writes[write]!.done();
    await settled();
  }
  assert.equal(pieces, [[1, 2], [3, 4], [5], [6]]);
  assert.equal(taken, [[1, 4], [2, 2], [3, 1], [4, 0]]);
});

test("Outbox.isIdle is false while anything is pending, and after a failure", async () => {
  const { sink, outbox } = newOutbox();
  assert.is(outbox.isIdle, true);
  append(outbox, 1);
  assert.is(outbox.isIdle, false);
  outbox.flush();
  assert.is(outbox.isIdle, false);
  sink.writes[0]!.done();
  await settled();
  assert.is(outbox.isIdle, true);
  append(outbox, 2);
  outbox.flush();
  sink.writes[1]!.fail(new Error("it broke"));
  await settled();
  assert.is(outbox.isIdle, false);
});

test.run();
