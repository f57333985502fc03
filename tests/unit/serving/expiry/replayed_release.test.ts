/** The records that a release lets go, where its entry is applied at once and where it is replayed. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EXPIRY_RELEASE_MS, PERMIT_DRAW_MS } from "../../../../src/base/limits.ts";
import { SILENT_LOGGER } from "../../../../src/base/logger.ts";
import { SeededEntropy } from "../../../../src/base/prng.ts";
import { ExpiryGuard, type ExpiryGuardParts } from "../../../../src/serving/expiry/expiry_guard.ts";
import type { Census } from "../../../../src/store/overdue.ts";
import { ManualTime } from "../../../support/manual_time.ts";

/** A guard of a partition with records that have been stale for so long, and the permits that it asks for. */
function make(staleMs: readonly number[], current: () => Promise<void>) {
  const time = new ManualTime(0);
  time.advance(10 * EXPIRY_RELEASE_MS);
  const released: number[] = [];
  const store = {
    slotCount: 1,
    guarded: {
      hurryStale: () => {},
      census: (_nowMs: number, census: Census) => {
        for (const ms of staleMs) {
          const record = { region: 1, isStale: true, staleMs: ms };
          census.addStale(record);
          census.addOverdue(record);
        }
      },
    },
  };
  const group = { isLeading: true, timeMs: () => time.nowMs() };
  const draw: ExpiryGuardParts["draw"] = ({ items }) => {
    released.push(items[0]!.released);
    return Promise.resolve(
      items.map(() => ({ first: 0, count: 0, isMass: true, isHeld: false, isReleased: false })),
    );
  };
  const parts = {
    table: { here: () => [{ group, store }], partitioner: { partitionCount: 1 } },
    availableTime: { nowMs: () => time.nowMs(), unsettledMs: () => 0 },
    ...{ clock: time, scheduler: time, entropy: new SeededEntropy(1), logger: SILENT_LOGGER },
    confirmMs: 3_600_000,
    current,
    draw,
    isGuarding: () => true,
    regionName: () => "eu",
  };
  const guard = new ExpiryGuard(parts as unknown as ExpiryGuardParts);
  guard.begin();
  const settle = () => new Promise<void>((resolve) => setTimeout(resolve, 0));
  return {
    guard,
    settle,
    pass: async (ms: number) => {
      time.advance(ms);
      await settle();
    },
    /** Returns how many records are released in the next round. */
    round: async () => {
      guard.ask(true);
      time.advance(PERMIT_DRAW_MS);
      await settle();
      return released.at(-1);
    },
  };
}

const STALE_MS = [5_000, 30_000, EXPIRY_RELEASE_MS + 2 * PERMIT_DRAW_MS];

test("a release that is applied at once is of all records that are stale by then", async () => {
  const { guard, settle, round } = make(STALE_MS, () => Promise.resolve());
  await settle();
  assert.is(await round(), 0, "none before");
  guard.released();
  assert.is(await round(), 3);
});

test("a release that may be replayed is of those that were stale before any that is in force", async () => {
  const { guard, settle, round } = make(STALE_MS, () => Promise.reject(new Error("no leader")));
  await settle();
  guard.released();
  assert.is(await round(), 1);
});

test("a node that has caught up with group 0 replays no more", async () => {
  let isReachable = false;
  const current = () => isReachable ? Promise.resolve() : Promise.reject(new Error("no leader"));
  const { guard, settle, pass, round } = make(STALE_MS, current);
  await settle();
  isReachable = true;
  await pass(PERMIT_DRAW_MS);
  guard.released();
  assert.is(await round(), 3);
});

test.run();
