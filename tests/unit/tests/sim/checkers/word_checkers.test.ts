/** The checkers of a replica's messages, elections and commits: each reports the violations. */
import { test } from "uvu";
import { Commits } from "../../../../sim/checkers/commits.ts";
import { DurableWords } from "../../../../sim/checkers/durable_words.ts";
import { Elections } from "../../../../sim/checkers/elections.ts";
import { OneChange } from "../../../../sim/checkers/one_change.ts";
import { ReadIndex } from "../../../../sim/checkers/read_index.ts";
import { ReadRounds } from "../../../../sim/checkers/read_rounds.ts";
import { Runs } from "../../../../sim/checkers/runs.ts";
import type { Operation, ReplicaRef, Words } from "../../../../sim/history.ts";
import { ENTRY_COMMAND, ENTRY_CONF_CHANGE } from "../../../../../src/replication/log_entry.ts";
import { EMPTY_CONFIGURATION } from "../../../../../src/raft/mod.ts";
import { finds, operation, refOf, replicaView, step } from "../../../../support/sim_views.ts";

const [one, two, three] = [refOf(1), refOf(2), refOf(3)];

test("DurableWords finds a vote that is not on the disk", () => {
  const checker = new DurableWords();
  const vote = { kind: "vote", step: 0, term: 3, to: 2, index: 0 } as const;
  const found = (disk: Words["disk"]) => () => checker.onWords(one, { ...vote, disk });
  found({ term: 3, vote: 2, lastIndex: 0 })();
  found({ term: 4, vote: 0, lastIndex: 0 })();
  finds(checker, /voted for replica 2 in term 3/, found({ term: 3, vote: 0, lastIndex: 0 }));
  finds(checker, /a vote for 1/, found({ term: 3, vote: 1, lastIndex: 0 }));
  finds(checker, /would find term 2/, found({ term: 2, vote: 2, lastIndex: 0 }));
});

test("DurableWords finds an acknowledgement of what is not on the disk", () => {
  const checker = new DurableWords();
  const words = { kind: "acknowledgement", step: 0, term: 3, to: 2, index: 5 } as const;
  const found = (disk: Words["disk"]) => () => checker.onWords(one, { ...words, disk });
  found({ term: 3, vote: 0, lastIndex: 5 })();
  finds(checker, /entries up to 5 .* up to 4/, found({ term: 3, vote: 0, lastIndex: 4 }));
  finds(checker, /would find term 2/, found({ term: 2, vote: 0, lastIndex: 5 }));
});

test("Elections finds a second vote in a term, over restarts too", () => {
  const checker = new Elections();
  checker.onVote(one, 2, 0);
  checker.onVote(one, 2, 3);
  checker.onVote(one, 2, 3);
  checker.onVote(one, 3, 2);
  checker.onVote(refOf(1, 2), 2, 1);
  finds(checker, /voted twice in term 2/, () => checker.onVote(one, 2, 2));
});

test("Elections finds a leader without a majority of each half", () => {
  const voters = { ...EMPTY_CONFIGURATION, voters: [1, 2, 3] };
  const joint = { ...voters, votersOutgoing: [3, 4, 5] };
  const leader = { ref: one, role: "leader" } as const;
  const checker = new Elections();
  for (const ref of [one, two]) checker.onVote(ref, 2, 1);
  step(checker, { ...leader, term: 2, configuration: voters });
  finds(new Elections(), /by 0 votes of 1, 2, 3/, () => {
    step(new Elections(), { ...leader, term: 2, configuration: voters });
  });
  // A vote for another, one of a learner, and one of another term do not count.
  checker.onVote(one, 3, 1);
  checker.onVote(two, 3, 2);
  checker.onVote(refOf(4), 3, 1);
  finds(checker, /leads term 3 by 1 votes/, () => {
    step(checker, { ...leader, term: 3, configuration: voters });
  });
  for (const ref of [one, two]) checker.onVote(ref, 4, 1);
  finds(checker, /by 0 votes of 3, 4, 5/, () => {
    step(checker, { ...leader, term: 4, configuration: joint });
  });
  for (const ref of [one, two, three, refOf(4)]) checker.onVote(ref, 5, 1);
  step(checker, { ...leader, term: 5, configuration: joint });
});

test("Elections finds who campaigns with a committed change that it did not apply", () => {
  const checker = new Elections();
  const entry = { term: 1, previousTerm: 1, hash: 0 };
  checker.onAppend(one, { ...entry, index: 4, kind: ENTRY_CONF_CHANGE });
  const candidate = { ref: one, role: "candidate", term: 2, committed: 5 } as const;
  step(checker, { ...candidate, applied: 4 });
  step(checker, { ...candidate, applied: 3, committed: 3 });
  step(checker, { ...candidate, role: "follower", applied: 3 });
  finds(checker, /change at 4 not applied/, () => step(checker, { ...candidate, applied: 3 }));
  // It was replaced by a command.
  checker.onAppend(one, { ...entry, index: 3, kind: ENTRY_COMMAND });
  step(checker, { ...candidate, applied: 3 });
});

