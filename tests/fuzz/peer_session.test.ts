/**
 * Hostile bytes from a member, on every stream of a session between nodes: the node ends that
 * session or ignores them, and keeps its other sessions. No resources stay allocated.
 */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../src/base/errors.ts";
import { FrameAssembler } from "../../src/wire/frame_assembler.ts";
import { decodePeerControl } from "../../src/wire/peer_control.ts";
import type { Stream, StreamKind } from "../../transport/transport.ts";
import { cases } from "../support/cases.ts";
import { PeerNodes, statusOf } from "../support/peer_nodes.ts";
import { RawNode } from "../support/raw_node.ts";

/** Bytes that are junk, or begin like a frame of a plausible size. */
const bytes = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 200 }),
  fc.tuple(fc.integer({ min: 0, max: 40 }), fc.uint8Array({ maxLength: 320 })).map(
    ([words, body]) => {
      const frame = new Uint8Array(8 + body.length);
      new DataView(frame.buffer).setUint32(4, words, true);
      frame.set(body, 8);
      return frame;
    },
  ),
);
const kinds = fc.constantFrom<StreamKind>("control", "peer", "bulk", "request");

test("a session takes any bytes on any stream, and the node goes on with the others", async () => {
  const nodes = new PeerNodes(3);
  const two = nodes.start(2);
  const three = nodes.start(3);
  await nodes.world.pass(1_000);
  const writes = fc.array(fc.tuple(kinds, bytes), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(writes, async (attack) => {
      const raw = await RawNode.dial(nodes, 2, nodes.realm.enrol("node", 1));
      const streams = new Map<StreamKind, Stream>([["control", raw.control]]);
      streams.set("peer", await raw.join(nodes, 1));
      for (const [kind, junk] of attack) {
        try {
          let stream = streams.get(kind);
          if (stream === undefined) {
            stream = await nodes.world.wait(raw.session.open(kind));
            streams.set(kind, stream);
          }
          stream.write(junk).catch(() => {});
        } catch (error) {
          // The node has ended the session, or refused the stream.
          assert.instance(error, RegistryError);
        }
        await nodes.world.pass(1);
      }
      raw.session.abort("The attack is over");
      await nodes.world.pass(10);
      assert.is(statusOf(two, 1).isConnected, false);
      assert.is(statusOf(two, 3).isConnected, true);
      assert.is(two.listener.stats.sessions, 0);
      assert.is(two.listener.stats.streams, 0);
    }),
    { seed: 5, numRuns: cases(150) },
  );
  assert.is(statusOf(three, 2).counts.sessions, 1);
  assert.equal(two.input.images, []);
  assert.ok(two.input.take().every((event) => /^[13] (connected|lost)$|^1: \d+$/.test(event)));
});

test("decodePeerControl: any frame gives a message, nothing, or a coded error", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 256 }), (body) => {
      const frame = new Uint8Array(8 + 8 * Math.ceil(body.length / 8));
      new DataView(frame.buffer).setUint32(4, (frame.length - 8) / 8, true);
      frame.set(body, 8);
      const assembler = new FrameAssembler({ frameBytesMax: 4_096, segmentsMax: 1 });
      try {
        assembler.push(frame, (view, all, start, end) => {
          decodePeerControl(view, all, start, end);
        });
      } catch (error) {
        assert.instance(error, RegistryError);
      }
    }),
    { seed: 6, numRuns: cases(2_000) },
  );
});

test.run();
