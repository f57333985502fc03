/** Mutants of elections: votes, terms, eligibility. */
import type { Plan } from "../../plan.ts";
import type { Mutant } from "../mutant.ts";

const ELECTION_TEST = "tests/unit/raft/election.test.ts";

/** Plans in which leaders are cut off with entries that nobody else has, and die later. */
const withDivergingLogs = ({ nodeCount, faults }: Plan): boolean =>
  nodeCount > 2 && faults.has("partition") && (faults.has("kill") || faults.has("power_cut"));

export const ELECTION_MUTANTS: readonly Mutant[] = [
  {
    name: "vote_not_persisted",
    breaks: "A vote is durable before it is sent (thesis §3.8)",
    edits: [{
      file: "src/raft/ready.ts",
      anchor: "message.vote = hardState.vote;",
      replacement: "message.vote = 0;",
    }],
  },
  {
    name: "vote_sent_before_durable",
    breaks: "A vote is sent only after the write that it depends on is durable (thesis §3.8)",
    edits: [{
      file: "src/raft/core.ts",
      anchor: `      case "append_reply":
      case "vote_reply":
`,
      replacement: `      case "vote_reply":
        (message.to === this.id ? this.messagesAfterAppend : this.messages).push(message);
        break;
      case "append_reply":
`,
    }],
  },
  {
    name: "vote_for_shorter_log",
    breaks: "No replica votes for a candidate with a less up-to-date log (thesis §3.6.1)",
    edits: [{
      file: "src/raft/election.ts",
      anchor: "if (mayVote && core.log.isUpToDate(message.index, message.logTerm)) {",
      replacement: "if (mayVote) {",
    }],
  },
  {
    name: "up_to_date_by_length",
    breaks:
      "A log with a later last term is more up to date, even if it is shorter (thesis §3.6.1)",
    shows: withDivergingLogs,
    edits: [{
      file: "src/raft/log.ts",
      anchor: "return term > lastTerm || (term === lastTerm && index >= this.lastIndex);",
      replacement: "return term >= 0 && lastTerm >= 0 && index >= this.lastIndex;",
    }],
  },
  {
    name: "pre_vote_bumps_term",
    breaks: "A pre-vote asks about a term without entering it (thesis §9.6)",
    edits: [{
      file: "src/raft/step.ts",
      anchor: `const isAhead = type === "pre_vote" || (type`,
      replacement: `const isAhead = type === "pre_vote" && message.index < 0 || (type`,
    }],
  },
  {
    name: "learner_votes",
    breaks: "Votes of learners do not count (thesis §4.2.1)",
    edits: [
      {
        file: "src/raft/election.ts",
        anchor: "for (const id of allVoters(core.configuration)) {",
        replacement: "for (const { id } of core.progress) {",
      },
      {
        file: "src/raft/election.ts",
        anchor: "return voteResult(core.configuration, (id) => votes.get(id));",
        replacement:
          "return voteResult({ voters: core.progress.map(({ id }) => id), votersOutgoing: [] }, " +
          "(id) => votes.get(id));",
      },
    ],
  },
  {
    name: "joint_vote_of_new_half",
    breaks: "In joint consensus an election needs both majorities (thesis §4.3)",
    edits: [{
      file: "src/raft/quorum.ts",
      anchor: `  const outgoing = majorityVote(config.votersOutgoing, voteOf);
  if`,
      replacement: `  const outgoing = incoming;
  if`,
    }],
  },
  {
    name: "campaign_with_change_unapplied",
    breaks: "No replica campaigns while a committed configuration change is unapplied",
    edits: [{
      file: "src/raft/election.ts",
      anchor: "if (core.log.applied < core.log.committed && core.log.hasUnappliedConfChange()) {",
      replacement: "if (core.log.applied < 0) {",
    }],
  },
  {
    name: "term_reached_by_leaps",
    breaks: "Terms grow by elections, so a message may be ahead by as many as there can have been",
    test: "tests/unit/raft/raft_node.test.ts",
    edits: [{
      file: "src/raft/inspect.ts",
      anchor: "term === 0 ? RAFT_FIRST_TERM_MAX : term + RAFT_TERM_AHEAD_MAX",
      replacement: "term === 0 ? RAFT_FIRST_TERM_MAX : term + RAFT_FIRST_TERM_MAX",
    }],
  },
  {
    name: "bound_reply_is_a_vote",
    breaks: "A bound voter's reply to a pre-vote does not grant it (thesis §9.6)",
    test: ELECTION_TEST,
    edits: [{
      file: "src/raft/step.ts",
      anchor: "if (message.boundTicks > 0) {",
      replacement: "if (message.boundTicks < 0) {",
    }, {
      file: "src/raft/election.ts",
      anchor: "votes.set(message.from, !message.reject);",
      replacement: "votes.set(message.from, !message.reject || message.boundTicks > 0);",
    }],
  },
  {
    name: "bound_reply_is_a_refusal",
    breaks: "A bound voter's reply to a pre-vote does not end it",
    test: ELECTION_TEST,
    edits: [{
      file: "src/raft/step.ts",
      anchor: '    askAgainAfter(core, message.boundTicks);\n    return "accepted";\n',
      replacement: "    askAgainAfter(core, message.boundTicks);\n",
    }],
  },
  {
    name: "bound_reply_postpones",
    breaks: "No reply makes a pre-candidate ask later than without it",
    test: ELECTION_TEST,
    edits: [{
      file: "src/raft/election.ts",
      anchor: "Math.max(core.electionElapsed, core.electionTimeoutTicks - ticks)",
      replacement: "core.electionTimeoutTicks - ticks",
    }],
  },
  {
    name: "bound_reply_disrupts",
    breaks: "A bound voter's late reply ends no election, and no following of a leader",
    test: ELECTION_TEST,
    edits: [{
      file: "src/raft/election.ts",
      anchor:
        'if (core.role === "leader" || core.role === "candidate" || core.lead !== NO_REPLICA) return;',
      replacement: 'if (core.role === "leader") return;',
    }],
  },
  {
    name: "bound_for_ever_is_told",
    breaks: "A replica that no time releases, the only voter that leads, names no time",
    test: "tests/unit/replication/group_set.test.ts",
    edits: [{
      file: "src/raft/election.ts",
      anchor: "if (boundTicks === 0 || boundTicks === Infinity) return;",
      replacement: "if (boundTicks === 0) return;",
    }],
  },
  {
    name: "vote_request_tells_no_commit",
    breaks: "A learner that votes without knowing it learns so by the request for its vote",
    test: "tests/unit/raft/membership.test.ts",
    edits: [{
      file: "src/raft/election.ts",
      anchor: "learnCommit(core, message.commit, message.rejectHint);",
      replacement: "",
    }],
  },
  {
    name: "commit_of_another_term_learned",
    breaks:
      "A commit index of another replica counts only with the term of the same entry (thesis §3.5)",
    test: "tests/unit/raft/membership.test.ts",
    edits: [{
      file: "src/raft/log.ts",
      anchor:
        "if (index <= this.#committed || term === 0 || this.term(index) !== term) return false;",
      replacement: "if (index <= this.#committed || this.term(index) === undefined) return false;",
    }],
  },
];
