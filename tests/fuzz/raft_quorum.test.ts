/**
 * Quorums compared with a simple second implementation that tries every index and every combination
 * of the missing votes.
 */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  allVoters,
  committedIndex,
  majorityCommitted,
  type VoteResult,
  voteResult,
  type Voters,
} from "../../src/raft/quorum.ts";

const ids = fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 7 })
  .map((list) => list.sort((left, right) => left - right));
const configs = fc.record({ voters: ids, votersOutgoing: ids });
const indexes = fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 10, maxLength: 10 });
const votes = fc.array(fc.constantFrom(true, false, undefined), { minLength: 10, maxLength: 10 });

/**
 * Reports whether more than half of `voters` satisfy `holds`; an empty set agrees to everything.
 */
function most(voters: readonly number[], holds: (id: number) => boolean): boolean {
  return voters.length === 0 || voters.filter(holds).length * 2 > voters.length;
}

function both({ voters, votersOutgoing }: Voters, holds: (id: number) => boolean): boolean {
  return most(voters, holds) && most(votersOutgoing, holds);
}

test("committedIndex is the highest index that most of each half acknowledged", () => {
  fc.assert(
    fc.property(configs, indexes, (config, acked) => {
      let dumb = 0;
      for (let index = 1; index <= 6; index++) {
        if (both(config, (id) => acked[id]! >= index)) dumb = index;
      }
      const found = committedIndex(config, (id) => acked[id]!);
      if (allVoters(config).length === 0) assert.is(found, Number.POSITIVE_INFINITY);
      else assert.is(found, dumb);
    }),
    { numRuns: 2_000 },
  );
});

test("committedIndex does not depend on the order of the halves, nor on a half twice", () => {
  fc.assert(
    fc.property(configs, indexes, (config, acked) => {
      const ackedOf = (id: number) => acked[id]!;
      const { voters, votersOutgoing } = config;
      const swapped = { voters: votersOutgoing, votersOutgoing: voters };
      assert.is(committedIndex(config, ackedOf), committedIndex(swapped, ackedOf));
      const twice = { voters, votersOutgoing: voters };
      assert.is(committedIndex(twice, ackedOf), majorityCommitted(voters, ackedOf));
    }),
    { numRuns: 1_000 },
  );
});

test("voteResult: won if no missing vote can change it, lost if none can win it, else pending", () => {
  const dumb = (config: Voters, cast: readonly (boolean | undefined)[]): VoteResult => {
    const missing = allVoters(config).filter((id) => cast[id] === undefined);
    const wins = new Set<boolean>();
    for (let mask = 0; mask < 2 ** missing.length; mask++) {
      const filled = [...cast];
      missing.forEach((id, at) => filled[id] = (mask >> at & 1) === 1);
      wins.add(both(config, (id) => filled[id] === true));
    }
    if (wins.size === 2) return "pending";
    return wins.has(true) ? "won" : "lost";
  };
  fc.assert(
    fc.property(configs, votes, (config, cast) => {
      assert.is(voteResult(config, (id) => cast[id]), dumb(config, cast));
    }),
    { numRuns: 1_000 },
  );
});

test("two quorums of one configuration always share a voter of it", () => {
  fc.assert(
    fc.property(configs, votes, votes, (config, left, right) => {
      if (allVoters(config).length === 0) return;
      const wins = (cast: readonly (boolean | undefined)[]) =>
        voteResult(config, (id) => cast[id]) === "won";
      if (!wins(left) || !wins(right)) return;
      assert.ok(allVoters(config).some((id) => left[id] === true && right[id] === true));
    }),
    { numRuns: 2_000 },
  );
});

test.run();
