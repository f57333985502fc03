/** Mutants of elections: votes, terms, who may lead. */
import type { Mutant } from "../mutant.ts";

export const ELECTION_MUTANTS: readonly Mutant[] = [
  {
    name: "vote_not_persisted",
    breaks: "A vote is durable before it is given (thesis §3.8)",
    edits: [{
      file: "src/raft/ready.ts",
      anchor: "message.vote = hardState.vote;",
      replacement: "message.vote = 0;",
    }],
  },
  {
    name: "vote_sent_before_durable",
    breaks: "A vote leaves only after the write that it rests on (thesis §3.8)",
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
    breaks: "Nobody votes for a candidate whose log is less up to date (thesis §3.6.1)",
    edits: [{
      file: "src/raft/election.ts",
      anchor: "if (mayVote && core.log.isUpToDate(message.index, message.logTerm)) {",
      replacement: "if (mayVote) {",
    }],
  },
  {
    name: "up_to_date_by_length",
    breaks: "A log with a later last term is more up to date, however short (thesis §3.6.1)",
    edits: [{
      file: "src/raft/log.ts",
      anchor: "return term > lastTerm || (term === lastTerm && index >= this.lastIndex);",
      replacement: "return term >= 0 && lastTerm >= 0 && index >= this.lastIndex;",
    }],
  },
  {
    name: "pre_vote_bumps_term",
    breaks: "A pre-vote asks about a term and enters none (thesis §9.6)",
    edits: [{
      file: "src/raft/step.ts",
      anchor: `const isAhead = type === "pre_vote" || (type`,
      replacement: `const isAhead = type === "pre_vote" && message.index < 0 || (type`,
    }],
  },
  {
    name: "learner_votes",
    breaks: "Learners have no vote that counts (thesis §4.2.1)",
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
    breaks: "In joint consensus both majorities elect (thesis §4.3)",
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
    breaks: "Nobody campaigns with a committed change of the configuration unapplied",
    edits: [{
      file: "src/raft/election.ts",
      anchor: "if (core.log.applied < core.log.committed && core.log.hasUnappliedConfChange()) {",
      replacement: "if (core.log.applied < 0) {",
    }],
  },
];
