/** Mutants of what a region shows to others, and of who may follow it; each is shown by a unit test. */
import { type RegionsPlan, REMAKING_FAULTS } from "../../regions/plan.ts";
import type { Mutant } from "../mutant.ts";

const FEED_TEST = "tests/unit/serving/regions/region_feed.test.ts";
const SIM_TEST = "tests/sim/regions/regions.test.ts";
/** Regions that are made anew. */
const isRemade = ({ faults }: RegionsPlan) => REMAKING_FAULTS.some((kind) => faults.has(kind));
const PULLER = "src/region/shard_puller.ts";
const HUB = "src/serving/watch/watch_hub.ts";

export const REGION_MUTANTS: readonly Mutant[] = [
  {
    name: "region_scope_in_feed",
    breaks: "A record of region scope never leaves its region",
    test: FEED_TEST,
    edits: [{
      file: "src/serving/watch/watch_filter.ts",
      anchor: "    if (isFeed && record.scope !== SCOPE_GLOBAL) return false;",
      replacement: "",
    }],
  },
  {
    name: "left_record_shown",
    breaks: "Of a record that leaves the global scope, other regions see the form that they have",
    test: FEED_TEST,
    edits: [{
      file: "src/serving/watch/live_delivery.ts",
      anchor: '  if (isSecret && concern === "left") {',
      replacement: '  if (isSecret && concern === "left" && kind < 0) {',
    }],
  },
  {
    name: "form_before_of_any_scope",
    breaks: "A change shows the form before it only if that was global",
    test: FEED_TEST,
    edits: [{
      file: "src/serving/watch/live_delivery.ts",
      anchor: "matcher.hadDomain(kind, before) && matcher.matches(filter, kind, before)",
      replacement: "matcher.hadDomain(kind, before)",
    }],
  },
  {
    name: "foreign_node_is_a_node",
    breaks: "A node of another region may follow this one, and nothing else",
    test: "tests/unit/node/certified_sessions.test.ts",
    edits: [{
      file: "src/node/session_identity.ts",
      anchor: "      identity: callerOf(proven.identity, own().identity.region),",
      replacement: "",
    }],
  },
  {
    name: "follower_names_itself",
    breaks: "A node follows in the name of the region that its certificate is of",
    test: FEED_TEST,
    edits: [{
      file: "src/serving/regions/followers.ts",
      anchor: 'peer.role === "region" && peer.region !== follower',
      replacement: 'peer.role === "region" && peer.region === ""',
    }],
  },
  {
    name: "removed_region_follows_on",
    breaks: "The feeds of a region end when it is no peer any more",
    test: FEED_TEST,
    edits: [{
      file: HUB,
      anchor: " && !filter.isFeed) return true;",
      replacement: ") return true;",
    }],
  },
  {
    name: "bundle_for_other_regions",
    breaks: "A region's bundle vouches for that region only",
    test: "tests/unit/region/region_trust.test.ts",
    edits: [{
      file: "src/region/region_trust.ts",
      anchor: '    const text = regionOf(region)?.settings.bundle ?? "";',
      replacement: '    const text = regionOf(region) && regionOf("us-1")?.settings.bundle || "";',
    }],
  },
  {
    name: "age_as_of_arrival",
    breaks: "An age is stated as of when the source was asked, not as of when its answer arrived",
    test: SIM_TEST,
    edits: [{
      file: "src/client/watch/feed.ts",
      anchor: "        this.asOf = earlier(this.#askedAt, ageBoundMs);",
      replacement: "        this.asOf = readClocks(this.#clocks);",
    }],
  },
  {
    name: "removals_not_fed",
    breaks: "A record that its home removes ends in all regions",
    test: SIM_TEST,
    edits: [{
      file: "src/region/feed_records.ts",
      anchor:
        '      if (!isPut && type !== "deregistered" && type !== "expired") return undefined;',
      replacement: "      if (!isPut) return undefined;",
    }],
  },
  {
    name: "generation_not_checked",
    breaks: "A feed of another generation than the accepted one ends",
    test: "tests/unit/region/region_link.test.ts",
    edits: [{
      file: "src/region/feed_reader.ts",
      anchor: "    if (generation !== 0 && generation !== request.generation) {",
      replacement:
        "    if (generation !== 0 && generation < request.generation && generation > 9) {",
    }],
  },
  {
    name: "node_claims_any_shard",
    breaks: "A node may propose what a puller does, and about its own regions only",
    test: "tests/unit/serving/regions/region_proposals.test.ts",
    edits: [{
      file: "src/serving/regions/region_proposals.ts",
      anchor: "      return demand(nodeId === from && isPuller(name, from, regions), name);",
      replacement: "      return demand(nodeId > 0 || isPuller(name, from, regions), name);",
    }],
  },
  {
    name: "unaccepted_generation_swept",
    breaks: "What a region lost by its restore is not removed before its generation is accepted",
    showsRegions: isRemade,
    edits: [{
      file: PULLER,
      anchor: "      region.generation === status.generation;",
      replacement: "      region.generation > 0;",
    }],
  },
  {
    name: "unaccepted_cluster_followed",
    breaks: "A cluster that was founded anew is not followed before it is accepted",
    showsRegions: isRemade,
    edits: [{
      file: PULLER,
      anchor: "bytesEqual(region.clusterId, status.clusterId) &&",
      replacement: "bytesEqual(status.clusterId, status.clusterId) &&",
    }],
  },
  {
    name: "cursor_of_former_feed",
    breaks: "A cursor of a former feed says nothing about the accepted one",
    showsRegions: isRemade,
    edits: [{
      file: "src/region/puller.ts",
      anchor: "    const cursors = known.feed === source.feed",
      replacement: "    const cursors = known.feed <= source.feed",
    }],
  },
  {
    name: "former_feed_outranks",
    breaks: "What was mirrored of a former cluster is older than all that the accepted one says",
    showsRegions: isRemade,
    edits: [{
      file: "src/store/mirrors/mirror_sources.ts",
      anchor: "  return left.feed - right.feed || comparePositions(left.revision, right.revision);",
      replacement:
        "  return comparePositions(left.revision, right.revision) || left.feed - right.feed;",
    }],
  },
  {
    name: "state_without_generation",
    breaks: "The first records of a listing are of the generation that the source says",
    test: "tests/unit/region/region_link.test.ts",
    edits: [{
      file: "src/client/watch/feed.ts",
      anchor: "        cursor.stateOf(part.generation);\n        this.#state",
      replacement: "        this.#state",
    }, {
      file: "src/client/watch/feed.ts",
      anchor: "        cursor.stateOf(part.generation);\n        this.#owner",
      replacement: "        this.#owner",
    }],
  },
];
