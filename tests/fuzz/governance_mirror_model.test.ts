/**
 * Two regions with one governed plane under interleaved commands, with answers that repeat, skip and spoil
 * entries: what a mirror has is always the beginning of its home's log, and the home moves by a quorum only.
 */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { MirroredEntry } from "../../schemas/gen/governance.ts";
import { entryBytes, readEntry } from "../../src/governance/documents/entry.ts";
import { cases } from "../support/cases.ts";
import { A, B, C } from "../support/governance.ts";
import { isPrefix, RegionPlane } from "../support/plane_mirror.ts";

const SIGNERS = [A, B, C];
const signers = fc.subarray(SIGNERS, { minLength: 0 });
const at = fc.constantFrom(0, 1);

type Step =
  | { readonly op: "decide"; readonly at: number; readonly signers: typeof SIGNERS }
  | {
    readonly op: "move";
    readonly at: number;
    readonly to: number;
    readonly signers: typeof SIGNERS;
  }
  | {
    readonly op: "mirror";
    readonly to: number;
    readonly skip: number;
    readonly count: number;
    readonly spoil: number;
  }
  | { readonly op: "reload"; readonly at: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ op: fc.constant("decide" as const), at, signers }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("move" as const), at, to: at, signers }) },
  {
    weight: 8,
    arbitrary: fc.record({
      op: fc.constant("mirror" as const),
      to: at,
      skip: fc.constantFrom(0, 0, 0, 1, -1),
      count: fc.integer({ min: 1, max: 4 }),
      spoil: fc.constantFrom(-1, -1, -1, 0, 1, 2),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("reload" as const), at }) },
);

/** Returns an entry without its quorum, or with another payload. */
function spoil({ leaf, payload }: MirroredEntry): MirroredEntry {
  const entry = readEntry(leaf);
  if (entry.idVersion % 2 === 0) {
    return { leaf: entryBytes({ ...entry, approvals: entry.approvals.slice(1, 2) }, 2), payload };
  }
  const changed = payload.slice();
  changed[changed.length >> 1]! ^= 1;
  return { leaf, payload: changed };
}

/** Takes a step. @returns whether both regions may be the home from here on, as a quorum said so. */
function take(planes: readonly [RegionPlane, RegionPlane], step: Step): boolean {
  if (step.op === "reload") {
    planes[step.at]!.reload();
    return false;
  }
  if (step.op === "mirror") {
    const here = planes[step.to]!;
    const version = here.store.version;
    const entries = planes[1 - step.to]!.entriesAfter(Math.max(0, version + step.skip), step.count);
    const spoiled = entries.map((entry, place) => place === step.spoil ? spoil(entry) : entry);
    here.take(spoiled, version);
    return false;
  }
  const plane = planes[step.at]!;
  const { plane: { isHome }, store: { version } } = plane;
  const isMove = step.op === "move";
  const isOwn = isMove && step.to === step.at;
  const read = isMove ? plane.nextHome(planes[step.to]!.region) : plane.next({ id: "x" });
  const earlier = plane.plane.proposals.withContent(read.contentId)?.approvals ?? [];
  const ids = [...earlier.map(({ signerId }) => signerId), ...step.signers.map(({ id }) => id)];
  const isDue = new Set(ids).size >= 2 && (isHome || isOwn);
  const code = plane.decide(read, step.signers);
  assert.is(code === "ok", isDue, code);
  assert.is(plane.store.version, version + (isDue ? 1 : 0));
  return isDue && isOwn && !isHome;
}

test("a mirror's log is the beginning of its home's, and both decide only if a quorum said so", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const eu = new RegionPlane("eu-1");
      const us = RegionPlane.mirrorOf(eu, "us-1");
      let isTakenOver = false;
      for (const one of steps) {
        isTakenOver = take([eu, us], one) || isTakenOver;
        const isOneLog = isPrefix(eu, us) || isPrefix(us, eu);
        if (!isTakenOver) {
          assert.ok(isOneLog, "one log");
          assert.not(eu.plane.isHome && us.plane.isHome, "one home");
        }
      }
    }),
    { numRuns: cases(60) },
  );
});

test.run();
