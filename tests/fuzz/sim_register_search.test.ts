/**
 * The linearizability checker compared with a second one that is too simple to be wrong: it tries
 * every order of the operations, and every subset of those of unknown outcome. Histories are small,
 * and of all kinds: correct ones with late, missing and swapped replies, and arbitrary ones.
 */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { findNotLinearizable, type RegisterOperation } from "../sim/checkers/register_search.ts";

/**
 * Reports whether any order explains it; `open` may be ordered in any way that their times allow.
 */
function explains(open: readonly RegisterOperation[], value: number | undefined): boolean {
  // Operations without a reply may never take effect.
  if (open.every(({ answeredAt }) => answeredAt === Infinity)) return true;
  const firstAnswer = Math.min(...open.map(({ answeredAt }) => answeredAt));
  return open.some((operation, at) => {
    if (operation.calledAt > firstAnswer) return false;
    const { kind, answeredAt } = operation;
    if (kind === "read" && answeredAt !== Infinity && operation.value !== value) return false;
    const rest = open.toSpliced(at, 1);
    return explains(rest, kind === "read" ? value : operation.value);
  });
}

/** Draws the times so that no two events coincide. */
function historyOf(
  steps: readonly { kind: number; length: number; sees: number; isLost: boolean; key: number }[],
): RegisterOperation[] {
  return steps.map(({ kind, length, sees, isLost, key }, at) => {
    const calledAt = at * 2;
    return {
      key: `k${key}`,
      kind: kind === 0 ? "remove" : kind < 4 ? "write" : "read",
      value: kind === 0 ? undefined : kind < 4 ? at : sees === -1 ? undefined : sees,
      calledAt,
      answeredAt: isLost ? Infinity : calledAt + 1 + 2 * length + at / 1_000,
    };
  });
}

const step = (keys: number) =>
  fc.record({
    kind: fc.integer({ min: 0, max: 8 }),
    length: fc.integer({ min: 0, max: 6 }),
    sees: fc.integer({ min: -1, max: 6 }),
    isLost: fc.boolean(),
    key: fc.integer({ min: 0, max: keys - 1 }),
  });

/** Counts of each verdict; both must occur often. */
const verdicts = { yes: 0, no: 0 };

function agree(history: readonly RegisterOperation[]): void {
  const keys = new Set(history.map(({ key }) => key));
  const expected = [...keys].every((key) => {
    return explains(history.filter((operation) => operation.key === key), undefined);
  });
  verdicts[expected ? "yes" : "no"]++;
  const found = findNotLinearizable(history);
  assert.is(found === undefined, expected, JSON.stringify(history));
}

test("findNotLinearizable judges arbitrary histories as every order tried would", () => {
  fc.assert(
    fc.property(fc.array(step(2), { minLength: 1, maxLength: 8 }), (steps) => {
      agree(historyOf(steps));
    }),
    { numRuns: 4_000, seed: 11 },
  );
});

test("findNotLinearizable judges right histories, and slightly wrong ones, in the same way", () => {
  fc.assert(
    fc.property(
      fc.array(step(1), { minLength: 2, maxLength: 8 }),
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 8, maxLength: 8 }),
      fc.boolean(),
      (steps, moments, isBroken) => {
        // Each takes effect somewhere between its call and its reply: reads see the state at that
        // moment.
        const history = historyOf(steps);
        const order = history.map((operation, at) => {
          const { answeredAt, calledAt } = operation;
          const end = answeredAt === Infinity ? 40 : answeredAt;
          return { at, moment: calledAt + moments[at]! * (end - calledAt) };
        }).sort((left, right) => left.moment - right.moment);
        let value: number | undefined;
        for (const { at } of order) {
          const operation = history[at]!;
          if (operation.kind === "read") history[at] = { ...operation, value };
          else value = operation.value;
        }
        if (!isBroken) assert.is(findNotLinearizable(history), undefined);
        const reads = history.filter(({ kind }) => kind === "read");
        const [first, last] = [reads[0], reads.at(-1)];
        agree(
          history.map((operation) => {
            if (!isBroken || operation.kind !== "read") return operation;
            if (operation === first) return { ...operation, value: last!.value };
            return operation === last ? { ...operation, value: first!.value } : operation;
          }),
        );
      },
    ),
    { numRuns: 4_000, seed: 12 },
  );
  assert.ok(verdicts.yes > 1_000 && verdicts.no > 1_000, JSON.stringify(verdicts));
});

test.run();
