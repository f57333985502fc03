/**
 * Beats with arbitrary numbers: the result is a code or a reply, never an exception, and never more
 * support than the one honest beat before them granted.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import fc from "fast-check";
import { nodeId } from "../../src/base/ids.ts";
import { type Beat, countedMs, LIVENESS_TIMING } from "../../src/liveness/mod.ts";
import { LivenessNodes } from "../support/liveness_nodes.ts";

const number = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 4 }) },
  fc.constantFrom(-1, 0.5, NaN, Infinity, 2 ** 32, 2 ** 53 - 1, 2 ** 53),
);
const list = fc.array(fc.record({ group: number, term: number }), { maxLength: 3 });
const numeric = fc.constantFrom<keyof Beat>(
  "run",
  "sequence",
  "echoRun",
  "echo",
  "epoch",
  "supports",
  "granted",
  "refused",
  "promiseCount",
  "promiseHash",
);
const change = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(numeric, number) },
  fc.tuple(fc.constantFrom<keyof Beat>("released", "asked"), list),
);
/** Replacements for some fields of an honest beat. */
const changes: fc.Arbitrary<Partial<Beat>> = fc.array(change, { maxLength: 3 })
  .map((fields) => Object.fromEntries(fields));

test("any beats are answered or refused by code, and count for no more than what was sent", () => {
  let [answered, refused] = [0, 0];
  fc.assert(
    fc.property(fc.array(changes, { maxLength: 20 }), fc.nat(400), (beats, stepMs) => {
      const nodes = new LivenessNodes(2);
      nodes.round();
      const { clocks, liveness } = nodes.node(1);
      const group = nodes.node(1).add(1);
      group.lead(1, { voters: [1, 2], votersOutgoing: [], learners: [] });
      for (const change of beats) {
        nodes.advance(stepMs);
        const honest = nodes.node(2).liveness.beat(nodeId(1));
        const answer = liveness.receive(nodeId(2), { ...honest, ...change });
        if (typeof answer === "string") refused++;
        else answered++;
        liveness.poll();
        for (const to of liveness.dueBeats()) liveness.beat(to);
        const untilMs = liveness.supportUntilMs(nodeId(2));
        assert.ok(untilMs <= clocks.monotonicMs + countedMs(LIVENESS_TIMING));
      }
    }),
    { numRuns: 2_000, seed: 1 },
  );
  assert.ok(answered > 500 && refused > 500, `${answered} were taken, ${refused} refused`);
});

test.run();
