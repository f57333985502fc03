/** FrameWriter and codecs: ranges, limits, rollback, sources of bytes, reuse. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { agentCodec } from "../../../schemas/gen/record.ts";
import {
  idRequestCodec,
  listReplyCodec,
  recordReplyCodec,
  resolveRequestCodec,
  responseCodec,
  ResponseView,
  ringPlacementCodec,
} from "../../../schemas/gen/wire.ts";
import { FrameWriter, inspectFrame } from "../../../schemas/runtime.ts";

const NO_EXTRA = { credentialHash: new Uint8Array(0), labels: [], superseded: [] };

function isRangeError(error: unknown): boolean {
  return error instanceof RangeError;
}

function isTooLarge(error: unknown): boolean {
  return error instanceof RegistryError && error.code === "too_large";
}

test("codec write appends frame after frame, and reset forgets them", () => {
  const out = new FrameWriter({ bytesMax: 1 << 16, bytesInitial: 16 });
  const domains = ["a.example", "b.example", "c.example"];
  for (let turn = 0; turn < 2; turn++) {
    out.reset();
    for (const domain of domains) resolveRequestCodec.write(out, { domain });
    const found: string[] = [];
    for (let at = 0; at < out.length;) {
      const size = inspectFrame(out.view, at, out.length, { frameBytesMax: 999, segmentsMax: 1 });
      found.push(resolveRequestCodec.decode(out.bytes, at + 8, at + size).domain);
      at += size;
    }
    assert.equal(found, domains);
  }
});

test("codec encode is the same bytes in a writer that was used before", () => {
  const out = new FrameWriter({ bytesMax: 1 << 16 });
  const record = new Uint8Array(300).fill(0xff);
  recordReplyCodec.append(out, { record, remainingMs: 0xffff_ffff });
  out.reset();
  const agent = { ...agentCodec.empty(), domain: "a.example" };
  agentCodec.append(out, agent);
  assert.equal(out.written, agentCodec.encode(agent));
  assert.equal(out.bytes.subarray(out.length), new Uint8Array(out.bytes.length - out.length));
});

test("codec write refuses values that a field cannot hold, names it, and appends nothing", () => {
  const out = new FrameWriter({ bytesMax: 1 << 16 });
  resolveRequestCodec.write(out, { domain: "a.example" });
  const before = out.written.slice();
  const empty = agentCodec.empty();
  for (
    const [value, name] of [
      [{ ...empty, port: 65_536 }, "port"],
      [{ ...empty, ttlMs: -1 }, "ttlMs"],
      [{ ...empty, leaseExpiryMs: 2 ** 53 }, "leaseExpiryMs"],
      [{ ...empty, incarnation: { generation: 0.5, index: 0 } }, "incarnation.generation"],
      [{ ...empty, id: new Uint8Array(17) }, "16 bytes"],
      [{ ...empty, domain: "\ud800" }, "domain must be well-formed"],
      [{ ...empty, domain: {} as string }, "domain must be text"],
      [{ ...empty, domain: null as unknown as string }, "domain must be text"],
      [
        { ...empty, extra: { ...NO_EXTRA, labels: {} as [] } },
        "labels must be a list",
      ],
    ] as const
  ) {
    try {
      agentCodec.write(out, value);
      assert.unreachable(name);
    } catch (error) {
      assert.instance(error, RangeError);
      assert.match((error as RangeError).message, name);
    }
    assert.equal(out.written, before);
    assert.ok(out.bytes.subarray(out.length).every((byte) => byte === 0));
  }
});

test("codec write refuses what does not fit with too_large, and keeps what was written", () => {
  const out = new FrameWriter({ bytesMax: 256 });
  resolveRequestCodec.write(out, { domain: "a.example" });
  const length = out.length;
  const record = new Uint8Array(300);
  assert.throws(() => recordReplyCodec.write(out, { record, remainingMs: 1 }), isTooLarge);
  assert.is(out.length, length);
  recordReplyCodec.write(out, { record: record.subarray(0, 100), remainingMs: 1 });
  assert.is(recordReplyCodec.decode(out.bytes, length + 8, out.length).record.length, 100);
});

test("codec write takes Data as an array or as a span, long and short", () => {
  const arena = Uint8Array.from({ length: 1_000 }, (_, index) => index);
  for (const [start, end] of [[0, 0], [3, 4], [5, 69], [7, 700]] as const) {
    const expected = recordReplyCodec.encode({
      record: arena.subarray(start, end),
      remainingMs: 1,
    });
    const span = { bytes: arena, start, end };
    assert.equal(recordReplyCodec.encode({ record: span, remainingMs: 1 }), expected);
    assert.equal(recordReplyCodec.decode(expected).record, arena.slice(start, end));
  }
  assert.equal(
    idRequestCodec.encode({ id: { bytes: arena, start: 4, end: 20 } }),
    idRequestCodec.encode({ id: arena.slice(4, 20) }),
  );
  for (const [start, end] of [[-1, 3], [4, 3], [990, 1_001], [Number.NaN, 3]] as const) {
    const span = { bytes: arena, start, end };
    assert.throws(() => recordReplyCodec.encode({ record: span, remainingMs: 1 }), isRangeError);
  }
});

test("codec decode shares nothing with the message", () => {
  const bytes = recordReplyCodec.encode({ record: Uint8Array.of(1, 2, 3), remainingMs: 1 });
  const reply = recordReplyCodec.decode(bytes);
  const agentBytes = agentCodec.encode({ ...agentCodec.empty(), id: new Uint8Array(16).fill(5) });
  const agent = agentCodec.decode(agentBytes);
  bytes.fill(0);
  agentBytes.fill(0);
  assert.equal(reply.record, Uint8Array.of(1, 2, 3));
  assert.equal(agent.id, new Uint8Array(16).fill(5));
});

test("codec decode reads a segment inside of a larger array", () => {
  const segment = ringPlacementCodec.encode({ leader: 3, replicas: [3, 4, 5] });
  const around = new Uint8Array(segment.length + 13).fill(0xee);
  around.set(segment, 5);
  const shifted = around.subarray(2);
  assert.equal(
    ringPlacementCodec.decode(shifted, 3, 3 + segment.length),
    { leader: 3, replicas: [3, 4, 5] },
  );
});

test("envelope codec writes a body with a list of records, and refuses a codec without a body", () => {
  const out = new FrameWriter({ bytesMax: 1 << 16 });
  const items = [1, 2, 3].map((remainingMs) => ({
    record: Uint8Array.of(remainingMs),
    remainingMs,
    source: undefined,
  }));
  const body = { items, nextCursor: Uint8Array.of(9) };
  const response = { ...responseCodec.empty(), id: 4, message: "m" };
  responseCodec.write(out, response, listReplyCodec, body);
  const view = new ResponseView().wrap(out.view, out.bytes, 8, out.length);
  assert.is(view.id, 4);
  assert.equal(view.bodyInto(listReplyCodec.newView()).toPlain(), body);
  assert.throws(
    () => responseCodec.write(out, response, listReplyCodec),
    (error: unknown) => error instanceof TypeError,
  );
});

test("FrameWriter refuses limits that make no sense", () => {
  for (const bytesMax of [0, 7, 1.5, Number.NaN, 2 ** 31]) {
    assert.throws(() => new FrameWriter({ bytesMax }), isRangeError);
  }
});

test.run();
