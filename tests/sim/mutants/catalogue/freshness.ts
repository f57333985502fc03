/** Mutants of reads with a proven age: probes, their answers, and the ages that follow from them. */
import type { Plan } from "../../plan.ts";
import type { Mutant } from "../mutant.ts";

const withBoundedReads = ({ boundedReadMs, leases }: Plan): boolean =>
  boundedReadMs !== undefined && leases;

/** Plans in which a machine may be suspended, while its monotonic clock stands still. */
const withSuspends = (plan: Plan): boolean => withBoundedReads(plan) && plan.faults.has("suspend");

const PROBER_TEST = "tests/unit/liveness/freshness/prober.test.ts";

export const FRESHNESS_MUTANTS: readonly Mutant[] = [
  {
    name: "unproven_age_served",
    breaks: "A proof counts only for a replica that has applied its index",
    shows: withBoundedReads,
    edits: [{
      file: "src/liveness/freshness/group_proof.ts",
      anchor: "if (asserted.index > applied.index || asserted.term > applied.term) return false;",
      replacement: "if (applied.index === 0) return false;",
    }],
  },
  {
    name: "assertion_of_a_later_term",
    breaks: "An assertion of a later term than that of the applied entry does not count",
    test: "tests/unit/liveness/freshness/group_proof.test.ts",
    edits: [{
      file: "src/liveness/freshness/group_proof.ts",
      anchor: "if (asserted.index > applied.index || asserted.term > applied.term) return false;",
      replacement: "if (asserted.index > applied.index) return false;",
    }],
  },
  {
    name: "assertion_replaces_another_nodes",
    breaks: "No node's assertion replaces that of another one",
    test: "tests/unit/liveness/freshness/group_proof.test.ts",
    edits: [{
      file: "src/liveness/freshness/group_proof.ts",
      anchor:
        "for (const current of this.#current) if (current.series.node === node) return current;",
      replacement: "for (const current of this.#current) if (node > 0) return current;",
    }],
  },
  {
    name: "assertion_of_no_member",
    breaks: "A node asserts nothing of a group without a member there",
    test: "tests/unit/liveness/freshness/group_proof.test.ts",
    edits: [{
      file: "src/liveness/freshness/group_proof.ts",
      anchor: "return asserted.isMember ||= this.#replica.hasMemberOn(asserted.series.node);",
      replacement: "return asserted.series.node > 0;",
    }],
  },
  {
    name: "probe_answered_without_lease",
    breaks: "An answer asserts nothing of a group whose lease has lapsed",
    test: "tests/unit/liveness/freshness/answerer.test.ts",
    edits: [{
      file: "src/liveness/freshness/answerer.ts",
      anchor: "const stands = lease !== undefined && this.#leases.get(lease)!.stands;",
      replacement: "const stands = lease !== undefined;",
    }],
  },
  {
    name: "proof_of_another_epoch",
    breaks: "Answers of an earlier epoch or of another full list are not continued",
    test: PROBER_TEST,
    edits: [{
      file: "src/liveness/freshness/prober.ts",
      anchor: "if (proofs.run !== this.#run() || proofs.epoch !== source.epoch) return undefined;",
      replacement: "if (proofs.run !== this.#run()) return undefined;",
    }, {
      file: "src/liveness/freshness/prober.ts",
      anchor: "known.run === run && known.list === list",
      replacement: "known.run === run",
    }],
  },
  {
    name: "proof_kept_through_suspend",
    breaks: "Once the clocks part, all proofs are void until they are made again",
    test: PROBER_TEST,
    edits: [{
      file: "src/liveness/freshness/prober.ts",
      anchor: "    this.void();\n    return Number.POSITIVE_INFINITY;",
      replacement: "    return Number.POSITIVE_INFINITY;",
    }],
  },
  {
    name: "age_by_monotonic_clock_only",
    breaks: "The larger elapsed time of both clocks is the age of a proof",
    shows: withSuspends,
    edits: [{
      file: "src/liveness/freshness/proof_clock.ts",
      anchor:
        "if (!(elapsedMs >= 0 && partedMs <= CLOCKS_PART_MS && partedMs >= -CLOCKS_PART_MS)) return NaN;",
      replacement: "if (partedMs === CLOCKS_PART_MS / 0) return NaN;",
    }, {
      file: "src/liveness/freshness/proof_clock.ts",
      anchor: "Math.max(elapsedMs, wallElapsedMs)",
      replacement: "elapsedMs",
    }, {
      file: "src/replication/group_set.ts",
      anchor: "    if (voided) this.#freshness.void();\n",
      replacement: "    if (voided && this.#closed) this.#freshness.void();\n",
    }],
  },
  {
    name: "left_covered_set_in_silence",
    breaks: "An answer says of which groups nothing is asserted any more",
    shows: withBoundedReads,
    edits: [{
      file: "src/liveness/freshness/answerer.ts",
      anchor: "if (covered.term !== term || covered.index !== index) {",
      replacement: "if (term !== 0 && (covered.term !== term || covered.index !== index)) {",
    }],
  },
  {
    name: "changed_group_not_looked_at",
    breaks: "An answer looks at every group that had an event since the one before",
    shows: withBoundedReads,
    edits: [{
      file: "src/replication/group_set.ts",
      anchor: "    this.#freshness.touched(dirty);\n",
      replacement: "",
    }],
  },
  {
    name: "lost_answer_is_no_change",
    breaks: "After a lost answer nothing that it left unsaid is known",
    shows: withBoundedReads,
    edits: [{
      file: "src/liveness/freshness/prober.ts",
      anchor: "if (counter === known.counter + 1) return known;",
      replacement: "if (counter > known.counter) return known;",
    }],
  },
  {
    name: "list_tells_youngest_age",
    breaks: "The age of a list is that of its oldest partition",
    test: "tests/unit/serving/list_scope.test.ts",
    edits: [{
      file: "src/serving/list_page.ts",
      anchor: "if (now.point.ageBoundMs > (oldest?.point.ageBoundMs ?? 0)) oldest = now;",
      replacement:
        "if (now.point.ageBoundMs < (oldest?.point.ageBoundMs ?? Infinity)) oldest = now;",
    }],
  },
  {
    name: "list_ages_before_answer",
    breaks: "The age of a list is that at its answer, not that at the reading of its parts",
    test: "tests/unit/serving/list_scope.test.ts",
    edits: [{
      file: "src/serving/list_page.ts",
      anchor: "ageBoundMs: partition.group.ageNowMs(point)",
      replacement: "ageBoundMs: point.ageBoundMs",
    }],
  },
  {
    name: "commit_asserted_before_own_entry",
    breaks:
      "An answer asserts a commit index only once an entry of the leader's own term is committed",
    test: "tests/unit/replication/proven_reads.test.ts",
    edits: [{
      file: "src/replication/group.ts",
      anchor: "const isProven = this.#end === undefined && this.#leadership.isServing;",
      replacement: "const isProven = this.#end === undefined && this.#leadership.term !== 0;",
    }, {
      file: "src/raft/transfer.ts",
      anchor:
        `core.role === "leader" && core.timeoutNowTerm !== core.term && core.hasCommittedInTerm`,
      replacement: `core.role === "leader" && core.timeoutNowTerm !== core.term`,
    }],
  },
  {
    name: "age_counted_from_arrival",
    breaks: "An answer counts from when its probe was sent",
    shows: withBoundedReads,
    edits: [{
      file: "src/liveness/freshness/prober.ts",
      anchor: "series.advance(source.sentAt(proofs.sequence));",
      replacement: "series.advance(this.#clock.now());",
    }],
  },
  {
    name: "restarted_node_knows_no_members",
    breaks: "A restarted node finds the nodes of its groups' members once group 0 names them",
    test: "tests/unit/replication/node_liveness.test.ts",
    edits: [{
      file: "src/replication/node_liveness.ts",
      anchor: "if (node === undefined) lacking++;",
      replacement: "if (node === undefined) lacking = 0;",
    }],
  },
];
