/**
 * Mutants of pullers: what they take for evidence, when a cursor or an age counts, and whose batches are
 * taken. Tests drive them against a region and a destination in virtual time.
 */
import type { Mutant } from "../mutant.ts";

const PULLER_TEST = "tests/unit/region/puller.test.ts";
const LISTINGS_TEST = "tests/unit/region/listings.test.ts";
const QUEUE_TEST = "tests/unit/region/partition_queue.test.ts";
const FOLLOWED_TEST = "tests/unit/node/regions.test.ts";
const LISTINGS = "src/region/listings.ts";
const QUEUE = "src/region/partition_queue.ts";
const PULLER = "src/region/puller.ts";
const SHARD_PULLER = "src/region/shard_puller.ts";

export const PULLER_MUTANTS: readonly Mutant[] = [
  {
    name: "resync_ends_early",
    breaks: "A list that broke off, or is empty so far, is no evidence of a deletion",
    test: LISTINGS_TEST,
    edits: [{
      file: LISTINGS,
      anchor: "    if (listing?.complete === undefined) return undefined;",
      replacement: "    if (listing === undefined) return undefined;\n" +
        "    listing.complete ??= { generation: 9, index: 2 ** 50, ordinal: 0 };",
    }],
  },
  {
    name: "empty_list_deletes",
    breaks: "The list of a replica that lags behind says nothing about later changes",
    test: LISTINGS_TEST,
    edits: [{
      file: LISTINGS,
      anchor:
        "    return feed < this.#feed || feed === this.#feed && comparePositions(revision, listed) <= 0;",
      replacement: "    return feed <= this.#feed && comparePositions(revision, listed) < 9_999;",
    }],
  },
  {
    name: "restarted_list_completed",
    breaks: "The end of a list that began anew since is not the end of the new one",
    test: LISTINGS_TEST,
    edits: [{
      file: LISTINGS,
      anchor: "    if (this.#listings.get(listing.partition) !== listing) return;",
      replacement: "    listing = this.#listings.get(listing.partition) ?? listing;",
    }],
  },
  {
    name: "sweep_before_lists_end",
    breaks: "What is being listed is not fresh, and nothing is swept before",
    test: PULLER_TEST,
    edits: [{
      file: PULLER,
      anchor: "    if (this.#listings.isEmpty) this.#options.onFresh(asOf);",
      replacement: "    if (asOf !== undefined) this.#options.onFresh(asOf);",
    }],
  },
  {
    name: "silent_partition_holds_all",
    breaks: "A partition that does not answer holds up no other one",
    test: PULLER_TEST,
    edits: [{
      file: "src/region/batch_sender.ts",
      anchor: "if (sent.sentMs > slowMs) changes += sent.changes;",
      replacement: "changes += sent.sentMs > slowMs - Infinity ? sent.changes : 0;",
    }],
  },
  {
    name: "cursor_before_batch",
    breaks: "A cursor is saved after all that it covers was applied, and an age counts then",
    test: PULLER_TEST,
    edits: [{
      file: "src/region/received_order.ts",
      anchor: "    for (let first = this.#queue[this.#head]; first?.left === 0;) {",
      replacement: "    for (let first = this.#queue[this.#head]; first !== undefined;) {",
    }],
  },
  {
    name: "fence_of_former_run",
    breaks: "No two runs of a puller have the same fence, also not after a restart",
    test: FOLLOWED_TEST,
    edits: [{
      file: SHARD_PULLER,
      anchor: "    return await group.propose((header) => encodeAssignPuller(header, claim));",
      replacement: "    void group; void claim; return assigned.fence;",
    }],
  },
  {
    name: "tombstone_settled_unsaved",
    breaks: "A removal is settled once a saved cursor covers it",
    test: QUEUE_TEST,
    edits: [{
      file: QUEUE,
      anchor:
        "    while (count < this.#buried.length && this.#buried[count]!.seq <= savedThrough) count++;",
      replacement: "    while (count < this.#buried.length && savedThrough >= 0) count++;",
    }],
  },
  {
    name: "unknown_batch_recomposed",
    breaks: "A batch that may have been applied is repeated as it is",
    test: QUEUE_TEST,
    edits: [{
      file: QUEUE,
      anchor: "    if (!isUnapplied || this.#isUnknown) {",
      replacement: "    if (!isUnapplied) {",
    }],
  },
  {
    name: "recreated_region_followed",
    breaks: "A region that was re-created is not followed before it is accepted",
    test: FOLLOWED_TEST,
    edits: [{
      file: SHARD_PULLER,
      anchor: "    if (!isAccepted) throw notAccepted(region, status);",
      replacement: "    void notAccepted;",
    }],
  },
  {
    name: "age_since_answer",
    breaks: "The age of mirrors counts from when a puller's node was asked, not from its answer",
    test: "tests/unit/region/region_ages.test.ts",
    edits: [{
      file: "src/region/region_ages.ts",
      anchor: "        this.fresh(region, shard, feed, earlier(askedAt, ageMs));",
      replacement:
        "        this.fresh(region, shard, feed, earlier(readClocks(this.#parts.world), ageMs));",
    }],
  },
];
