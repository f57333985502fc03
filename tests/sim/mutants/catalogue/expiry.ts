/** Mutants of the expiry guard: permits, stale records, recovery. */
import type { PlacedPlan } from "../../placed/plan.ts";
import type { Mutant } from "../mutant.ts";

const BUDGET_TEST = "tests/unit/system/expiry/expiry_state.test.ts";
const GUARD_TEST = "tests/unit/serving/expiry/expiry_guard.test.ts";

const withTightGuard = ({ isGuardTight }: PlacedPlan): boolean => isGuardTight;

export const EXPIRY_MUTANTS: readonly Mutant[] = [
  {
    name: "permit_used_twice",
    breaks: "A permit is used for one record",
    showsPlaced: ({ isGuardTight, silentAgents }) => !isGuardTight && silentAgents > 0,
    edits: [{
      file: "src/serving/expiry/region_census.ts",
      anchor: "return { permit: this.#nextPermit++ };",
      replacement: "return { permit: this.#nextPermit };",
    }],
  },
  {
    name: "stale_record_deleted",
    breaks: "A stale record ends only by a permit",
    showsPlaced: withTightGuard,
    edits: [{
      file: "src/store/overdue.ts",
      anchor: "    return judge(this.#overdue(slot, nowMs));",
      replacement: `    const found = this.#overdue(slot, nowMs);
    return found.isStale ? ENDS_AT_ONCE : judge(found);`,
    }, {
      file: "src/store/apply_records.ts",
      anchor:
        "    if (needsPermit && permit === 0 && state.shared.kinds.isGuarded(kind)) return false;\n",
      replacement: "    void [needsPermit, permit, kind];\n",
    }],
  },
  {
    name: "budget_outlives_leader",
    breaks: "A leader of group 0 starts with no permits",
    test: BUDGET_TEST,
    edits: [{
      file: "src/system/expiry/expiry_state.ts",
      anchor: "      this.#budgets.clear();\n",
      replacement: "",
    }],
  },
  {
    name: "draw_given_again",
    breaks: "A draw that is logged again gives nothing more",
    test: BUDGET_TEST,
    edits: [{
      file: "src/system/expiry/expiry_state.ts",
      anchor: "    if (this.#draws.get(nodeId)?.draw === draw) return;\n",
      replacement: "",
    }],
  },
  {
    name: "mass_loss_by_the_budget",
    breaks: "While too many are silent, only confirmed losses get permits",
    test: GUARD_TEST,
    edits: [{
      file: "src/system/expiry/expiry_state.ts",
      anchor: "confirmed + (isMass ? 0 : stale + lapsed),",
      replacement: "confirmed + stale + lapsed,",
    }],
  },
  {
    name: "stale_record_renewed_unseen",
    breaks: "A renewal of a stale record clears the flag in the log",
    test: GUARD_TEST,
    edits: [{
      file: "src/store/apply_records.ts",
      anchor: "      setStale(state, slot, false);\n",
      replacement: "",
    }],
  },
  {
    name: "stale_time_not_logged",
    breaks: "The time of a group with stale records is logged, so that restarts keep none of them",
    test: GUARD_TEST,
    edits: [{
      file: "src/store/leases.ts",
      anchor: "staleCount > 0 ? STALE_TIME_LOG_MS_MAX : TIME_LOG_MS_MAX",
      replacement: "staleCount < 0 ? STALE_TIME_LOG_MS_MAX : TIME_LOG_MS_MAX",
    }],
  },
];
