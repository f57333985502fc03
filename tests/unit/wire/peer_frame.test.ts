/** Frames between nodes name groups that a cluster can have, in messages and in beats. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import type { Beat, GroupTerm } from "../../../src/liveness/mod.ts";
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
    asked: [{ group: 8_192, term: 5 }, { group: 1, term: 1 }],
  });
  assert.equal(decodePeerFrame(encodePeerFrame(frame)).beat, frame.beat);
});

test("decodePeerFrame refuses a beat that names a group beyond the last possible one", () => {
  // A node answers what it is asked about, and keeps the answer until it is acknowledged.
  const beyond = [{ group: 8_193, term: 1 }];
  for (const lists of [{ asked: beyond }, { released: beyond }]) {
    const bytes = encodePeerFrame(frameOf(lists));
    assert.throws(
      () => decodePeerFrame(bytes),
      (error: unknown) => error instanceof RegistryError && error.code === "malformed",
    );
  }
});

test.run();
