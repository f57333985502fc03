/** Frames between nodes: the groups that they name, and the bytes of the entries in them. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { groupId } from "../../../src/base/ids.ts";
import { WAL_ENTRY_BYTES_MAX } from "../../../src/base/limits.ts";
import type { Beat, GroupTerm } from "../../../src/liveness/mod.ts";
import { type Entry, newMessage } from "../../../src/raft/mod.ts";
import { decodePeerFrame, encodePeerFrame, type PeerFrame } from "../../../src/wire/peer_frame.ts";

/** Returns a frame whose beat names these groups. */
function frameOf(
  lists: { readonly released?: GroupTerm[]; readonly asked?: GroupTerm[] },
): PeerFrame {
  const { released = [], asked = [] } = lists;
  const counts = { echoRun: 1, echo: 1, supports: 0, granted: 0, refused: 0 };
  const beat: Beat = {
    ...counts,
    ...{ run: 3, sequence: 1, epoch: 3, promiseCount: 0, promiseHash: 0, released, asked },
  };
  return { run: 3, supports: 0, beat, messages: [] };
}

test("decodePeerFrame returns the beat that was encoded", () => {
  const frame = frameOf({
    released: [{ group: 0, term: 4 }],
    asked: [{ group: 8_193, term: 5 }, { group: 1, term: 1 }],
  });
  assert.equal(decodePeerFrame(encodePeerFrame(frame)).beat, frame.beat);
});

test("decodePeerFrame refuses a beat that names a group beyond the last possible one", () => {
  // A node answers what it is asked about, and keeps the answer until it is acknowledged.
  const beyond = [{ group: 8_194, term: 1 }];
  for (const lists of [{ asked: beyond }, { released: beyond }]) {
    const bytes = encodePeerFrame(frameOf(lists));
    assert.throws(
      () => decodePeerFrame(bytes),
      (error: unknown) => error instanceof RegistryError && error.code === "malformed",
    );
  }
});

/** Returns a frame with an append of entries of these sizes, and the reply to another one. */
function appendOf(sizes: readonly number[]): PeerFrame {
  const append = newMessage("append", 2);
  append.from = 1;
  append.term = 3;
  append.entries = sizes.map((size, at): Entry => {
    return { term: 3, index: at + 1, kind: "normal", data: new Uint8Array(size).fill(at + 1) };
  });
  const reply = newMessage("append_reply", 4);
  reply.from = 5;
  reply.index = 7;
  const messages = [append, reply].map((message, at) => {
    return { groupId: groupId(at + 1), fortifies: at === 1, message };
  });
  return { run: 3, supports: 9, beat: undefined, messages };
}

test("decodePeerFrame keeps nothing of the bytes of a frame", () => {
  const frame = appendOf([200, 0, 31]);
  const bytes = encodePeerFrame(frame);
  const { run, supports, messages } = decodePeerFrame(bytes);
  bytes.fill(0xff);
  assert.equal({ run, supports, messages }, {
    run: frame.run,
    supports: frame.supports,
    messages: frame.messages,
  });
});

test("decodePeerFrame refuses an entry that no log takes", () => {
  const bytes = encodePeerFrame(appendOf([WAL_ENTRY_BYTES_MAX + 1]));
  assert.throws(
    () => decodePeerFrame(bytes),
    (error: unknown) => error instanceof RegistryError && error.code === "malformed",
  );
});

test.run();
