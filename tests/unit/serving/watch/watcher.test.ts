/** A watch of a partition whose replica has another state: it begins anew, unless it waits for later changes. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  NEW_CURSOR,
  Subscription,
  Watcher,
  type WatcherCursor,
} from "../../../../src/serving/watch/watcher.ts";
import { StateScan } from "../../../../src/serving/watch/state_scan.ts";

const PARTITION = 5;
const RESET: WatcherCursor = { ...NEW_CURSOR, next: "reset" };
const filter = {} as Subscription["filter"];

/** Returns the cursor of a watch after the replica's state was replaced by that of index 7. */
function afterReset(cursor?: Partial<WatcherCursor>): WatcherCursor {
  const subscription = new Subscription("all", {
    ...{ filter, partitions: [PARTITION], withBefore: false },
  });
  const watcher = new Watcher({ subscription } as ConstructorParameters<typeof Watcher>[0]);
  if (cursor !== undefined) watcher.behind = new Map([[PARTITION, { ...NEW_CURSOR, ...cursor }]]);
  watcher.reset(PARTITION, 7);
  return watcher.behind!.get(PARTITION)!;
}

test("watcher: one that had received everything, or less than the new state, begins anew", () => {
  assert.equal(afterReset(), RESET);
  assert.equal(afterReset({ index: 7, ordinal: 1 }), RESET);
  assert.equal(afterReset({ index: 3, next: "state", after: new Uint8Array(16) }), RESET);
});

test("watcher: one that waits for later changes, or to go on with a later state, waits on", () => {
  const later = { index: 8, ordinal: 2 };
  assert.equal(afterReset(later), { ...NEW_CURSOR, ...later });
  const state = { ...later, next: "state" as const, after: new Uint8Array(16) };
  assert.equal(afterReset(state), { ...NEW_CURSOR, ...state });
});

test("watcher: a state that is being sent begins anew, whatever its index", () => {
  const scan = new StateScan(filter, [], undefined);
  assert.equal(afterReset({ index: 8, next: "state", scan }), RESET);
});

test.run();
