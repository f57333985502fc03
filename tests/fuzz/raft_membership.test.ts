/**
 * Changes of the configuration compared with a simple second implementation: each replica has one
 * of five standings, and a change moves it from one to another.
 */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { MemberChange } from "../../src/raft/conf_change.ts";
import {
  checkMembers,
  enterJoint,
  leaveJoint,
  type Members,
  restoreMembers,
  simpleChange,
} from "../../src/raft/membership.ts";
import { type Configuration, EMPTY_CONFIGURATION } from "../../src/raft/message.ts";

const FROM = {
  lastIndex: 5,
  limits: { inflightMessagesMax: 4, inflightBytesMax: 100 },
};

/** A replica's standing in the incoming half, and whether it votes in the outgoing one. */
interface Standing {
  now: "none" | "voter" | "learner" | "next";
  before: boolean;
}

/** The simple configuration: a standing for each replica. */
class Dumb {
  standings = new Map<number, Standing>();
  autoLeave = false;

  copy(): Dumb {
    const copy = new Dumb();
    for (const [id, standing] of this.standings) copy.standings.set(id, { ...standing });
    copy.autoLeave = this.autoLeave;
    return copy;
  }

  get(id: number): Standing {
    const found = this.standings.get(id) ?? { now: "none", before: false };
    this.standings.set(id, found);
    return found;
  }

  ids(holds: (standing: Standing) => boolean): number[] {
    return [...this.standings].filter(([, standing]) => holds(standing)).map(([id]) => id)
      .sort((left, right) => left - right);
  }

  isJoint(): boolean {
    return this.ids(({ before }) => before).length > 0;
  }

  apply(changes: readonly MemberChange[]): void {
    for (const { kind, replica } of changes) {
      if (replica === 0 || kind === "update") continue;
      const standing = this.get(replica);
      if (kind === "add_voter") standing.now = "voter";
      else if (kind === "remove") standing.now = "none";
      else if (standing.now !== "learner") standing.now = standing.before ? "next" : "learner";
    }
  }

  configuration(): Configuration {
    return {
      voters: this.ids(({ now }) => now === "voter"),
      votersOutgoing: this.ids(({ before }) => before),
      learners: this.ids(({ now }) => now === "learner"),
      learnersNext: this.ids(({ now }) => now === "next"),
      autoLeave: this.autoLeave,
    };
  }
}

type Step =
  | { kind: "simple"; changes: MemberChange[] }
  | { kind: "enter"; changes: MemberChange[]; autoLeave: boolean }
  | { kind: "leave" };

/** Returns the next configuration, or the reason why there is none. */
function dumbStep(dumb: Dumb, step: Step): Dumb | string {
  const next = dumb.copy();
  const votersBefore = dumb.configuration().voters;
  if (step.kind === "leave") {
    if (!dumb.isJoint()) return "not_joint";
    for (const standing of next.standings.values()) {
      standing.before = false;
      if (standing.now === "next") standing.now = "learner";
    }
    next.autoLeave = false;
    return next;
  }
  if (step.kind === "enter") {
    if (dumb.isJoint()) return "already_joint";
    if (votersBefore.length === 0) return "no_voters_to_join";
    for (const id of votersBefore) next.get(id).before = true;
    next.autoLeave = step.autoLeave;
  } else if (dumb.isJoint()) {
    return "simple_in_joint";
  }
  next.apply(step.changes);
  const { voters } = next.configuration();
  if (voters.length === 0) return "removed_all_voters";
  if (step.kind === "simple") {
    const changed = new Set([...voters, ...votersBefore]).size * 2 - voters.length -
      votersBefore.length;
    if (changed > 1) return "several_voters_at_once";
  }
  return next;
}

const changes = fc.array(
  fc.record({
    kind: fc.constantFrom("add_voter", "add_learner", "remove", "update"),
    replica: fc.integer({ min: 0, max: 5 }),
  }),
  { maxLength: 4 },
) as fc.Arbitrary<MemberChange[]>;
const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant("simple" as const), changes }),
  fc.record({ kind: fc.constant("enter" as const), changes, autoLeave: fc.boolean() }),
  fc.record({ kind: fc.constant("leave" as const) }),
);

function realStep(members: Members, step: Step): Members | string {
  if (step.kind === "leave") return leaveJoint(members, FROM);
  if (step.kind === "simple") return simpleChange(members, step.changes, FROM);
  return enterJoint(members, step.changes, { ...FROM, autoLeave: step.autoLeave });
}

test("changes agree with the dumb configuration, and refuse for the same reason", () => {
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 12 }), (list) => {
      let members: Members = { configuration: EMPTY_CONFIGURATION, progress: [] };
      let dumb = new Dumb();
      for (const step of list) {
        const before = structuredClone(members.configuration);
        const known = members.progress.map(({ id, isLearner }) => ({ id, isLearner }));
        const next = realStep(members, step);
        const wanted = dumbStep(dumb, step);
        // The argument is unchanged, whatever the result.
        assert.equal(members.configuration, before);
        assert.equal(members.progress.map(({ id, isLearner }) => ({ id, isLearner })), known);
        if (typeof next === "string" || typeof wanted === "string") {
          assert.is(next, wanted);
          continue;
        }
        assert.equal(next.configuration, wanted.configuration());
        checkMembers(next);
        members = next;
        dumb = wanted;
      }
    }),
    { numRuns: 1_500 },
  );
});

test("restoreMembers takes any configuration that changes can reach, and gives it back", () => {
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 8 }), (list) => {
      let members: Members = { configuration: EMPTY_CONFIGURATION, progress: [] };
      for (const step of list) {
        const next = realStep(members, step);
        if (typeof next !== "string") members = next;
      }
      const restored = restoreMembers(members.configuration, FROM);
      assert.equal(restored.configuration, members.configuration);
      assert.equal(
        restored.progress.map(({ id, isLearner }) => [id, isLearner]),
        members.progress.map(({ id, isLearner }) => [id, isLearner]),
      );
    }),
    { numRuns: 500 },
  );
});

test("members that stay keep what is known of them", () => {
  const start = restoreMembers({ ...EMPTY_CONFIGURATION, voters: [1, 2] }, FROM);
  start.progress[1]!.match = 4;
  start.progress[1]!.next = 9;
  const next = simpleChange(start, [{ kind: "add_voter", replica: 3 }], FROM);
  if (typeof next === "string") throw new Error(next);
  assert.equal(next.progress.map(({ id, match, next: index }) => [id, match, index]), [
    [1, 0, 5],
    [2, 4, 9],
    [3, 0, 5],
  ]);
});

test.run();
