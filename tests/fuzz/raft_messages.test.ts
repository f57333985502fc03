/**
 * Hostile messages: a replica answers any message of a member or a non-member with a code and
 * continues; if the code is a refusal, its state is unchanged. Bytes give a message or a coded
 * error.
 */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../src/base/errors.ts";
import { decodeMessage, type Entry, type Message } from "../../src/raft/mod.ts";
import { cases } from "../support/cases.ts";
import { RaftCluster } from "../support/raft_cluster.ts";

const number = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 8 }) },
  fc.constantFrom(-1, 0.5, Number.NaN, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY),
);
const data = fc.uint8Array({ maxLength: 8 });
const entry: fc.Arbitrary<Entry> = fc.record({
  term: number,
  index: number,
  kind: fc.constantFrom("normal" as const, "conf_change" as const, "conf_change_v1" as const),
  data,
});
const replicas = fc.array(number, { maxLength: 4 });
const snapshot = fc.record({
  index: number,
  term: number,
  configuration: fc.record({
    voters: replicas,
    votersOutgoing: replicas,
    learners: replicas,
    learnersNext: replicas,
    autoLeave: fc.boolean(),
  }),
  data,
});
const message: fc.Arbitrary<Message> = fc.record({
  type: fc.constantFrom(
    "propose" as const,
    "append" as const,
    "append_reply" as const,
    "vote" as const,
    "vote_reply" as const,
    "pre_vote" as const,
    "pre_vote_reply" as const,
    "heartbeat" as const,
    "heartbeat_reply" as const,
    "snapshot" as const,
    "timeout_now" as const,
    "transfer_leader" as const,
    "read_index" as const,
    "read_index_reply" as const,
    "storage_append" as const,
    "storage_append_reply" as const,
    "storage_apply" as const,
    "storage_apply_reply" as const,
  ),
  to: fc.constantFrom(1, 1, 1, 2),
  from: fc.constantFrom(1, 2, 2, 3, 3, 9, 0, -1, -2),
  term: number,
  logTerm: number,
  index: number,
  commit: number,
  vote: number,
  reject: fc.boolean(),
  rejectHint: number,
  entries: fc.array(entry, { maxLength: 3 }),
  snapshot: fc.option(snapshot, { nil: undefined }),
  responses: fc.constant([]),
  read: fc.option(fc.record({ origin: number, sequence: number }), { nil: undefined }),
  transfer: fc.boolean(),
  transferee: number,
  // Most messages have none; with one, all but refused pre-votes are malformed.
  boundTicks: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: number }),
});

const REFUSALS = new Set([
  "local_message",
  "misdirected",
  "unknown_peer",
  "malformed",
  "term_too_far",
  "impossible_index",
  "leader_alive",
  "overloaded",
]);

test("step: any message is answered by a code, and a refused one changes nothing", () => {
  const roles = fc.constantFrom("follower", "candidate", "leader");
  fc.assert(
    fc.property(roles, fc.array(message, { maxLength: 6 }), (role, messages) => {
      const cluster = new RaftCluster({ options: { checkQuorum: true, preVote: true } });
      if (role === "leader") cluster.elect(1);
      else cluster.elect(2);
      if (role === "candidate") cluster.node(1).campaign();
      cluster.work(1);
      const { node } = cluster.get(1);
      for (const hostile of messages) {
        // A member of this term may lead or follow; this test does not cover violations of the
        // protocol itself (two leaders in one term, a log that contradicts committed entries).
        if (isByzantine(hostile, node.status())) continue;
        const before = node.status();
        const hadReady = node.hasReady();
        const result = node.step(hostile);
        assert.type(result, "string");
        if (!REFUSALS.has(result)) continue;
        assert.equal(node.status(), before, result);
        assert.is(node.hasReady(), hadReady, result);
      }
      while (cluster.work(1) !== undefined);
    }),
    { numRuns: cases(3_000) },
  );
});

/**
 * Reports whether only a lying member could send the message, beyond the faults that Raft
 * tolerates.
 */
function isByzantine(
  { entries, type }: Message,
  { configuration }: { configuration: unknown },
): boolean {
  assert.ok(configuration);
  // A change that no leader ever checked may not be applicable.
  return type === "append" && entries.some(({ kind }) => kind !== "normal");
}

test("decodeMessage: any bytes give a message or a coded error", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      try {
        decodeMessage(bytes);
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error;
      }
    }),
    { numRuns: cases(2_000) },
  );
});

test.run();
