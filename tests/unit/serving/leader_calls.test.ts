/** LeaderCalls: a step reaches the leader wherever it is, within its deadline. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { NODE_CALL_MS_MAX } from "../../../src/base/limits.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { type GroupPlace, LeaderCalls } from "../../../src/serving/leader_calls.ts";
import { NO_NODE_CALLS } from "../../../src/serving/node_calls.ts";
import { VirtualScheduler } from "../../support/virtual_scheduler.ts";

const notLeader = (leaderHint?: number) =>
  new RegistryError("not_leader", "another leads", leaderHint === undefined ? {} : { leaderHint });
const led: GroupPlace = { isHere: true, group: { notLeading: () => undefined } };
const ledBy = (node?: number): GroupPlace => ({
  isHere: true,
  group: { notLeading: () => notLeader(node) },
});

/** Takes a step; `answers` gives for each node asked its refusal, or nothing; 0 is this node. */
async function take(
  place: () => GroupPlace,
  answer: (node: number, times: number) => RegistryError | undefined,
  deadlineMs = 5_000,
) {
  const scheduler = new VirtualScheduler();
  const leaders = new LeaderCalls({
    nodeId: 1,
    calls: NO_NODE_CALLS,
    clock: scheduler,
    scheduler,
    entropy: new SeededEntropy(1),
  });
  const asked: number[] = [];
  const timeouts: number[] = [];
  const ask = (node: number) => {
    asked.push(node);
    const refusal = answer(node, asked.length);
    return refusal === undefined ? Promise.resolve("taken") : Promise.reject(refusal);
  };
  let result: string | undefined;
  void leaders.take({
    what: "the domain a.example",
    place,
    here: () => ask(0),
    there: (_calls, node, timeoutMs) => {
      timeouts.push(timeoutMs);
      return ask(node);
    },
    deadlineMs,
  }).then((taken) => result = taken, (error: RegistryError) => result = error.code);
  for (let tick = 0; result === undefined && tick < 1_000; tick++) await scheduler.advance(10);
  return { result, asked, timeouts, tookMs: scheduler.nowMs() };
}

test("LeaderCalls: a step is taken here where this node leads, else by the leader known here", async () => {
  const here = await take(() => led, () => undefined);
  assert.equal([here.result, here.asked], ["taken", [0]]);
  const there = await take(() => ledBy(3), () => undefined);
  assert.equal([there.result, there.asked], ["taken", [3]]);
  assert.equal(there.timeouts, [NODE_CALL_MS_MAX]);
  const elsewhere: GroupPlace = { isHere: false, nodes: [4, 5], leader: 0 };
  assert.equal((await take(() => elsewhere, () => undefined)).asked, [4]);
});

test("LeaderCalls: a hint is followed at once, also back to this node", async () => {
  const hints = new Map([[3, 2], [2, 1]]);
  let isLed = false;
  const { result, asked } = await take(
    () => isLed ? led : ledBy(3),
    (node) => {
      isLed = node === 2;
      const hint = hints.get(node);
      return hint === undefined ? undefined : notLeader(hint);
    },
  );
  assert.equal([result, asked], ["taken", [3, 2, 0]]);
});
test("LeaderCalls: what was lost, or has no leader yet, is asked for again after a pause", async () => {
  const lost = await take(
    () => ledBy(3),
    (_node, times) => times < 4 ? new RegistryError("connection_lost", "gone") : undefined,
  );
  assert.equal([lost.result, lost.asked], ["taken", [3, 3, 3, 3]]);
  let looks = 0;
  const elected = await take(() => ++looks < 5 ? ledBy() : ledBy(2), () => undefined);
  assert.equal([elected.result, elected.asked], ["taken", [2]]);
  const sender = new RegistryError("permission_denied", "not placed", { field: "node" });
  const placed = await take(() => ledBy(3), (_node, times) => times < 3 ? sender : undefined);
  assert.is(placed.result, "taken");
});

test("LeaderCalls: nodes that name each other, or nobody, end with the deadline and no hint", async () => {
  for (const answer of [(node: number) => notLeader(5 - node), () => notLeader()]) {
    const { result, asked, tookMs } = await take(() => ledBy(3), answer, 1_000);
    assert.is(result, "deadline_exceeded");
    assert.ok(asked.length > 3 && asked.length < 60, `${asked.length} requests`);
    assert.ok(tookMs <= 1_000, `${tookMs} ms`);
  }
});

test("LeaderCalls: a refusal of the leader is the caller's", async () => {
  for (
    const code of ["domain_taken", "overloaded", "unauthenticated", "permission_denied"] as const
  ) {
    const { result, asked } = await take(() => ledBy(3), () => new RegistryError(code, "no"));
    assert.equal([result, asked], [code, [3]]);
  }
});

test.run();