/** Makes a replica acknowledge the entries of a term's leader. */
function acknowledge(checker: Commits, ref: ReplicaRef, term: number, index: number): void {
  const disk = { term, vote: 0, lastIndex: index };
  checker.onWords(ref, { kind: "acknowledgement", step: 0, term, to: 1, index, disk });
}

test("OneChange finds a leader that appends a change before it applied another", () => {
  const checker = new OneChange();
  const entry = { previousTerm: 1, hash: 0, kind: ENTRY_CONF_CHANGE };
  const leader = { ref: one, role: "leader", term: 2 } as const;
  checker.onAppend(one, { ...entry, index: 4, term: 1 });
  checker.onAppend(one, { ...entry, index: 5, term: 1 });
  // Another leader's change, which had applied the first.
  step(checker, { ...leader, applied: 3 });
  checker.onAppend(one, { ...entry, index: 6, term: 2 });
  step(checker, { ...leader, role: "follower", applied: 3 });
  checker.onAppend(one, { ...entry, index: 6, term: 2 });
  step(checker, { ...leader, applied: 5 });
  checker.onAppend(one, { ...entry, index: 7, term: 2, kind: ENTRY_COMMAND });
  checker.onAppend(one, { ...entry, index: 8, term: 2 });
  finds(checker, /a change at 8, and had applied only 5 where one stands at 6/, () => {
    step(checker, { ...leader, applied: 5 });
  });
  checker.onAppend(one, { ...entry, index: 6, term: 2, kind: ENTRY_COMMAND });
  checker.onAppend(one, { ...entry, index: 7, term: 2 });
  step(checker, { ...leader, applied: 5 });
});

test("ReadIndex finds a read of a state before its call", () => {
  const checker = new ReadIndex();
  step(checker, { ref: one, role: "leader", term: 2, committed: 5 }, { nowMs: 10 });
  step(checker, { ref: one, role: "follower", term: 3, committed: 9 }, { nowMs: 15 });
  step(checker, { ref: two, role: "leader", term: 3, committed: 8 }, { nowMs: 20 });
  step(checker, { ref: one, role: "leader", term: 2, committed: 6 }, { nowMs: 25 });
  const read = (calledMs: number, fields: Partial<Operation>) => {
    checker.onOperation(operation(calledMs, calledMs + 1, { kind: "get", ...fields }));
  };
  read(15, { way: "lease", index: 5, term: 2 });
  read(20, { way: "barrier", index: 5, term: 2 });
  read(30, { way: "barrier", index: 8, term: 3 });
  read(30, { way: "lease", index: 1, group: 2 });
  read(30, { way: "lease", index: 0 });
  finds(checker, /at 7 in term 3, and when it asked, at 30.000 ms, 8/, () => {
    read(30, { way: "lease", index: 7, term: 3 });
  });
  finds(checker, /at 8 in term 2, and when it asked, at 30.000 ms, term 3 had its leader/, () => {
    read(30, { way: "barrier", index: 8, term: 2 });
  });
});

test("ReadRounds finds a read that a quorum confirmed only before it was asked for", () => {
  const confirmation = (ref: ReplicaRef, step: number, fields: Partial<Words> = {}) => {
    const disk = { term: 3, vote: 1, lastIndex: 0 };
    const words = { kind: "confirmation", step, term: 3, to: 1, index: 0, disk } as const;
    checker.onWords(ref, { ...words, ...fields });
  };
  const leader = replicaView({ ref: one, role: "leader", term: 3 });
  const read = { term: 3, askedStep: 10, askedTerm: 3, isReconfigured: false };
  let checker = new ReadRounds({ leases: false });
  const unconfirmed = () => {
    finds(checker, /term 3 that 1 of its voters 1, 2, 3 confirmed/, () => {
      checker.onRead(leader, read);
    });
  };
  unconfirmed();
  confirmation(two, 9);
  unconfirmed();
  confirmation(two, 10, { kind: "acknowledgement" });
  unconfirmed();
  confirmation(two, 10, { term: 2 });
  confirmation(three, 10, { to: 2 });
  unconfirmed();
  confirmation(two, 10);
  checker.onRead(leader, read);
  confirmation(two, 11, { term: 2, to: 2 });
  checker.onRead(leader, read);
  const joint = { ...EMPTY_CONFIGURATION, voters: [1, 2, 3], votersOutgoing: [3, 4, 5] };
  finds(checker, /0 of its voters 3, 4, 5/, () => {
    checker.onRead(replicaView({ ref: one, role: "leader", term: 3, configuration: joint }), read);
  });
  checker.onRead(leader, { ...read, isReconfigured: true });
  checker.onRead(leader, { ...read, askedTerm: 0 });
  // Replicas to which the rule does not apply: a follower, a sole voter, the leader of a later
  // term, the holder of a lease.
  checker = new ReadRounds({ leases: false });
  checker.onRead(replicaView({ ref: one, term: 3 }), read);
  const configuration = { ...EMPTY_CONFIGURATION, voters: [1] };
  checker.onRead(replicaView({ ref: one, role: "leader", term: 3, configuration }), read);
  checker.onRead(replicaView({ ref: one, role: "leader", term: 4 }), read);
  checker = new ReadRounds({ leases: true });
  checker.onRead(leader, read);
});

