/**
 * Mutants of the group loop: the order in which the core's requests are carried out, and the
 * replies.
 */
import type { Mutant } from "../mutant.ts";

export const GROUP_LOOP_MUTANTS: readonly Mutant[] = [
  {
    name: "answered_for_another_entry",
    breaks: "A proposal whose index holds another leader's entry was not applied",
    edits: [{
      file: "src/replication/group_proposals.ts",
      anchor: "  if (proposal.term !== term) {\n",
      replacement: "  if (proposal.term > term) {\n",
    }],
  },
  {
    name: "read_before_applied",
    breaks: "A confirmed read waits until all entries up to its index are applied (thesis §6.4)",
    edits: [{
      file: "src/replication/group_reads.ts",
      anchor: "this.#rounds.filter(({ index }) => index <= point.appliedIndex);",
      replacement: "this.#rounds.filter(({ index }) => index < Infinity);",
    }, {
      file: "src/replication/group_reads.ts",
      anchor: "this.#rounds.filter(({ index }) => index > point.appliedIndex);",
      replacement: "this.#rounds.filter(({ index }) => index === Infinity && point.term >= 0);",
    }],
  },
  {
    name: "recovery_applies_undecided",
    breaks: "Recovery applies only known committed entries, and leaves the rest to the core",
    edits: [{
      file: "src/replication/recovery.ts",
      anchor: "if (isNext && (wasSole || index <= this.#hardState.commit)) {",
      replacement: "if (isNext) {",
    }],
  },
  {
    name: "order_released_before_durable",
    breaks: "Messages of a Ready are sent only after its writes are durable",
    edits: [{
      file: "src/replication/group_storage.ts",
      anchor: "while (this.#first !== this.#due && isDurable(this.#first!)) {",
      replacement: "while (this.#first !== this.#due && this.#first!.snapshot === undefined) {",
    }],
  },
  {
    name: "hard_state_saved_lazily",
    breaks: "A new term and a new vote are saved with the Ready that contains them",
    edits: [{
      file: "src/replication/group_storage.ts",
      anchor: "const isNew = term !== saved.term || vote !== saved.vote;",
      replacement:
        "const isNew = (term !== saved.term || vote !== saved.vote) && entries.length > 0;",
    }],
  },
  {
    name: "image_mixes_indexes",
    breaks: "An image is the state at one index, though entries are applied while it is made",
    edits: [{
      file: "src/store/block_holds.ts",
      anchor: "    return this.#open.length > 0;",
      replacement: "    return this.#open.length > 1e9;",
    }],
  },
  {
    name: "image_of_later_slots",
    breaks: "A record that an image has not read yet is the one that was there when it began",
    test: "tests/unit/store/image.test.ts",
    edits: [{
      file: "src/store/image.ts",
      anchor: "    const ref = slots.refOf(slot);",
      replacement: "    const ref = state.table.refOf(slot % state.table.count);",
    }],
  },
  {
    name: "image_of_later_fields",
    breaks: "Fields are set in place only in a block that no image reads",
    test: "tests/unit/store/image.test.ts",
    edits: [{
      file: "src/store/partition_state.ts",
      anchor: "    if (holds.mayWrite(ref)) return;",
      replacement: "    if (holds.mayWrite(ref) || ref !== 0) return;",
    }],
  },
  {
    name: "image_read_into_state",
    breaks: "Nothing of an image that is being read can be seen",
    test: "tests/unit/store/image.test.ts",
    edits: [{
      file: "src/store/store.ts",
      anchor: "    const state = this.#newState();\n    yield*",
      replacement: "    const state = this.#state = this.#newState();\n    yield*",
    }],
  },
  {
    name: "installed_before_durable",
    breaks: "A leader's image replaces the state only once it is durable",
    edits: [{
      file: "src/replication/group_storage.ts",
      anchor: `    if (refused === undefined) step.outstanding++;
    return refused;
  }

  #installed(`,
      replacement: `    if (refused === undefined) this.#installed(step, snapshot);
    return refused;
  }

  #installed(`,
    }],
  },
];
