/** Mutants of reads without an entry: rounds of heartbeats, and the replicas that may answer. */
import type { Plan } from "../../plan.ts";
import type { Mutant } from "../mutant.ts";

const withoutLeases = ({ leases }: Plan): boolean => !leases;

export const READ_MUTANTS: readonly Mutant[] = [
  {
    name: "read_before_first_entry_of_term",
    breaks: "A new leader serves no read before an entry of its term is committed (thesis §6.4)",
    edits: [{
      file: "src/raft/read_index.ts",
      anchor: `  if (!core.hasCommittedInTerm) {
    reads.waiting.push(read);`,
      replacement: `  if (core.term === 0) {
    reads.waiting.push(read);`,
    }],
  },
  {
    name: "reused_read_token",
    breaks: "Each round of reads has its own token, and older replies do not confirm it (§6.4)",
    shows: withoutLeases,
    edits: [{
      file: "src/raft/read_index.ts",
      anchor: "    reads.sequence++;\n",
      replacement: "    reads.sequence = 1;\n",
    }],
  },
  {
    name: "read_joins_round_that_left",
    breaks: "A read joins a round only before its heartbeats are sent (thesis §6.4)",
    shows: withoutLeases,
    edits: [{
      file: "src/raft/raft_node.ts",
      anchor: "    if (core.reads !== undefined) core.reads.roundOpen = false;\n",
      replacement: "",
    }],
  },
  {
    name: "read_confirmed_by_anyone",
    breaks: "A quorum confirms a round, and later rounds are not confirmed with it (thesis §6.4)",
    shows: withoutLeases,
    edits: [{
      file: "src/raft/read_index.ts",
      anchor:
        "  while (count < confirming.length && confirming[count]!.sequence <= confirmed) count++;\n",
      replacement: "  if (confirmed >= 0) count = confirming.length;\n",
    }],
  },
  {
    name: "lease_read_behind_commit",
    breaks: "A leader serves no read before it has applied all entries it knows to be committed",
    edits: [{
      file: "src/replication/group.ts",
      anchor: "const isBehind = this.#applied.index < this.#node.committed;",
      replacement: "const isBehind = this.#applied.index < 0;",
    }],
  },
];
