/** Mutants of watches: what feeds them, where they continue, what they prove, who may read. */
import type { PlacedPlan } from "../../placed/plan.ts";
import type { Mutant } from "../mutant.ts";

const STORE = "src/store/store.ts";
const HISTORIES = "src/serving/watch/histories.ts";
const STARTS = "src/serving/watch/watch_starts.ts";
const CATCH_UP = "src/serving/watch/catch_up.ts";
const PROGRESS = "src/serving/watch/watch_progress.ts";
const DELIVERY = "src/serving/watch/live_delivery.ts";
const SCAN = "src/serving/watch/state_scan.ts";
const HUB = "src/serving/watch/watch_hub.ts";
const REPLIES = "src/serving/watch/watch_replies.ts";
const RIGHTS_TEST = "tests/unit/serving/watch/watch_rights.test.ts";
const SLOW_TEST = "tests/unit/serving/watch/slow_watches.test.ts";
const STATE_TEST = "tests/unit/serving/watch/watch_state.test.ts";

const areWatched = (plan: PlacedPlan): boolean => plan.areWatched;

/** Plans in which logs are replaced by images, which replicas that lag or start get. */
const withImages = (plan: PlacedPlan): boolean => plan.areWatched && plan.faults.has("image");

/** Plans in which replicas lag. */
const withLags = (plan: PlacedPlan): boolean =>
  plan.areWatched && (plan.faults.has("pause") || plan.faults.has("partition"));

/** Plans in which nodes prove ages, and are cut off. */
const withProofs = (plan: PlacedPlan): boolean => plan.leases && withLags(plan);

