/** The frames of messages and the header of deadlines. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { concatBytes } from "../../../src/base/bytes.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { framed, MessageReader } from "../../../src/grpc/messages.ts";
import { GrpcError } from "../../../src/grpc/status.ts";
import { readTimeout } from "../../../src/grpc/timeout.ts";

const MESSAGES = ["", "a", "hello", "x".repeat(300)].map((text) => new TextEncoder().encode(text));
const BYTES = concatBytes(MESSAGES.map((message) => framed(message)));

function read(chunks: readonly Uint8Array[]): Uint8Array[] {
  const reader = new MessageReader();
  const messages = chunks.flatMap((chunk) => reader.take(chunk).map((message) => message.slice()));
  assert.is(reader.isBetween, false);
  return messages;
}

test("message reader takes messages whole, byte by byte, and split at every offset", () => {
  assert.equal(read([BYTES]), MESSAGES);
  assert.equal(read([...BYTES].map((byte) => Uint8Array.of(byte))), MESSAGES);
  for (let at = 0; at <= BYTES.length; at++) {
    assert.equal(read([BYTES.subarray(0, at), BYTES.subarray(at)]), MESSAGES, String(at));
  }
});

test("message reader keeps messages that it has handed out", () => {
  const reader = new MessageReader();
  const [first, second] = [framed(MESSAGES[2]!), framed(MESSAGES[3]!)];
  const [kept] = [
    ...reader.take(first.subarray(0, 6)),
    ...reader.take(concatBytes([first.subarray(6), second.subarray(0, 9)])),
  ];
  reader.take(second.subarray(9));
  assert.equal(kept, MESSAGES[2]);
});

test("message reader reports a message that is not complete", () => {
  const reader = new MessageReader();
  reader.take(BYTES.subarray(0, 3));
  assert.is(reader.isBetween, true);
});

test("message reader refuses a message that is too long by its prefix alone", () => {
  const reader = new MessageReader(10);
  reader.take(framed(new Uint8Array(10)));
  try {
    reader.take(Uint8Array.of(0, 0, 0, 0, 11));
    assert.unreachable();
  } catch (error) {
    assert.instance(error, RegistryError);
    assert.is((error as RegistryError).code, "too_large");
  }
});

test("message reader refuses compressed messages", () => {
  assert.throws(
    () => new MessageReader().take(Uint8Array.of(1, 0, 0, 0, 0)),
    (error: unknown) => error instanceof GrpcError && error.code === "UNIMPLEMENTED",
  );
});

test("framed refuses an answer that clients would not take", () => {
  assert.throws(() => framed(new Uint8Array(11), 10), /at most 10 bytes/);
});

test("readTimeout reads every unit", () => {
  const cases: readonly (readonly [string, number])[] = [
    ["1H", 3_600_000],
    ["2M", 120_000],
    ["3S", 3_000],
    ["40m", 40],
    ["5000u", 5],
    ["1000000n", 1],
    ["99999999H", 99_999_999 * 3_600_000],
  ];
  for (const [text, ms] of cases) {
    assert.ok(Math.abs(readTimeout(text)! - ms) <= 1e-9 * ms, text);
  }
  assert.is(readTimeout(undefined), undefined);
});

test("readTimeout refuses everything else", () => {
  for (const text of ["", "S", "1", "1s", "-1S", "1.5S", "123456789S", " 1S", "1S "]) {
    assert.throws(() => readTimeout(text), /grpc-timeout must be/, text);
  }
});

test.run();
