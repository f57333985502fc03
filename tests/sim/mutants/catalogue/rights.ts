/**
 * Mutants of rules that only test files check: records end with their owners' rights, and waiting
 * requests are processed before anything expires. The simulator has no identities, and its clients
 * are back within milliseconds of an outage.
 */
import type { Mutant } from "../mutant.ts";

const RIGHTS_TEST = "tests/unit/serving/record_rights.test.ts";
const TIMES_TEST = "tests/unit/serving/lease_times.test.ts";

export const RIGHTS_MUTANTS: readonly Mutant[] = [
  {
    name: "ban_leaves_records",
    breaks: "A ban of a subject or a lineage ends its records",
    test: RIGHTS_TEST,
    edits: [{
      file: "src/serving/record_rights.ts",
      anchor: `if (isBanned(state, lineage, nowMs)) return "banned";`,
      replacement: "",
    }],
  },
  {
    name: "record_outlives_grant",
    breaks: "A record ends with the token that granted its domain, after its grace",
    test: RIGHTS_TEST,
    edits: [{
      file: "src/serving/record_rights.ts",
      anchor: "const live = granted.filter(isLive);",
      replacement: "void isLive; const live = granted;",
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