export const WATCH_MUTANTS: readonly Mutant[] = [
  {
    name: "image_feeds_nothing",
    breaks: "A replica that was restored from an image feeds its watches like any other",
    showsPlaced: withImages,
    edits: [{
      file: STORE,
      anchor: "    const state = this.#newState();\n    yield* readImage(",
      replacement: "    const { shared, partition = 0 } = this.#options;\n" +
        "    const state = new PartitionState(shared, partition, undefined);\n    yield* readImage(",
    }],
  },
  {
    name: "image_is_no_reset",
    breaks: "What an image took the place of is lost to watches, and they are told",
    showsPlaced: withImages,
    edits: [{
      file: STORE,
      anchor: "        const freeing = this.#replace(state);\n        this.#begins();",
      replacement: "        const freeing = this.#replace(state);",
    }],
  },
  {
    name: "history_reaches_behind_image",
    breaks: "The history of a replica that starts from an image begins with it",
    showsPlaced: withImages,
    edits: [{
      file: HISTORIES,
      anchor: "this.#floorIndex[partition] = this.#lastIndex[partition] = index;",
      replacement: "this.#lastIndex[partition] = index;",
    }],
  },
  {
    name: "history_forgets_its_beginning",
    breaks: "The history of a replica that a node learns late that it holds begins with its image",
    test: "tests/unit/serving/watch/watch_resume.test.ts",
    edits: [{
      file: HUB,
      anchor: "    const refusal = notReplica(place);",
      replacement: "    this.#parts.histories.onBegin(place.id, 0);\n" +
        "    const refusal = notReplica(place);",
    }],
  },
  {
    name: "reset_is_silent",
    breaks: "A watch is told that its history is gone before the state comes",
    showsPlaced: withImages,
    edits: [{
      file: CATCH_UP,
      anchor: `    if (cursor.next !== "reset") return;`,
      replacement: `    if (cursor.next !== "changes") return;`,
    }],
  },
  {
    name: "reset_goes_back",
    breaks: "A watch that waits for a later position than that of a new state goes on waiting",
    test: "tests/unit/serving/watch/watcher.test.ts",
    edits: [{
      file: "src/serving/watch/watcher.ts",
      anchor: "waiting !== undefined && waiting.index > appliedIndex && ",
      replacement: "waiting !== undefined && waiting.index > Infinity && ",
    }],
  },
  {
    name: "token_skips_one",
    breaks: "A token names the last event that was received, and no later one",
    showsPlaced: areWatched,
    edits: [{
      file: "src/wire/watch_token.ts",
      anchor: "    index,\n    ordinal: form === FORM_ENTRY ? ORDINAL_END : input.next(),",
      replacement: "    index: index + 1,\n" +
        "    ordinal: form === FORM_ENTRY ? ORDINAL_END : input.next(),",
    }],
  },
  {
    name: "position_before_commit",
    breaks: "Watches are told of what is committed and applied, and of nothing that is only logged",
    showsPlaced: areWatched,
    edits: [{
      file: PROGRESS,
      anchor: "      partition.pumpedIndex = place.store.appliedIndex;",
      replacement: "      partition.pumpedIndex = place.group.status().lastIndex;",
    }],
  },
  {
    name: "lagging_replica_repeats",
    breaks: "A replica that has not reached the position of a watch waits for it",
    showsPlaced: withLags,
    edits: [{
      file: STARTS,
      anchor: "return { ...cursor, index: isLater ? NEVER : index };",
      replacement: "return { ...cursor, index: isLater ? NEVER : store.appliedIndex };",
    }],
  },
  {
    name: "progress_from_dead_source",
    breaks: "Progress states an age that is proven now",
    showsPlaced: withProofs,
    edits: [{
      file: PROGRESS,
      anchor: "    if (isTick && partition.ageTick === this.tick) return;",
      replacement: "    if (partition.ageMs !== Infinity) return;",
    }],
  },
  {
    name: "progress_before_changes",
    breaks: "Progress proves an age only if everything that is known was sent",
    test: "tests/unit/serving/watch/watch_progress.test.ts",
    edits: [{
      file: HUB,
      anchor: "const isLive = watcher.behind === undefined && watcher.lane.stream.hasWatchRoom;",
      replacement: "const isLive = watcher.nonce > 0;",
    }, {
      file: PROGRESS,
      anchor: "const nonce = behind === undefined ? watcher.nonce : 0;",
      replacement: "const { nonce } = watcher;",
    }, {
      file: PROGRESS,
      anchor: "if (!isEntitled(watcher) || !stream.hasWatchRoom) return;",
      replacement: "if (!isEntitled(watcher)) return;",
    }],
  },
  {
    name: "slow_watch_skips_one",
    breaks: "A watch that falls behind continues with the first change that it was not sent",
    test: SLOW_TEST,
    edits: [{
      file: DELIVERY,
      anchor: "watcher.fallBehind(partition, index, ordinal - 1);",
      replacement: "watcher.fallBehind(partition, index, ordinal);",
    }],
  },
  {
    name: "lost_history_goes_unnoticed",
    breaks: "A watch ends where what it lacks is no longer in the history",
    test: SLOW_TEST,
    edits: [{
      file: CATCH_UP,
      anchor: "if (!this.#parts.histories.covers(partition.id, cursor.index, cursor.ordinal)) {",
      replacement: "if (!this.#parts.histories.covers(partition.id, Infinity, cursor.ordinal)) {",
    }],
  },
  {
    name: "state_leaves_newcomers_out",
    breaks: "A record that comes while the state is sent is sent with it, or as a change",
    test: STATE_TEST,
    edits: [{
      file: SCAN,
      anchor: "    if (isOfPage) this.#put(key);",
      replacement: "    void isOfPage;",
    }],
  },
  {
    name: "state_without_its_changes",
    breaks: "Changes of records that were sent as state are sent while the rest of it is",
    test: STATE_TEST,
    edits: [{
      file: SCAN,
      anchor: "if (this.#sent !== undefined && compareBytes(key, this.#sent) <= 0) return false;",
      replacement: "if (this.#isLastPage && this.#next === this.#page.length) return false;",
    }],
  },
  {
    name: "rights_checked_once",
    breaks: "A watch that loses a right loses the events",
    test: RIGHTS_TEST,
    edits: [{
      file: HUB,
      anchor: "if (peer === watcher.peer && !peer.revoked.aborted && !filter.isFeed) return true;",
      replacement: "if (peer.subject === watcher.peer.subject) return true;",
    }],
  },
  {
    name: "hashes_for_all_who_watch",
    breaks: "Watches that share a reply see no credential hash that their reads would not show",
    test: RIGHTS_TEST,
    edits: [{
      file: REPLIES,
      anchor: `const frame = hashesSeen === "all"`,
      replacement: `const frame = hashesSeen !== "some"`,
    }],
  },
];
