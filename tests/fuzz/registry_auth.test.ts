/**
 * `registry-auth/1` with unexpected bytes: arbitrary ones for each decoder and for each end at each
 * of its stages, and honest frames that were changed, truncated, repeated and mixed in transit.
 * Nothing throws, nothing hangs, and no end completes that received a byte that its peer did not
 * send.
 */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { HandshakeError } from "../../identity/registry_auth/fault.ts";
import {
  decodeClientHello,
  decodeClientProof,
  decodeServerDone,
  decodeServerHello,
  encodeClientHello,
  encodeClientProof,
  encodeServerDone,
  encodeServerHello,
  FRAME_BODY_BYTES_MAX,
  withSignature,
} from "../../identity/registry_auth/frames.ts";
import { bytesEqual, concatBytes } from "../../src/base/bytes.ts";
import { cases } from "../support/cases.ts";
import { clientEnd, type End, Realm, serverEnd, work } from "../support/auth_realm.ts";

const realm = new Realm();
const server = realm.enrol("node", 1);
const client = realm.enrol("gateway", 2);
const newEnds = () => ({
  near: clientEnd(realm, client, server),
  far: serverEnd(realm, server),
});

/** Each decoder with the encoder that must return the same bytes. */
const codecs: ((frame: Uint8Array) => Uint8Array)[] = [
  (frame) => encodeClientHello(decodeClientHello(frame)),
  (frame) => signed(encodeServerHello, decodeServerHello(frame)),
  (frame) => signed(encodeClientProof, decodeClientProof(frame)),
  (frame) => signed(encodeServerDone, decodeServerDone(frame)),
];

function signed<T extends { signature: Uint8Array }>(
  encode: (value: T) => Uint8Array,
  value: T,
): Uint8Array {
  return withSignature(encode(value), value.signature);
}

/** The four frames of an honest handshake. */
const honest: Uint8Array[] = (() => {
  const { near, far } = newEnds();
  const frames: Uint8Array[] = [];
  for (let [from, to] = [near, far];; [from, to] = [to, from]) {
    const sent = work(from);
    if (sent.length === 0) return frames;
    for (const frame of sent) {
      frames.push(frame);
      to.handshake.receive(frame, 0);
    }
  }
})();

/** A change of some bytes: set, removed, inserted, truncated, duplicated. */
interface Change {
  readonly at: number;
  readonly kind: "set" | "remove" | "insert" | "cut" | "double";
  readonly byte: number;
}
const changes = fc.array(
  fc.record({
    at: fc.nat(1_000),
    kind: fc.constantFrom("set" as const, "remove", "insert", "cut", "double"),
    byte: fc.nat(255),
  }),
  { minLength: 1, maxLength: 4 },
);

function changed(frame: Uint8Array, by: readonly Change[], relabel: boolean): Uint8Array {
  let bytes = frame;
  for (const { at, kind, byte } of by) {
    const place = at % (bytes.length + 1);
    const [head, tail] = [bytes.subarray(0, place), bytes.subarray(place)];
    if (kind === "set") bytes = concatBytes([head, Uint8Array.of(byte), tail.subarray(1)]);
    else if (kind === "remove") bytes = concatBytes([head, tail.subarray(1)]);
    else if (kind === "insert") bytes = concatBytes([head, Uint8Array.of(byte), tail]);
    else if (kind === "cut") bytes = head.slice();
    else bytes = concatBytes([bytes, tail]);
  }
  if (relabel && bytes.length >= 4) {
    bytes = bytes.slice();
    new DataView(bytes.buffer).setUint32(0, frame[0]! * 2 ** 24 + bytes.length - 4);
  }
  return bytes;
}

