/** The checkers of invariants between replicas: each reports exactly the violations. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Bonds } from "../../../../sim/checkers/bonds.ts";
import { CommitIndex } from "../../../../sim/checkers/commit_index.ts";
import { CommittedSequence } from "../../../../sim/checkers/committed_sequence.ts";
import { Convergence } from "../../../../sim/checkers/convergence.ts";
import { IdenticalImages } from "../../../../sim/checkers/identical_images.ts";
import { LeaderCompleteness } from "../../../../sim/checkers/leader_completeness.ts";
import { LogMatching } from "../../../../sim/checkers/log_matching.ts";
import { CHECKERS } from "../../../../sim/checkers/mod.ts";
import { OneLeader } from "../../../../sim/checkers/one_leader.ts";
import { OneLease } from "../../../../sim/checkers/one_lease.ts";
import { Quarantine } from "../../../../sim/checkers/quarantine.ts";
import { StalledLeader } from "../../../../sim/checkers/stalled_leader.ts";
import { Terms } from "../../../../sim/checkers/terms.ts";
import { EMPTY_CONFIGURATION } from "../../../../../src/raft/mod.ts";
import type { RunEnd } from "../../../../sim/history.ts";
import {
  clusterView,
  FACTS,
  finds,
  nodeView,
  refOf,
  type ReplicaFields,
  replicaView,
  step,
} from "../../../../support/sim_views.ts";

const [one, two, three] = [refOf(1), refOf(2), refOf(3)];

test("CHECKERS have names of their own", () => {
  const names = CHECKERS.map((make) => make(FACTS).name);
  assert.is(new Set(names).size, names.length);
});

test("OneLeader finds a second leader of a term", () => {
  const checker = new OneLeader();
  step(checker, { ref: one, role: "leader", term: 2 });
  step(checker, { ref: one, role: "leader", term: 2 });
  step(checker, { ref: two, role: "candidate", term: 2 });
  step(checker, { ref: two, role: "leader", term: 3 });
  step(checker, { ref: refOf(2, 2), role: "leader", term: 2 });
  finds(
    checker,
    /Term 2 has two leaders/,
    () => step(checker, { ref: two, role: "leader", term: 2 }),
  );
});

test("Terms finds a term that no candidate began", () => {
  const checker = new Terms();
  step(checker, { ref: one, term: 1 });
  step(checker, { ref: two, term: 0 });
  step(checker, { ref: one, role: "candidate", term: 2, vote: 1 });
  step(checker, { ref: two, term: 2 });
  // It was a candidate, and lost at once.
  step(checker, { ref: two, term: 3, vote: 2 });
  step(checker, { ref: one, term: 3, vote: 2 });
  step(checker, { ref: refOf(1, 2), term: 7 });
  finds(checker, /Term 4 begins with replica 1 .* voted for nobody/, () => {
    step(checker, { ref: one, term: 4 });
  });
  finds(
    checker,
    /Term 5 .* voted for replica 2/,
    () => step(checker, { ref: one, term: 5, vote: 2 }),
  );
});

test("LogMatching finds an entry of other content at the same index and term", () => {
  const checker = new LogMatching();
  const entry = { index: 2, term: 2, previousTerm: 1, kind: 1, hash: 77 };
  checker.onAppend(one, entry);
  checker.onAppend(two, entry);
  checker.onAppend(two, { ...entry, term: 3, hash: 78 });
  checker.onAppend(refOf(1, 2), { ...entry, hash: 79 });
  finds(checker, /other content/, () => checker.onAppend(three, { ...entry, hash: 78 }));
  finds(checker, /other content/, () => checker.onAppend(three, { ...entry, kind: 2 }));
});

test("LogMatching finds the same entry on another one", () => {
  const checker = new LogMatching();
  const entry = { index: 2, term: 3, previousTerm: undefined, kind: 1, hash: 77 };
  checker.onAppend(one, entry);
  checker.onAppend(two, { ...entry, previousTerm: 2 });
  checker.onAppend(three, { ...entry, previousTerm: 2 });
  finds(checker, /term 1 before it/, () => checker.onAppend(one, { ...entry, previousTerm: 1 }));
});

test("LeaderCompleteness finds a leader without what was committed before its term", () => {
  const led = () => {
    const checker = new LeaderCompleteness();
    step(checker, { ref: one, role: "leader", term: 2, log: [1, 2, 2], committed: 2 });
    step(checker, { ref: two, term: 2, log: [1, 2], committed: 1 });
    return checker;
  };
  const leads = (log: (number | undefined)[], term: number, committed = 0) => {
    const checker = led();
    return {
      checker,
      run: () => step(checker, { ref: two, role: "leader", term, log, committed }),
    };
  };
  for (const log of [[1, 3], [1, 1, 1, 3], [3]]) {
    const { checker, run } = leads(log, 3);
    finds(checker, /lacks entry 2 of term 2/, run);
  }
  leads([1, 2, 3], 3).run();
  leads([1, 2, 2, 3, 3], 3).run();
  // Compacted, and so committed there.
  leads([undefined, undefined, 2, 3], 3, 2).run();
  // It need not know entries of an older term.
  leads([1, 1], 1).run();
});

test("LeaderCompleteness waits for a leader's own entry", () => {
  const checker = new LeaderCompleteness();
  step(checker, { ref: one, role: "leader", term: 2, log: [1, 2, 2], committed: 2 });
  const leader = { ref: two, role: "leader", term: 3 } as const;
  step(checker, { ...leader, log: [1, 1, undefined] });
  finds(checker, /lacks entry 2/, () => step(checker, { ...leader, log: [1, 1, 3] }));
});

test("LeaderCompleteness holds a leader to the newest commit before its term", () => {
  const checker = new LeaderCompleteness();
  step(checker, { ref: one, role: "leader", term: 2, log: [1, 2], committed: 2 });
  step(checker, { ref: one, role: "leader", term: 5, log: [1, 2, 5], committed: 3 });
  // Term 4 was led by a replica elected earlier: it need not have the entries that term 5
  // committed.
  step(checker, { ref: two, role: "leader", term: 4, log: [1, 2, 4] });
  finds(checker, /lacks entry 3 of term 5/, () => {
    step(checker, { ref: two, role: "leader", term: 6, log: [1, 2, 4, 6] });
  });
});

test("CommittedSequence finds two entries committed at one index", () => {
  const checker = new CommittedSequence();
  step(checker, { ref: one, log: [1, 1, 2], committed: 3 });
  step(checker, { ref: two, log: [1, 1, 2, 2], committed: 2 });
  step(checker, { ref: three, log: [undefined, 1, 2], committed: 3 });
  finds(checker, /index 3.*term 3 for committed/, () => {
    step(checker, { ref: two, log: [1, 1, 3, 3], committed: 4 });
  });
});

test("CommittedSequence looks again at all of a log after a restart", () => {
  const checker = new CommittedSequence();
  step(checker, { ref: one, log: [1, 1], committed: 2 });
  step(checker, { ref: two, log: [1, 1], committed: 2 });
  finds(checker, /index 2/, () => {
    step(checker, { ref: two, log: [1, 2], committed: 2 }, { run: 2 });
  });
});

test("CommittedSequence finds a command that others do not have there", () => {
  const entry = (index: number, hash: number, term = 1) => ({ index, term, hash });
  const started = () => {
    const checker = new CommittedSequence();
    for (const index of [2, 3, 5]) checker.onApply(one, entry(index, index));
    checker.onApply(two, entry(2, 2));
    return checker;
  };
  for (const wrong of [entry(3, 9), entry(3, 3, 2), entry(4, 4), entry(5, 5)]) {
    const checker = started();
    finds(checker, /applied/, () => checker.onApply(two, wrong));
  }
  const checker = started();
  checker.onApply(two, entry(3, 3));
  finds(checker, /applied/, () => checker.onApply(two, entry(6, 6)));
});

test("CommittedSequence follows images and restarts", () => {
  const checker = new CommittedSequence();
  for (const index of [1, 2, 3, 4]) checker.onApply(one, { index, term: 1, hash: index });
  checker.onImage(two, { index: 2, term: 1, hash: 0 });
  checker.onApply(two, { index: 3, term: 1, hash: 3 });
  // The image of an earlier state is finished while it continues to apply.
  checker.onImage(two, { index: 2, term: 1, hash: 0 });
  checker.onApply(two, { index: 4, term: 1, hash: 4 });
  checker.onImage(one, { index: 2, term: 1, hash: 0 });
  checker.onApply(one, { index: 3, term: 1, hash: 3 });
  checker.onApply(one, { index: 4, term: 1, hash: 4 });
  finds(checker, /other content/, () => checker.onApply(three, { index: 1, term: 1, hash: 2 }));
});

test("CommitIndex finds marks that go back, or are out of order", () => {
  const held = { ref: one, term: 4, committed: 5, applied: 4 };
  const started = () => {
    const checker = new CommitIndex();
    step(checker, held);
    step(checker, { ...held, committed: 6 });
    return checker;
  };
  const wrong: [RegExp, Partial<ReplicaFields>][] = [
    [/took its commit back from 6 to 5/, { committed: 5 }],
    [/took its state back from 4 to 3/, { committed: 6, applied: 3 }],
    [/went back from term 4 to 3/, { committed: 6, term: 3 }],
    [/applied 7, and committed only 6/, { committed: 6, applied: 7 }],
  ];
  for (const [words, fields] of wrong) {
    const checker = started();
    finds(checker, words, () => step(checker, { ...held, ...fields }));
  }
});

test("CommitIndex lets a restart forget what was not durable, and an image stays", () => {
  const checker = new CommitIndex();
  step(checker, { ref: one, term: 4, committed: 5 });
  step(checker, { ref: one, term: 3, committed: 2 }, { run: 2 });
  checker.onImageDurable(one, 2);
  finds(checker, /below its image at 2/, () => {
    step(checker, { ref: one, term: 3, committed: 1 }, { run: 3 });
  });
});

const END = { healedMs: 0, finalValues: new Map(), leftOver: new Map() };
const endOf = (...replicas: ReplicaFields[]): RunEnd => ({
  ...END,
  view: clusterView(
    0,
    ...replicas.map((fields) => nodeView(fields.ref.node, [replicaView(fields)])),
  ),
});

test("IdenticalImages finds states that differ at one index", () => {
  const checker = new IdenticalImages();
  checker.onImage(one, { index: 5, term: 2, hash: 77 });
  checker.onImage(two, { index: 5, term: 2, hash: 77 });
  checker.onImage(two, { index: 6, term: 2, hash: 78 });
  checker.onImage(refOf(1, 2), { index: 5, term: 2, hash: 70 });
  finds(checker, /another state/, () => checker.onImage(three, { index: 5, term: 2, hash: 78 }));
  finds(checker, /another term/, () => checker.onImage(three, { index: 5, term: 3, hash: 77 }));
});

test("IdenticalImages compares all replicas at the end", () => {
  const checker = new IdenticalImages();
  const at = { committed: 9, applied: 9 };
  checker.onEnd(endOf({ ref: one, ...at, hash: 1 }, { ref: two, ...at, hash: 1 }));
  finds(checker, /index 9/, () => {
    checker.onEnd(endOf({ ref: one, ...at, hash: 1 }, { ref: three, ...at, hash: 2 }));
  });
});

test("OneLease finds a lease at the election of another, and after it", () => {
  const old = { ref: one, role: "leader", term: 2, holdsLease: true } as const;
  const young = { ref: two, role: "leader", term: 3 } as const;
  for (const state of ["up", "paused"] as const) {
    const checker = new OneLease({ leases: true });
    step(checker, old);
    const elect = () =>
      step(checker, young, { others: [nodeView(1, [replicaView(old)], { state })] });
    // A node that stands still answers no request.
    if (state === "up") finds(checker, /by replica 1 .* replica 2 was elected in term 3/, elect);
    else elect();
    // It resumes, and must notice this before anything else happens on it.
    finds(checker, /replica 2 was elected in term 3/, () => step(checker, old));
    step(checker, { ...old, holdsLease: false });
    step(checker, { ...young, holdsLease: true });
    step(checker, { ...old, ref: { ...one, group: 2 } });
  }
});

test("OneLease finds a lease in a term that was to be handed over", () => {
  const checker = new OneLease({ leases: true });
  const leader = { ref: one, role: "leader", term: 2, holdsLease: true } as const;
  const disk = { term: 2, vote: 1, lastIndex: 0 };
  step(checker, leader);
  checker.onWords(one, { kind: "acknowledgement", step: 0, term: 2, to: 2, index: 0, disk });
  step(checker, leader);
  checker.onWords(one, { kind: "leadership", step: 0, term: 2, to: 2, index: 0, disk });
  step(checker, { ...leader, holdsLease: false });
  finds(checker, /which it wanted to hand over/, () => step(checker, leader));
  // No replica is elected without the vote of a sole voter.
  step(checker, { ...leader, configuration: { ...EMPTY_CONFIGURATION, voters: [1] } });
  step(checker, { ...leader, term: 3 });
});

test("OneLease finds a lease before an entry of the term is committed", () => {
  const checker = new OneLease({ leases: true });
  const leader = { ref: one, role: "leader", term: 2, log: [1, 2] } as const;
  step(checker, { ...leader, committed: 1 });
  finds(checker, /the last entry committed is of term 1/, () => {
    step(checker, { ...leader, committed: 1, holdsLease: true });
  });
  step(checker, { ...leader, committed: 2, holdsLease: true });
});

test("OneLease finds two holders of one term, and any where leases are off", () => {
  const checker = new OneLease({ leases: true });
  step(checker, { ref: one, role: "leader", term: 2, holdsLease: true });
  step(checker, { ref: one, role: "leader", term: 2, holdsLease: true });
  finds(checker, /replica 1 was elected in term 2/, () => {
    step(checker, { ref: two, role: "leader", term: 2, holdsLease: true });
  });
  const off = new OneLease({ leases: false });
  finds(off, /leases are off/, () => {
    step(off, { ref: one, role: "leader", term: 2, holdsLease: true });
  });
});

test("Bonds finds a lease whose voters may vote for another, or did", () => {
  const checker = new Bonds();
  const leader = { ref: one, role: "leader", term: 2, holdsLease: true } as const;
  const bond = { leader: 1, term: 2 };
  const free = { ref: two, term: 2 };
  const look = (...members: ReplicaFields[]) => {
    const others = members.map((fields) => nodeView(fields.ref.node, [replicaView(fields)]));
    step(checker, leader, { others });
  };
  const unfounded = (...members: ReplicaFields[]) => {
    finds(checker, /in term 2, and 2 of its voters 1, 2, 3 may vote for another/, () => {
      look(...members);
    });
  };
  look({ ...free, bond }, { ref: three });
  look({ ...free, bond: "earlier_run" }, { ref: three });
  // A replica that does not run votes for none.
  look(free);
  look({ ...free, bond }, { ref: three, term: 3, vote: 3 });
  // Having learned of a later term is no vote.
  look({ ...free, term: 3, bond }, { ref: three });
  unfounded(free, { ref: three });
  unfounded({ ...free, bond: { leader: 1, term: 1 } }, { ref: three });
  unfounded({ ...free, bond: { leader: 3, term: 2 } }, { ref: three });
  unfounded({ ...free, bond, term: 3, vote: 3 }, { ref: three });
  step(checker, { ...leader, holdsLease: false }, { others: [nodeView(2, [replicaView(free)])] });
  const alone = { ...EMPTY_CONFIGURATION, voters: [1] };
  step(checker, { ...leader, configuration: alone });
});

test("Bonds asks for a majority of each half, and counts no learners", () => {
  const checker = new Bonds();
  const configuration = {
    ...EMPTY_CONFIGURATION,
    voters: [1, 2, 3],
    votersOutgoing: [3, 4],
    learners: [5],
  };
  const leader = { ref: one, role: "leader", term: 2, holdsLease: true, configuration } as const;
  const look = (...bound: number[]) => {
    const others = [2, 3, 4, 5].map((id) => {
      const fields = {
        ref: refOf(id),
        ...(bound.includes(id) ? { bond: { leader: 1, term: 2 } } : {}),
      };
      return nodeView(id, [replicaView(fields)]);
    });
    step(checker, leader, { others });
  };
  look(3, 4);
  look(2, 3, 4);
  finds(checker, /1 of its voters 3, 4/, () => look(2, 3, 5));
  finds(checker, /2 of its voters 1, 2, 3/, () => look(4, 5));
});

test("StalledLeader finds a lease on a node whose disk is stuck", () => {
  const checker = new StalledLeader();
  const leader = { ref: one, role: "leader", holdsLease: true } as const;
  step(checker, leader);
  step(checker, leader, { stuckMs: 1_000 });
  const stuck = { stuckMs: 2_000 };
  step(checker, { ...leader, holdsLease: false }, stuck);
  const configuration = { ...replicaView(leader).configuration, voters: [1] };
  step(checker, { ...leader, configuration }, stuck);
  finds(checker, /stuck for 2000 ms/, () => step(checker, leader, stuck));
});

test("Quarantine finds a group that stopped itself", () => {
  const checker = new Quarantine();
  step(checker, { ref: one });
  finds(checker, /replica 1 of group 1/, () => step(checker, { ref: one, isFailed: true }));
});

test("Convergence finds groups without one leader that all follow", () => {
  const checker = new Convergence({ groups: [1] });
  const log = [1, 2, 2];
  const at = { term: 2, log, committed: 3, applied: 3 };
  const leader = { ref: one, role: "leader", ...at } as const;
  const wrong: [RegExp, ReplicaFields[]][] = [
    [/has 0 leaders/, [{ ref: one, ...at }]],
    [/has 2 leaders/, [leader, { ...leader, ref: two, term: 3 }]],
    [/committed up to 2/, [{ ...leader, committed: 2, applied: 2 }]],
    [/applied up to 2/, [{ ...leader, applied: 2 }]],
    [/replica 2 .* has applied 2/, [leader, { ref: two, ...at, applied: 2 }]],
    [/replica 2 .* is in term 1/, [leader, { ref: two, ...at, term: 1 }]],
  ];
  for (const [words, replicas] of wrong) {
    finds(checker, words, () => checker.onEnd(endOf(...replicas)));
  }
  checker.onEnd(endOf(leader, { ref: two, ...at }));
  // A removed replica may not know that it was removed.
  checker.onEnd(endOf(leader, { ref: refOf(4), ...at, applied: 1 }));
});

test.run();
