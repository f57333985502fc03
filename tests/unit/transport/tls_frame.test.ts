/** Frames over TLS: bytes, limits, order, and arbitrary input. */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { concatBytes, toHex } from "../../../src/base/bytes.ts";
import { type ErrorCode, RegistryError } from "../../../src/base/errors.ts";
import {
  beatFrame,
  closeFrame,
  creditFrame,
  dataFrame,
  resetFrame,
  settingsFrame,
  TlsFrameReader,
} from "../../../transport/tls_frame.ts";

const SETTINGS = { idleMs: 45_000, windowBytes: 524_288, streamsMax: 16 };

/** Returns a reader whose events are recorded as lines; pieces of data are joined. */
function reader() {
  const lines: string[] = [];
  const data = new Map<number, Uint8Array>();
  const frames = new TlsFrameReader({
    onSettings: (settings) => lines.push(`settings ${JSON.stringify(settings)}`),
    onData: (stream, bytes) => {
      data.set(stream, concatBytes([data.get(stream) ?? new Uint8Array(0), bytes]));
    },
    onCredit: (stream, bytes) => lines.push(`credit ${stream} ${bytes}`),
    onReset: (stream) => lines.push(`reset ${stream}`),
    onClose: (code, message) => lines.push(`close ${code} ${message}`),
    onPing: () => lines.push("ping"),
  });
  return { lines, data, frames };
}

const ALL = [
  settingsFrame(SETTINGS),
  dataFrame(1, Uint8Array.of(1, 2, 3)),
  creditFrame(2, 70_000),
  beatFrame("ping"),
  dataFrame(1, Uint8Array.of(4)),
  resetFrame(3),
  beatFrame("pong"),
  closeFrame(16, "zu voll, später"),
];
const LINES = [
  `settings ${JSON.stringify(SETTINGS)}`,
  "credit 2 70000",
  "ping",
  "reset 3",
  "close 16 zu voll, später",
];

test("tls frames have these bytes", () => {
  assert.equal(ALL.map(toHex), [
    "0100000b0000000001" + "0000afc8" + "00080000" + "0010",
    "0200000300000001" + "010203",
    "0300000400000002" + "00011170",
    "0600000000000000",
    "0200000100000001" + "04",
    "0400000000000003",
    "0700000000000000",
    "0500001200000000" + "0010" + toHex(new TextEncoder().encode("zu voll, später")),
  ]);
});

test("tls frame reader takes frames whole, byte by byte and split at every offset", () => {
  const whole = concatBytes(ALL);
  const chunkings: Uint8Array[][] = [[whole], Array.from(whole, (byte) => Uint8Array.of(byte))];
  for (let at = 0; at <= whole.length; at++) {
    chunkings.push([whole.subarray(0, at), whole.subarray(at)]);
  }
  for (const chunks of chunkings) {
    const { lines, data, frames } = reader();
    for (const chunk of chunks) frames.push(chunk);
    assert.equal(lines, LINES);
    assert.equal([...data], [[1, Uint8Array.of(1, 2, 3, 4)]]);
  }
});

/** Returns the code with which a reader refuses `frame`, after settings unless stated otherwise. */
function refusal(frame: Uint8Array, settled = true): ErrorCode | "taken" {
  const { frames } = reader();
  if (settled) frames.push(ALL[0]!);
  try {
    frames.push(frame);
    return "taken";
  } catch (error) {
    if (error instanceof RegistryError) return error.code;
    throw error;
  }
}

const header = (type: number, length: number, stream: number) => {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setUint32(0, type * 2 ** 24 + length);
  new DataView(bytes.buffer).setUint32(4, stream);
  return bytes;
};

test("tls frame reader refuses what is no frame, by its header alone", () => {
  assert.is(refusal(header(0, 0, 0)), "malformed");
  assert.is(refusal(header(8, 0, 0)), "malformed");
  assert.is(refusal(header(2, 0, 1)), "malformed", "data without bytes");
  assert.is(refusal(header(2, 65_536, 1)), "taken");
  assert.is(refusal(header(2, 65_537, 1)), "too_large");
  assert.is(refusal(header(2, 1, 0)), "malformed", "data of no stream");
  assert.is(refusal(header(3, 3, 1)), "malformed");
  assert.is(refusal(header(3, 5, 1)), "too_large");
  assert.is(refusal(header(4, 1, 1)), "too_large");
  assert.is(refusal(header(4, 0, 0)), "malformed", "a reset of no stream");
  assert.is(refusal(header(5, 1, 0)), "malformed");
  assert.is(refusal(header(5, 259, 0)), "too_large");
  assert.is(refusal(header(5, 258, 0)), "taken");
  assert.is(refusal(header(6, 0, 1)), "malformed", "a ping of a stream");
  assert.is(refusal(header(7, 0xff_ffff, 0)), "too_large");
});

test("tls frame reader wants settings first, and once", () => {
  for (const frame of ALL.slice(1, -1)) assert.is(refusal(frame, false), "malformed");
  assert.is(refusal(ALL.at(-1)!, false), "taken", "a refusal may come at once");
  assert.is(refusal(ALL[0]!, true), "malformed");
  assert.is(refusal(ALL[0]!.with(8, 2), false), "unsupported_version");
  assert.is(refusal(settingsFrame({ ...SETTINGS, idleMs: 0 }), false), "malformed");
});

test("tls frame reader hands out nothing after it was stopped, not even of the chunk at hand", () => {
  const { lines, frames } = reader();
  const stopping = new TlsFrameReader({
    onSettings: () => stopping.stop(),
    onData: () => lines.push("data"),
    onCredit: () => lines.push("credit"),
    onReset: () => lines.push("reset"),
    onClose: () => lines.push("close"),
    onPing: () => lines.push("ping"),
  });
  stopping.push(concatBytes(ALL));
  assert.equal(lines, []);
  assert.ok(frames);
});

test("tls frame reader takes arbitrary bytes without a crash", () => {
  const property = fc.property(
    fc.boolean(),
    fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 10 }),
    (settled, chunks) => {
      const { frames } = reader();
      try {
        if (settled) frames.push(ALL[0]!);
        for (const chunk of chunks) frames.push(chunk);
      } catch (error) {
        assert.instance(error, RegistryError);
      }
    },
  );
  fc.assert(property, { numRuns: 2_000 });
});

test.run();
