/** Mutants of the steps of writes that span nodes, which test files check. */
import type { Mutant } from "../mutant.ts";

const STEPS_TEST = "tests/unit/serving/node_steps.test.ts";
const LEADERS_TEST = "tests/unit/serving/leader_calls.test.ts";

export const STEP_MUTANTS: readonly Mutant[] = [
  {
    name: "step_for_any_node",
    breaks: "A node takes a step only for a record that group 0 places on the node that asks",
    showsPlaced: ({ faults }) => faults.has("stray_step"),
    edits: [{
      file: "src/serving/node_steps.ts",
      anchor: "if (node !== undefined && this.#parts.nodesOf(partition).includes(node)) return;",
      replacement: "if (node !== undefined) return;",
    }],
  },
  {
    name: "step_for_the_banned",
    breaks: "A node takes no step on behalf of a requester that is banned",
    test: STEPS_TEST,
    edits: [{
      file: "src/serving/node_steps.ts",
      anchor: "    if (ban === undefined) return;",
      replacement: '    if (ban === undefined || subject !== "") return;',
    }],
  },
  {
    name: "step_hint_goes_to_the_client",
    breaks: "A client is never told of a leader of another partition than its record's",
    test: LEADERS_TEST,
    edits: [{
      file: "src/serving/leader_calls.ts",
      anchor: "throw notReached(step.what, error);",
      replacement: "throw error;",
    }],
  },
];
