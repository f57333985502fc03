/** Mutants of replication: acknowledging, matching, committing and replacing entries. */
import type { Mutant } from "../mutant.ts";

export const REPLICATION_MUTANTS: readonly Mutant[] = [
  {
    name: "acknowledged_before_durable",
    breaks: "Entries are acknowledged to the leader only once they are durable (thesis §3.8)",
    edits: [{
      file: "src/raft/core.ts",
      anchor: `      case "append_reply":
      case "vote_reply":
`,
      replacement: `      case "append_reply":
        (message.to === this.id ? this.messagesAfterAppend : this.messages).push(message);
        break;
      case "vote_reply":
`,
    }],
  },
  {
    name: "commit_of_earlier_term_by_counting",
    breaks: "Only entries of the leader's own term are committed by counting (thesis §3.6.2)",
    edits: [{
      file: "src/raft/log.ts",
      anchor:
        "if (index <= this.#committed || term === 0 || this.term(index) !== term) return false;",
      replacement: "if (index <= this.#committed || term === 0) return false;",
    }],
  },
  {
    name: "heartbeat_commits_unmatched",
    breaks: "A heartbeat carries no commit index beyond what the member acknowledged",
    edits: [{
      file: "src/raft/replication.ts",
      anchor: "message.commit = Math.min(member.match, core.log.committed);",
      replacement: "message.commit = core.log.committed;",
    }],
  },
  {
    name: "conflict_not_cut",
    breaks: "An entry that conflicts with the leader's is replaced, with all later ones (§3.5)",
    edits: [{
      file: "src/raft/log.ts",
      anchor: "if (index > last || this.term(index) !== term) return position;",
      replacement: "if (index > last || term === 0) return position;",
    }],
  },
  {
    name: "previous_entry_not_compared",
    breaks: "Entries are accepted only if the previous entry matches (thesis §3.5)",
    edits: [{
      file: "src/raft/log.ts",
      anchor: "if (!this.matches(prev.index, prev.term)) return undefined;",
      replacement: "if (prev.index > this.lastIndex) return undefined;",
    }],
  },
  {
    name: "majority_is_half",
    breaks: "A majority is more than half (thesis §3.6.2)",
    edits: [{
      file: "src/raft/quorum.ts",
      anchor: "return Math.floor(voterCount / 2) + 1;",
      replacement: "return Math.max(1, Math.floor(voterCount / 2));",
    }],
  },
  {
    name: "learner_commits",
    breaks: "Entries are committed by voters; learners do not count (thesis §4.2.1)",
    edits: [{
      file: "src/raft/replication.ts",
      anchor: "const index = committedIndex(core.configuration, (id) =>",
      replacement: "const voters = core.progress.map(({ id }) => id);\n  " +
        "const index = committedIndex({ voters, votersOutgoing: [] }, (id) =>",
    }],
  },
  {
    name: "joint_commit_of_new_half",
    breaks: "In joint consensus a commit needs both majorities (thesis §4.3)",
    edits: [{
      file: "src/raft/quorum.ts",
      anchor: "    majorityCommitted(config.votersOutgoing, acked),\n",
      replacement: "",
    }],
  },
  {
    name: "two_changes_at_once",
    breaks: "Only one configuration change at a time enters the log (thesis §4.1)",
    edits: [{
      file: "src/raft/proposal.ts",
      anchor: `  if (pendingConfIndex > core.log.applied) return "not_now";\n`,
      replacement: `  if (pendingConfIndex < 0) return "not_now";\n`,
    }],
  },
  {
    name: "change_of_earlier_leader_forgotten",
    breaks: "A new leader proposes no change until all entries found in its log are applied",
    test: "tests/unit/raft/membership.test.ts",
    edits: [{
      file: "src/raft/roles.ts",
      anchor: "  core.pendingConfIndex = core.log.lastIndex;\n",
      replacement: "",
    }],
  },
  {
    name: "drained_node_keeps_lease",
    breaks:
      "A leader that is removed, as of a node that was drained, leads no more and has no lease",
    test: "tests/unit/raft/membership.test.ts",
    edits: [{
      file: "src/raft/reconfigure.ts",
      anchor: "    if (core.settings.stepDownOnRemoval) becomeFollower",
      replacement: "    if (core.settings.stepDownOnRemoval && core.term < 0) becomeFollower",
    }],
  },
  {
    name: "removed_voter_counts",
    breaks:
      "A voter that was removed counts no more once the joint configuration is left (thesis §4.3)",
    test: "tests/unit/raft/membership.test.ts",
    edits: [{
      file: "src/raft/membership.ts",
      anchor: "      if (!this.voters.has(id) && !this.learners.has(id)) this.progress.delete(id);",
      replacement: "      if (!this.learners.has(id)) this.voters.add(id);",
    }],
  },
  {
    name: "replica_id_reused",
    breaks: "The id of a removed replica is never reused",
    edits: [{
      file: "tests/sim/placement.ts",
      anchor: "const replica = this.#nextReplica++;",
      replacement: "const replica = this.#nextReplica + 16 * group + node;",
    }],
  },
  {
    name: "snapshot_over_newer_entries",
    breaks: "A snapshot of entries already in the log changes only the commit index (§5.1)",
    edits: [
      {
        file: "src/raft/snapshot.ts",
        anchor: "if (snapshot.index <= core.log.committed || core.role",
        replacement: "if (core.role",
      },
      {
        file: "src/raft/snapshot.ts",
        anchor: "if (core.log.matches(snapshot.index, snapshot.term)) {",
        replacement: "if (snapshot.index === 0) {",
      },
    ],
  },
  {
    name: "snapshot_without_configuration",
    breaks: "A snapshot includes its configuration (thesis §5.1)",
    edits: [{
      file: "src/raft/snapshot.ts",
      anchor: "  restoreConfiguration(core, configuration, snapshot.index);\n",
      replacement: "  if (snapshot.index === 0) restoreConfiguration(core, configuration, 0);\n",
    }],
  },
];
