/**
 * Mutants of the order of mirrors: which changes of another region take effect here. Two regions are not
 * simulated yet; a test drives pullers through every order that a network could make.
 */
import type { Mutant } from "../mutant.ts";

const MIRRORS_TEST = "tests/fuzz/store_mirrors.test.ts";
const APPLY = "src/store/mirrors/apply_mirrors.ts";
const CHANGES = "src/store/mirrors/mirror_changes.ts";
const SOURCES = "src/store/mirrors/mirror_sources.ts";
const READS_TEST = "tests/unit/serving/regions/mirrored_reads.test.ts";
const WATCH_TEST = "tests/unit/serving/watch/watch_mirrors.test.ts";
const HOMES = "src/serving/regions/mirror_homes.ts";
const RESOLUTION = "src/serving/mirrored_resolution.ts";

export const MIRROR_MUTANTS: readonly Mutant[] = [
  {
    name: "two_pullers",
    breaks: "Once a puller has logged its fence, no batch of an earlier one is taken",
    test: MIRRORS_TEST,
    edits: [{
      file: APPLY,
      anchor: "  if (fence < shard.fence) {",
      replacement: "  if (fence < shard.fence && number < 0) {",
    }],
  },
  {
    name: "batch_after_gap",
    breaks: "A batch is taken only after the one before",
    test: MIRRORS_TEST,
    edits: [{
      file: APPLY,
      anchor: "  if (number > shard.batch + 1) {",
      replacement: "  if (number > shard.batch + 2) {",
    }],
  },
  {
    name: "mirror_goes_back",
    breaks: "A change has no effect after a later one of its record",
    test: MIRRORS_TEST,
    edits: [{
      file: CHANGES,
      anchor:
        '    if (slot !== -1 && compareOrders(orderOf(mirrors.view(slot)), order) >= 0) return "late";',
      replacement: "",
    }],
  },
  {
    name: "mirror_tombstone_ignored",
    breaks: "A change that came before the removal of its record has no effect after it",
    test: MIRRORS_TEST,
    edits: [{
      file: CHANGES,
      anchor: '    if (this.#isRemovedSince(order, kind, idAt)) return "late";',
      replacement: "",
    }],
  },
  {
    name: "mirror_tombstone_dropped_early",
    breaks: "A tombstone lasts until no older change of its record can come again",
    test: MIRRORS_TEST,
    edits: [{
      file: SOURCES,
      anchor: "      if (removed.batch > batch) return;",
      replacement: "      void removed; void batch;",
    }],
  },
  {
    name: "mirror_tombstones_end_with_fence",
    breaks: "A takeover drops no tombstone: the new puller begins at an older cursor",
    test: MIRRORS_TEST,
    edits: [{
      file: SOURCES,
      anchor: "    for (const [key, removed] of this.#current) this.#earlier.set(key, removed);",
      replacement: "",
    }],
  },
  {
    name: "late_removal_of_mirror",
    breaks: "A removal has no effect on a record that was registered again since",
    test: MIRRORS_TEST,
    edits: [{
      file: CHANGES,
      anchor: '    if (compareOrders(orderOf(mirrors.view(slot)), order) > 0) return "late";',
      replacement: "",
    }],
  },
  {
    name: "sweep_of_other_change",
    breaks: "A sweep removes exactly the change that was seen",
    test: MIRRORS_TEST,
    edits: [{
      file: CHANGES,
      anchor:
        '    if (slot === -1 || compareOrders(orderOf(mirrors.view(slot)), seen) !== 0) return "late";\n' +
        '    if (!this.#isListed(seen, item)) return "late";',
      replacement: '    if (slot === -1) return "late"; void this.#isListed;',
    }],
  },
  {
    name: "sweep_of_later_change",
    breaks: "A listing says nothing about changes that came after it",
    test: "tests/unit/store/mirrors/apply_mirrors.test.ts",
    edits: [{
      file: CHANGES,
      anchor: '    if (!this.#isListed(seen, item)) return "late";',
      replacement: "    void item;",
    }],
  },
  {
    name: "region_scope_mirrored",
    breaks: "A record of region scope is never stored outside of its region",
    test: "tests/unit/store/mirrors/apply_mirrors.test.ts",
    edits: [{
      file: CHANGES,
      anchor: "    if (record.scope !== 0) {",
      replacement: "    if (record.scope === 99) {",
    }],
  },
  {
    name: "alias_of_earlier_claim",
    breaks: "An alias of another region follows the claims on its domain",
    test: MIRRORS_TEST,
    edits: [{
      file: CHANGES,
      anchor:
        '    if (slot !== -1 && this.#compareAlias(slot, this.#feed, item) >= 0) return "late";',
      replacement: "",
    }],
  },
  {
    name: "feed_generation_ignored",
    breaks: "What a later feed says is newer than all that earlier ones said",
    test: MIRRORS_TEST,
    edits: [{
      file: SOURCES,
      anchor: "  return left.feed - right.feed || comparePositions(left.revision, right.revision);",
      replacement: "  return comparePositions(left.revision, right.revision);",
    }],
  },
  {
    name: "mirrored_domain_without_claim",
    breaks: "An agent of another region holds a domain by the claim that its region's alias names",
    test: READS_TEST,
    edits: [{
      file: RESOLUTION,
      anchor: "    if (!samePosition(held, claim) || !hasDomain(agent, domain)) return false;",
      replacement: "    if (!hasDomain(agent, domain)) return false;",
    }],
  },
  {
    name: "mirrored_domain_of_lost_claim",
    breaks: "A claim that a region assigned anew after a loss gives no domain away",
    test: READS_TEST,
    edits: [{
      file: RESOLUTION,
      anchor: "    if (!samePosition(held, claim) || !hasDomain(agent, domain)) return false;",
      replacement: "    if (!samePosition(held, claim)) return false;",
    }],
  },
  {
    name: "suspended_mirror_preferred",
    breaks: "A fresh mirror is served before a suspended one",
    test: READS_TEST,
    edits: [{
      file: HOMES,
      anchor: "    return isFresh(this.#ageMs(home)) ? index : SUSPENDED_RANK + index;",
      replacement: "    return index;",
    }],
  },
  {
    name: "unknown_region_fresh",
    breaks: "Mirrors of a region of which nothing is known are suspended",
    test: READS_TEST,
    edits: [{
      file: HOMES,
      anchor: "  return ageMs !== undefined && ageMs <= MIRROR_FRESH_MS_MAX;",
      replacement: "  return ageMs === undefined || ageMs <= MIRROR_FRESH_MS_MAX;",
    }],
  },
  {
    name: "mirror_age_stands_still",
    breaks: "The stated age of a mirror is not below its age when it is answered",
    test: READS_TEST,
    edits: [{
      file: HOMES,
      anchor: "    const ageMs = wireAge(source.ageMs + this.#options.clock.nowMs() - readAtMs);",
      replacement: "    const { ageMs } = source;",
    }],
  },
  {
    name: "mirror_listed_beside_own_record",
    breaks: "A list has a record once: the own one hides mirrors of it",
    test: READS_TEST,
    edits: [{
      file: "src/store/listing.ts",
      anchor: "    if (state.findLive(kind, bytes, at, at + 16) !== -1) return;",
      replacement: "",
    }],
  },
  {
    name: "foreign_record_registered",
    breaks: "Only its home writes a record",
    test: READS_TEST,
    edits: [{
      file: "src/serving/regions/foreign_records.ts",
      anchor: "    this.checkMissing(partition, kind, id);",
      replacement: "",
    }],
  },
  {
    name: "mirror_unmarked_in_watch",
    breaks: "An event of a mirror names the home of its record",
    test: WATCH_TEST,
    edits: [{
      file: "src/serving/watch/live_delivery.ts",
      anchor: "      ...{ ...common, ...matcher.recordOf(record), remainingMs: 0 },",
      replacement: '      ...{ ...common, ...matcher.recordOf(record), remainingMs: 0, home: "" },',
    }],
  },
  {
    name: "mirrors_watched_unasked",
    breaks: "A watch of own records is told of no others",
    test: WATCH_TEST,
    edits: [{
      file: "src/serving/watch/watch_filter.ts",
      anchor: "      const mirrored = filter.withMirrors ? this.recordOf(form) : undefined;",
      replacement: "      const mirrored: MirroredRecord | undefined = this.recordOf(form);",
    }],
  },
  {
    name: "last_known_mirror_keeps_its_age",
    breaks: "The stated age of a mirror is not below its age when it is answered",
    test: "tests/unit/client/sources.test.ts",
    edits: [{
      file: "src/client/sources.ts",
      anchor: "  const now = ageMs + Math.ceil(ms);",
      replacement: "  const now = ageMs + 0 * ms;",
    }],
  },
];