test("Runs finds a start that calls itself as one before", () => {
  const checker = new Runs();
  checker.onRun(1, 1);
  checker.onRun(2, 5);
  checker.onRun(1, 4);
  finds(checker, /Node 1 .* run 4: before its restart it was 4/, () => checker.onRun(1, 4));
  finds(checker, /Node 2 .* run 4: before its restart it was 5/, () => checker.onRun(2, 4));
});

test("Commits finds a leader that counts for an entry of an earlier term", () => {
  const checker = new Commits();
  const leader = { ref: one, role: "leader", term: 3, log: [1, 2, 2, 3] } as const;
  step(checker, { ...leader, committed: 1 });
  acknowledge(checker, two, 3, 4);
  finds(checker, /counted for 3 of term 2/, () => step(checker, { ...leader, committed: 3 }));
  step(checker, { ...leader, committed: 4 });
});

test("Commits counts for whoever led until it heard of a later term, in the same step", () => {
  const begun = () => {
    const checker = new Commits();
    step(checker, { ref: one, role: "leader", term: 3, log: [1, 3, 3], committed: 1 });
    return checker;
  };
  const deposed = { ref: one, term: 4, log: [1, 3, 3], committed: 3 };
  const unheld = begun();
  acknowledge(unheld, two, 3, 2);
  finds(unheld, /follower of term 4 committed 3, which no majority/, () => step(unheld, deposed));
  const held = begun();
  acknowledge(held, two, 3, 3);
  step(held, deposed);
  // By then it is a follower, and commits what others committed.
  finds(held, /committed 4, and leaders only 3/, () => {
    step(held, { ...deposed, log: [1, 3, 3, 3], committed: 4 });
  });
  const restarted = begun();
  acknowledge(restarted, two, 3, 3);
  finds(restarted, /committed 3, and leaders only 1/, () => step(restarted, deposed, { run: 2 }));
});

test("Commits finds a leader that commits without a majority of each half", () => {
  const log = [1, 3, 3];
  const leader = { ref: one, role: "leader", term: 3, log } as const;
  const learners = { ...EMPTY_CONFIGURATION, voters: [1, 2, 3], learners: [4, 5] };
  const joint = { ...EMPTY_CONFIGURATION, voters: [1, 2, 3], votersOutgoing: [1, 4, 5] };
  for (const configuration of [learners, joint]) {
    const checker = new Commits();
    const commit = () => step(checker, { ...leader, configuration, committed: 2 });
    step(checker, { ...leader, configuration, committed: 1 });
    acknowledge(checker, two, 2, 2);
    acknowledge(checker, two, 3, 1);
    acknowledge(checker, refOf(configuration === joint ? 2 : 4), 3, 2);
    finds(checker, /committed 2, which no majority acknowledged/, commit);
  }
  const checker = new Commits();
  step(checker, { ...leader, configuration: joint, committed: 1 });
  for (const ref of [two, refOf(4)]) acknowledge(checker, ref, 3, 2);
  step(checker, { ...leader, configuration: joint, committed: 2 });
  // A replica that applies a change may have counted by the previous configuration.
  acknowledge(checker, two, 3, 3);
  acknowledge(checker, refOf(4), 3, 3);
  const left = { ...EMPTY_CONFIGURATION, voters: [1, 3, 5, 6] };
  step(checker, { ...leader, configuration: left, committed: 3 });
});

test("Commits finds a follower that commits what no leader did, or another entry", () => {
  const checker = new Commits();
  const follower = { ref: two, role: "follower", term: 3 } as const;
  const log = [1, 3, 3, 3];
  step(checker, { ref: one, role: "leader", term: 3, log, committed: 1 });
  acknowledge(checker, two, 3, 3);
  step(checker, { ref: one, role: "leader", term: 3, log, committed: 3 });
  step(checker, { ...follower, log, committed: 2 });
  step(checker, { ...follower, log, committed: 3 });
  finds(checker, /committed 4, and leaders only 3/, () => {
    step(checker, { ...follower, log, committed: 4 });
  });
  finds(checker, /committed 3 of term 2, and its leader that of 3/, () => {
    step(checker, { ...follower, ref: three, log: [1, 2, 2], committed: 3 });
  });
  // A sole voter commits everything that it holds.
  const alone = { ...EMPTY_CONFIGURATION, voters: [1] };
  const checkerAlone = new Commits();
  step(checkerAlone, { ref: one, term: 2, log: [1, 2], committed: 2, configuration: alone });
});

test.run();