test("decoders give a value that encodes to the same bytes, or a fault", () => {
  const check = (bytes: Uint8Array) => {
    for (const [index, codec] of codecs.entries()) {
      try {
        const again = codec(bytes);
        // Type and length are in the header, which the frame reader checks.
        assert.ok(bytesEqual(again.subarray(4), bytes.subarray(4)), `M${index + 1}`);
      } catch (error) {
        assert.instance(error, HandshakeError);
      }
    }
  };
  fc.assert(fc.property(fc.uint8Array({ minLength: 4, maxLength: 600 }), check), {
    numRuns: cases(1_000),
  });
  const mutated = fc.record({ which: fc.nat(3), changes });
  fc.assert(
    fc.property(mutated, ({ which, changes }) => {
      const bytes = changed(honest[which]!, changes, true);
      if (bytes.length >= 4) check(bytes);
    }),
    { numRuns: cases(2_000) },
  );
});

/** Returns an end that has progressed as far as the honest frame `count` takes it. */
function endAt(count: number): End {
  const { near, far } = newEnds();
  for (let index = 0; index < count; index++) {
    const [from, to] = index % 2 === 0 ? [near, far] : [far, near];
    work(from);
    to.handshake.receive(honest[index]!, 0);
  }
  const end = count % 2 === 0 ? far : near;
  work(end);
  return end;
}

test("handshake: arbitrary bytes in arbitrary pieces complete it at neither end and no stage", () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 });
  const property = fc.property(fc.nat(3), fc.boolean(), pieces, (stage, labelled, chunks) => {
    const end = endAt(stage);
    const limit = FRAME_BODY_BYTES_MAX[(stage + 1) as 1 | 2 | 3 | 4] + 4;
    if (labelled) end.handshake.receive(honest[stage]!.slice(0, 4), 0);
    for (const chunk of chunks) {
      end.handshake.receive(chunk, 0);
      work(end);
      assert.ok(end.handshake.heldBytes <= limit);
    }
    assert.is.not(end.handshake.step.kind, "done");
  });
  fc.assert(property, { numRuns: cases(1_000) });
});

test("a handshake of which any frame was changed on its way is not done by who got it", () => {
  const script = fc.record({
    which: fc.nat(3),
    changes,
    relabel: fc.boolean(),
    splits: fc.array(fc.nat(400), { maxLength: 3 }),
  });
  const property = fc.property(script, ({ which, changes, relabel, splits }) => {
    const { near, far } = newEnds();
    let intact = true;
    let count = 0;
    for (let [from, to] = [near, far];; [from, to] = [to, from]) {
      const sent = work(from);
      if (sent.length === 0) break;
      for (const frame of sent) {
        const bytes = count++ === which ? changed(frame, changes, relabel) : frame;
        intact &&= bytesEqual(bytes, frame);
        let at = 0;
        for (
          const end of [...splits.map((split) => split % (bytes.length + 1)).sort((a, b) => a - b)]
        ) {
          to.handshake.receive(bytes.subarray(at, end), 0);
          at = end;
        }
        to.handshake.receive(bytes.subarray(at), 0);
      }
    }
    work(near);
    work(far);
    const receiver = which % 2 === 0 ? far : near;
    assert.is(receiver.handshake.step.kind === "done", intact, `M${which + 1}`);
    for (const end of [near, far]) end.handshake.tick(3_000);
    assert.ok(near.handshake.over && far.handshake.over, "the time ends what waits");
  });
  fc.assert(property, { numRuns: cases(1_000) });
});

test("frames of other handshakes, in any order, do not make one", () => {
  const other = (() => {
    const near = clientEnd(realm, client, server, { nonce: new Uint8Array(32).fill(3) });
    const far = serverEnd(realm, server, { nonce: new Uint8Array(32).fill(4) });
    const frames: Uint8Array[] = [];
    for (let [from, to] = [near, far];; [from, to] = [to, from]) {
      const sent = work(from);
      if (sent.length === 0) return frames;
      for (const frame of sent) {
        frames.push(frame);
        to.handshake.receive(frame, 0);
      }
    }
  })();
  const property = fc.property(fc.array(fc.nat(3), { maxLength: 6 }), (order) => {
    for (const end of [clientEnd(realm, client, server), serverEnd(realm, server)]) {
      work(end);
      for (const index of order) {
        end.handshake.receive(other[index]!, 0);
        work(end);
      }
      assert.is.not(end.handshake.step.kind, "done");
    }
  });
  fc.assert(property, { numRuns: cases(500) });
});

test.run();
