/**
 * Mutants of two rules: records end with their owners' rights, and waiting requests are processed before
 * anything expires. Some have test files: what shows them lasts too short a time in the simulator, and its
 * clients are back within milliseconds of an outage.
 */
import type { RightsEnd } from "../../placed/owner.ts";
import type { PlacedPlan } from "../../placed/plan.ts";
import type { Mutant } from "../mutant.ts";

const RIGHTS_TEST = "tests/unit/serving/record_rights.test.ts";
const TIMES_TEST = "tests/unit/serving/lease_times.test.ts";

/** Selects the plans in which the right of an owner ends in one of these ways. */
const ending = (...ends: readonly RightsEnd[]) => ({ owners }: PlacedPlan): boolean =>
  owners.some(({ end }) => ends.includes(end));

export const RIGHTS_MUTANTS: readonly Mutant[] = [
  {
    name: "ban_leaves_records",
    breaks: "A ban of a subject or a lineage ends its records",
    showsPlaced: ending("ban_subject", "ban_lineage", "stolen"),
    edits: [{
      file: "src/serving/record_rights.ts",
      anchor: `if (isBanned(state, lineage, nowMs)) return "banned";`,
      replacement: "",
    }],
  },
  {
    name: "record_outlives_grant",
    breaks: "A record ends with the token that granted its domain, after its grace",
    showsPlaced: ending("token_ends"),
    edits: [{
      file: "src/serving/record_rights.ts",
      anchor: "const live = granted.filter(isLive);",
      replacement: "void isLive; const live = granted;",
    }],
  },
  {
    name: "token_ban_leaves_records",
    breaks: "A ban of the token that granted its domain ends a record",
    showsPlaced: ending("ban_token"),
    edits: [{
      file: "src/serving/record_rights.ts",
      anchor: "if (grantsNames(union(lineage.grants, lasting), facts)) return undefined;",
      replacement: "if (grantsNames(union(lineage.grants, live), facts)) return undefined;",
    }],
  },
  {
    name: "rights_unchecked_by_new_leader",
    breaks: "A new leader of a partition ends the records that the one before has left behind",
    test: RIGHTS_TEST,
    edits: [{
      file: "src/serving/rights_enforcer.ts",
      anchor: "store.onLeading = () => this.suspectAll();",
      replacement: "store.onLeading = () => {};",
    }],
  },
  {
    name: "renewals_until_removal",
    breaks: "Renewals of a record without rights are refused before its removal is logged",
    test: RIGHTS_TEST,
    edits: [{
      file: "src/serving/rights_enforcer.ts",
      anchor: "store.setEnded(slot, fault !== undefined);",
      replacement: "",
    }],
  },
  {
    name: "no_grace_after_outage",
    breaks: "After an outage nothing expires before owners had time to renew",
    test: TIMES_TEST,
    edits: [{
      file: "src/replication/available_time.ts",
      anchor: "    this.#lostMs += toMs - fromMs + givenMs;",
      replacement: "    this.#lostMs += toMs - fromMs;",
    }],
  },
  {
    name: "expired_before_it_is_heard",
    breaks: "The first turn after a stop does not count the time of the stop as passed",
    test: TIMES_TEST,
    edits: [{
      file: "src/replication/available_time.ts",
      anchor: "    if (nowMs > this.#lateFromMs) this.#look(nowMs);",
      replacement: "",
    }],
  },
];
