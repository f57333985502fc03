/** Mutants of joining and placement, which seeds of clusters that grow catch, or test files. */
import type { Mutant } from "../mutant.ts";

const PLACEMENT = "tests/unit/replication/placement";
const PLAN = "src/replication/placement/plan.ts";
const RECONFIGURER = "src/replication/placement/reconfigurer.ts";
const NODE_GROUPS = "src/replication/assembly/node_groups.ts";
const CLUSTER_GROUPS = "src/replication/assembly/cluster_groups.ts";
const SYSTEM = "tests/unit/system";
const DEPARTURES_TEST = `${PLACEMENT}/departures.test.ts`;
const DEPARTURE_STATE = "src/system/departures/departure_state.ts";
const DEPARTURE_STATE_TEST = `${SYSTEM}/departures/departure_state.test.ts`;
const IMAGES_TEST = "tests/unit/replication/peers/resumed_images.test.ts";
const GOVERNED_TEST = "tests/unit/replication/placement/governed_plane.test.ts";

export const PLACEMENT_MUTANTS: readonly Mutant[] = [
  {
    name: "joiner_founds",
    breaks: "Only the founder founds; a node that joins waits for its group 0",
    showsPlaced: () => true,
    edits: [{
      file: NODE_GROUPS,
      anchor: `founds: ifAbsent === "sole voter",`,
      replacement: `founds: ifAbsent !== "corrupt",`,
    }],
  },
  {
    name: "founds_at_second_start",
    breaks: "Once there is a genesis, a group that is not in the log is lost and not founded again",
    showsPlaced: () => true,
    edits: [{
      file: CLUSTER_GROUPS,
      anchor: "const mayFound = isFounder && (this.created || isLossAccepted);",
      replacement: "void isLossAccepted; const mayFound = isFounder;",
    }, {
      // Otherwise the log's record of the removal stands in the way.
      file: CLUSTER_GROUPS,
      anchor: "    if (this.nodes.isPast(placed)) return;",
      replacement: "",
    }],
  },
  {
    name: "member_found_late",
    breaks: "A leader that learns late where a member is wakes its group to send to it",
    test: "tests/unit/replication/node_liveness.test.ts",
    edits: [{
      file: "src/replication/node_liveness.ts",
      anchor: "?? 0) < lacking) this.#hasNews = true;",
      replacement: "?? 0) < 0) this.#hasNews = true;",
    }],
  },
  {
    name: "pause_ignored",
    breaks:
      "While moves are paused, no partition moves that has all its replicas on nodes that stay",
    showsPlaced: ({ pausesMs }) => pausesMs !== undefined,
    edits: [{
      file: PLAN,
      anchor: "if (state.moves.arePaused && isWhole(",
      replacement: "if (nodes.length < 0 && isWhole(",
    }],
  },
  {
    name: "pause_holds_departures",
    breaks: "A pause of moves keeps no replica on a node that departs",
    test: `${PLACEMENT}/plan.test.ts`,
    edits: [{
      file: PLAN,
      anchor: "return held.length >= wished && held.every(({ node }) => mayHold.has(node));",
      replacement: "return held.length >= wished && mayHold.size > 0;",
    }],
  },
  {
    name: "pause_holds_repairs",
    breaks: "A pause of moves keeps no partition from getting the replicas that it lacks",
    test: `${PLACEMENT}/plan.test.ts`,
    edits: [{
      file: PLAN,
      anchor: "return held.length >= wished && held.every(({ node }) => mayHold.has(node));",
      replacement: "return wished > 0 && held.every(({ node }) => mayHold.has(node));",
    }],
  },
  {
    name: "joiner_given_up",
    breaks: "No replica that joins is given up if it would be missed: it may vote already",
    test: `${PLACEMENT}/plan.test.ts`,
    edits: [{
      file: PLAN,
      anchor: ".slice(0, lacking);",
      replacement: ".slice(0, lacking * 0);",
    }],
  },
  {
    name: "removed_replica_returns",
    breaks: "A replica that was removed never opens or joins again under its id",
    showsPlaced: () => true,
    edits: [{
      file: NODE_GROUPS,
      anchor: "return owner > replica || owner === replica && this.#recovery.retired.has(group);",
      replacement: "return owner > replica;",
    }],
  },
  {
    name: "assigned_id_given_twice",
    breaks: "A replica id that was retired is never assigned again",
    showsPlaced: () => true,
    edits: [{
      file: "src/system/replicas/replica_state.ts",
      anchor: "    this.#replicas.delete(id);",
      replacement: "    if (this.#replicas.delete(id)) this.#next--;",
    }],
  },
  {
    name: "unknown_command_skipped",
    breaks: "A command of an unknown kind stops the replica, which would diverge if it skipped it",
    test: "tests/unit/system/system_store.test.ts",
    edits: [{
      file: "src/system/system_store.ts",
      anchor: "throw laterProgram(`command kind ${kind} of group 0`);",
      replacement: "void laterProgram; return OK;",
    }],
  },
  {
    name: "unknown_partition_command_skipped",
    breaks: "A command of an unknown kind stops the replica of a partition, too",
    showsPlaced: ({ newerCommand }) => newerCommand === "a partition",
    edits: [{
      file: "src/store/apply_command.ts",
      anchor: "        throw laterProgram(`command kind ${kind} of a partition`);",
      replacement: "        void laterProgram;",
    }],
  },
  {
    name: "removed_before_confirmed",
    breaks: "A leaving replica stays until the placement without it is confirmed",
    test: `${PLACEMENT}/plan.test.ts`,
    edits: [{
      file: "src/replication/assembly/placed_here.ts",
      anchor: "if (here === undefined) return undefined;",
      replacement: `if (here === undefined || here.role === "leaving") return undefined;`,
    }],
  },
  {
    name: "learner_promoted_early",
    breaks: "A learner becomes a voter once it has the log",
    showsPlaced: () => true,
    edits: [{
      file: RECONFIGURER,
      anchor: `if (!joining.every(isReady)) return { kind: "none" };`,
      replacement: "",
    }],
  },
  {
    name: "leader_removes_itself",
    breaks: "A leader that is to go hands its leadership over first",
    showsPlaced: () => true,
    edits: [{
      file: RECONFIGURER,
      anchor: "const removed = present.filter((replica) => replica !== self);",
      replacement: "const removed = present;",
    }],
  },
  {
    name: "step_without_revision",
    breaks: "A step of a placement names the revision that it replaces",
    test: `${SYSTEM}/placement/placement_state.test.ts`,
    edits: [{
      file: "src/system/placement/placement_state.ts",
      anchor: "if (revision !== replacedRevision) {",
      replacement: "if (revision < replacedRevision) {",
    }],
  },
  {
    name: "late_confirmation_taken",
    breaks: "A confirmation that was asked for by an earlier placement ends no later one",
    test: `${PLACEMENT}/plan.test.ts`,
    edits: [{
      file: PLAN,
      anchor:
        "if (placement?.revision !== made.revision || !isChanging(placement)) return undefined;",
      replacement: "if (placement === undefined) return undefined;",
    }, {
      file: PLAN,
      anchor: "    replacedRevision: made.revision,",
      replacement: "    replacedRevision: placement.revision,",
    }],
  },
  {
    name: "placement_without_voter",
    breaks: "A partition whose former nodes all leave keeps one until the new ones vote",
    test: `${PLACEMENT}/plan.test.ts`,
    edits: [{
      file: PLAN,
      anchor: "if (staying.length + returning.length === 0) missed = Math.max(1, missed);",
      replacement: "if (staying.length + returning.length === 0) missed = 0;",
    }],
  },
  {
    name: "stuck_change_stays",
    breaks: "A change that waits for a node which may hold nothing any more is planned anew",
    test: DEPARTURES_TEST,
    edits: [{
      file: PLAN,
      anchor: 'held.every(({ node, role }) => role !== "joining" || mayHold.has(node))',
      replacement: "held.every(({ node }) => node >= 0 || mayHold.has(node))",
    }],
  },
  {
    name: "late_step_of_departure",
    breaks: "A step of a departure that is over, or has another goal by now, changes nothing",
    test: DEPARTURE_STATE_TEST,
    edits: [{
      file: DEPARTURE_STATE,
      anchor: "if (departure.revision === revision) return departure;",
      replacement: "if (revision >= 0) return departure;",
    }],
  },
  {
    name: "removed_with_replicas",
    breaks: "A member is removed only when no placement names a replica on it",
    test: DEPARTURE_STATE_TEST,
    edits: [{
      file: DEPARTURE_STATE,
      anchor: "if (held > 0) throw invalid(",
      replacement: "if (held < 0) throw invalid(",
    }],
  },
  {
    name: "too_few_stay",
    breaks: "As many nodes stay as a partition has replicas, unless an operator allows fewer",
    test: DEPARTURE_STATE_TEST,
    edits: [{
      file: DEPARTURE_STATE,
      anchor: "if (staying >= REPLICAS || isFewerAllowed) return;",
      replacement: "if (staying >= 1 || isFewerAllowed) return;",
    }],
  },
  {
    name: "missed_replica_leaves",
    breaks: "No replica leaves a partition that would then have fewer than it is to have",
    test: `${PLACEMENT}/plan.test.ts`,
    edits: [{
      file: PLAN,
      anchor: "missed -= leaving.splice(0, missed).length;",
      replacement: "missed -= Math.min(missed, leaving.length);",
    }],
  },
  {
    name: "replicas_before_leaders",
    breaks: "The replicas of a departing node move when it leads nothing any more",
    test: `${PLACEMENT}/plan.test.ts`,
    edits: [{
      file: PLAN,
      anchor: "if (move.leaving.some((node) => waiting.has(node))) continue;",
      replacement: "void waiting;",
    }],
  },
  {
    name: "departing_node_leads",
    breaks: "A departing node hands over all that it leads",
    test: DEPARTURES_TEST,
    edits: [{
      file: "src/replication/placement/leader_balance.ts",
      anchor: "return this.#handOver(DEPARTURE_TRANSFERS_AT_ONCE);",
      replacement: "void DEPARTURE_TRANSFERS_AT_ONCE;",
    }],
  },
  {
    name: "removed_node_in_group_0",
    breaks: "Group 0 ends with no replica on a node that was removed",
    test: DEPARTURES_TEST,
    edits: [{
      file: "src/replication/placement/placement_runner.ts",
      anchor: "if (changes.length === 0) changes.push(...this.#removals());",
      replacement: "void this.#removals();",
    }],
  },
  {
    name: "number_of_another_folder",
    breaks: "A number with one data folder is never taken by another",
    showsPlaced: () => true,
    edits: [{
      file: "src/system/members/member_state.ts",
      anchor: "if (before !== undefined && !bytesEqual(before.folderId, folderId)) {",
      replacement: "if (before !== undefined && bytesEqual(before.folderId, new Uint8Array(16))) {",
    }],
  },
  {
    name: "number_of_founder_given_away",
    breaks: "Nobody joins before the founder has described itself",
    test: `${PLACEMENT}/joining.test.ts`,
    edits: [{
      file: "src/replication/placement/joining.ts",
      anchor: `if (from === "other" && state.members.count === 0) throw beingFounded();`,
      replacement: "void beingFounded;",
    }],
  },
  {
    name: "balance_by_partial_view",
    breaks:
      "Nodes that see different leaders balance by one spread, or they undo each other's moves",
    test: `${PLACEMENT}/leader_balance.test.ts`,
    edits: [{
      file: "src/replication/placement/leader_balance.ts",
      anchor:
        "this.#spread = isWhole ? undefined : spreadLeaders({ placements: this.#narrowed(placed) });",
      replacement: "void isWhole;",
    }],
  },
  {
    name: "full_disk_keeps_leading",
    breaks: "A node whose log takes no writes hands over what it leads",
    test: `${PLACEMENT}/leader_balance.test.ts`,
    edits: [{
      file: "src/replication/placement/leader_balance.ts",
      anchor: "if (nowMs - this.#unwritableSinceMs >= LEADER_UNWRITABLE_MS) {",
      replacement: "if (nowMs < this.#unwritableSinceMs) {",
    }],
  },
  {
    name: "apply_version_before_all_know",
    breaks: "The apply version is raised only once every member's program knows it",
    test: `${SYSTEM}/versions/version_state.test.ts`,
    edits: [{
      file: "src/system/versions/version_state.ts",
      anchor: "    if (version > applyVersionMax) {",
      replacement: "    if (version > Math.max(applyVersionMax, APPLY_VERSION_MAX)) {",
    }],
  },
  {
    name: "programs_kept_before_all_do",
    breaks: "What earlier programs do not keep of a command is kept only from its apply version on",
    test: `${SYSTEM}/members/member_state.test.ts`,
    edits: [{
      file: "src/system/members/member_state.ts",
      anchor: "return hasPrograms ? admission : ",
      replacement: "return hasPrograms || admission.nodeId >= 0 ? admission : ",
    }],
  },
  {
    name: "older_program_taken_back",
    breaks: "A node whose program cannot apply what group 0 logs gets no session",
    test: "tests/unit/replication/peers/peer_hello.test.ts",
    edits: [{
      file: "src/replication/peers/peer_hello.ts",
      anchor: "  return refusalOfProgram(hello, facts) ?? refusalOfSettings(hello, facts);",
      replacement: "  void refusalOfProgram;\n  return refusalOfSettings(hello, facts);",
    }],
  },
  {
    name: "image_of_other_replica_continued",
    breaks: "An image is continued only if its group, replicas, index and term are the same",
    test: IMAGES_TEST,
    edits: [{
      file: "src/replication/peers/partial_images.ts",
      anchor: "bytesEqual(own.processId, processId) && bytesEqual(own.header, header)",
      replacement: "bytesEqual(own.processId, processId) && own.header.length === header.length",
    }],
  },
  {
    name: "image_of_other_run_continued",
    breaks: "An image is continued only by the process that began it",
    test: IMAGES_TEST,
    edits: [{
      file: "src/replication/peers/partial_images.ts",
      anchor: "bytesEqual(own.processId, processId) && bytesEqual(own.header, header)",
      replacement: "own.processId.length === processId.length && bytesEqual(own.header, header)",
    }],
  },
  {
    name: "image_chunk_unchecked",
    breaks: "A chunk of an image that is not what its CRC-32 says is not taken",
    test: "tests/unit/replication/peers/hostile_peer.test.ts",
    edits: [{
      file: "src/replication/peers/image_stream.ts",
      anchor: "  if (crc32(chunk, viewOf(chunk), 0, length) !== head.getUint32(4, true)) {",
      replacement: "  if (crc32(chunk, viewOf(chunk), 0, length) === -1) {",
    }],
  },
  {
    name: "stopping_node_keeps_leading",
    breaks: "A node that stops hands over what it leads before it refuses requests",
    test: `${PLACEMENT}/leader_balance.test.ts`,
    edits: [{
      file: "src/replication/placement/leader_balance.ts",
      anchor:
        "next !== undefined && this.#transfer(hosted, [next]) || this.#transfer(hosted, heirs);",
      replacement: "next !== undefined && heirs.length > 9 && this.#transfer(hosted, [next]);",
    }],
  },
  {
    name: "place_inherited_beside_own_share",
    breaks: "A successor that holds partitions keeps its own place, or these would move too",
    test: DEPARTURE_STATE_TEST,
    edits: [{
      file: DEPARTURE_STATE,
      anchor: "this.#knowsStandbys && this.heldBy(successor) === 0",
      replacement: "this.#knowsStandbys && this.heldBy(successor) >= 0",
    }],
  },
  {
    name: "place_of_two_nodes",
    breaks: "A node that stays after all has its place again, and its successor its own",
    test: DEPARTURE_STATE_TEST,
    edits: [{
      file: DEPARTURE_STATE,
      anchor: "    if (successor !== 0 && isShared) members.setRingId(successor, successor);",
      replacement: "    void isShared;",
    }],
  },
  {
    name: "plane_placed_before_all_know",
    breaks: "The governed plane is placed only once all members know its group",
    test: GOVERNED_TEST,
    edits: [{
      file: "src/replication/placement/placement_runner.ts",
      anchor: "versions.applyVersion >= GOVERNED_APPLY_VERSION && ",
      replacement: "versions.applyVersion < GOVERNED_APPLY_VERSION + 1 && ",
    }],
  },
  {
    name: "plane_founded_by_each_voter",
    breaks: "Only the first replica of the governed plane founds it; the others join it",
    test: GOVERNED_TEST,
    edits: [{
      file: "src/replication/assembly/placed_here.ts",
      anchor: "const isFounding = !isJoining && placement.configurationIndex",
      replacement: "const isFounding = placement.configurationIndex",
    }, {
      file: "src/replication/assembly/placed_here.ts",
      anchor: "replica === here.replica || isNew(role)",
      replacement: `replica === here.replica || role !== undefined`,
    }],
  },
  {
    name: "plane_founded_again",
    breaks: "A replica of the governed plane that is in the log is not founded again",
    test: "tests/unit/replication/assembly/cluster_groups.test.ts",
    edits: [{
      file: CLUSTER_GROUPS,
      anchor: "if (!isFounding || this.#isInLog(place)) return",
      replacement: "if (!isFounding) return",
    }],
  },
];
