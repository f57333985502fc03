/**
 * Measures the memory of sessions at a real server: `deno task soak session_memory`. 5,000 sessions
 * that are opened and dropped leave nothing behind; 2,000 idle ones with two streams each stay below
 * a bound.
 */
import * as assert from "uvu/assert";
import { assertEcho, type EchoBench, withServer } from "../cluster/transport/echo_bench.ts";
import { until } from "../support/until.ts";
import type { SoakResult } from "./soak.ts";

/** Sessions of a churn; what the pools hold once they are full grows with it. */
const CHURN_SESSIONS = 500;
/** Rounds of one churn that fill pools, and of two during which memory must not grow any more. */
const WARM_UP_ROUNDS = 4;
const STEADY_ROUNDS = 3;
/**
 * A dropped connection keeps its memory for three probe timeouts (RFC 9000 §10.2), which grow with
 * the load of the machine, and the pools with the connections that are closing at once. Once they
 * are full, a leak of 4 KB a session shows as more than this in every round, and one of 7 KB in the
 * sum.
 */
const ROUND_KIB_MAX = 2_000;
const ROUNDS_KIB_MAX = 20 * 1_024;
/** In the heap, which has no such pools, 200 bytes per session are 0.6 MB. */
const HEAP_KIB_MAX = 600;

const IDLE_SESSIONS = 2_000;
/** Deno's bare connection without a stream takes 33 to 41, each stream some 13 more. */
const IDLE_KIB_MAX = 90;

/** Runs both measurements. */
export async function run(): Promise<SoakResult> {
  const dropped = await measureDropped();
  const idleKiB = await measureIdle();
  const { otherKiB, heapKiB } = dropped;
  const steadyKiB = otherKiB.slice(WARM_UP_ROUNDS - 1);
  const grownKiB = steadyKiB.slice(1).map((kiB, round) => kiB - steadyKiB[round]!);
  const holds = steadyKiB.at(-1)! - steadyKiB[0]! <= ROUNDS_KIB_MAX &&
    Math.min(...grownKiB) < ROUND_KIB_MAX &&
    heapKiB.at(-1)! - heapKiB[WARM_UP_ROUNDS - 1]! < HEAP_KIB_MAX &&
    idleKiB < IDLE_KIB_MAX;
  return { figures: { ...dropped, idleKiB: Math.round(idleKiB * 10) / 10 }, holds };
}

/** Returns the memory after each round of dropped sessions: the heap, and what is outside of it. */
async function measureDropped() {
  const heapKiB: number[] = [];
  const otherKiB: number[] = [];
  await withServer({}, async (bench) => {
    let after = await bench.server.ask("stats");
    for (let round = 0; round < WARM_UP_ROUNDS + STEADY_ROUNDS; round++) {
      for (let churns = round < WARM_UP_ROUNDS ? 1 : 2; churns > 0; churns--) {
        await churn(bench, CHURN_SESSIONS, 32);
        await until("all are over", async () => {
          after = await bench.server.ask("stats");
          return after.sessions === 0;
        });
      }
      heapKiB.push(after.heapUsedKiB);
      // V8 reserves heap memory in steps of some 20 MB, whether or not it is used.
      otherKiB.push(after.residentKiB - after.heapTotalKiB);
    }
    assert.is(after.accepted, (WARM_UP_ROUNDS + 2 * STEADY_ROUNDS) * CHURN_SESSIONS);
    assert.equal([after.streams, after.handshakes, after.unhandled], [0, 0, 0]);
    await assertEcho(await bench.dial());
  });
  return { heapKiB, otherKiB };
}

/** Returns the memory that an idle session with two streams takes of the server, KiB. */
async function measureIdle(): Promise<number> {
  let eachKiB = 0;
  await withServer({}, async (bench) => {
    await churn(bench, 200, 8);
    const before = await bench.server.ask("stats");
    const held: unknown[] = [];
    const lane = async (count: number) => {
      for (let index = 0; index < count; index++) {
        const session = await bench.dial();
        held.push(session, await session.open("control"), await session.open("request"));
      }
    };
    await Promise.all(Array.from({ length: 20 }, () => lane(IDLE_SESSIONS / 20)));
    await until("all are counted", async () => {
      const { sessions, streams } = await bench.server.ask("stats");
      return sessions >= IDLE_SESSIONS && streams >= 2 * IDLE_SESSIONS;
    });
    const after = await bench.server.ask("stats");
    eachKiB = (after.residentKiB - before.residentKiB) / IDLE_SESSIONS;
    assert.is(held.length, 3 * IDLE_SESSIONS);
  });
  return eachKiB;
}

/** Opens and drops `count` sessions, `width` concurrently, each with an echo. */
async function churn(bench: EchoBench, count: number, width: number): Promise<void> {
  let left = count;
  const lane = async () => {
    while (left-- > 0) {
      const session = await bench.dial();
      await assertEcho(session);
      session.abort("dropped");
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
}
