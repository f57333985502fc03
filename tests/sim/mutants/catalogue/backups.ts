/** Mutants of backup, restore and unsafe recovery. */
import type { Mutant } from "../mutant.ts";

const PARTITIONS = "src/backup/rebuilt_partitions.ts";
const SYSTEM = "src/backup/rebuilt_system.ts";
const NODE_TEST = "tests/unit/backup/restored_node.test.ts";
const SYSTEM_TEST = "tests/unit/backup/rebuilt_system.test.ts";
const FOLDER_TEST = "tests/unit/backup/backup_folder.test.ts";
const LOST_TEST = "tests/sim/placed/majority_lost.test.ts";
const RECOVERY_TEST = "tests/unit/backup/unsafe_recovery.test.ts";

export const BACKUP_MUTANTS: readonly Mutant[] = [
  {
    name: "restore_keeps_generation",
    breaks: "A restored cluster assigns no incarnation that the former one may have assigned",
    test: NODE_TEST,
    edits: [{
      file: "src/backup/rebuilt_log.ts",
      anchor: "  const term = firstTermOf(generation);",
      replacement: "  const term = firstTermOf(generation - 1);",
    }],
  },
  {
    name: "restore_keeps_ring_epoch",
    breaks: "Ring maps of the former cluster are older than those of the restored one",
    test: SYSTEM_TEST,
    edits: [{
      file: SYSTEM,
      anchor: "    this.#log((from) => encodeRaiseGeneration(from, generation));",
      replacement: "    void [generation, encodeRaiseGeneration];",
    }],
  },
  {
    name: "generation_given_twice",
    breaks: "Two restores of one backup have different generations",
    test: FOLDER_TEST,
    edits: [{
      file: "src/backup/given_generations.ts",
      anchor: "    Math.max(backedUp, lastGiven(path)),",
      replacement: "    (void lastGiven, backedUp),",
    }],
  },
  {
    name: "torn_claim_kept",
    breaks: "After a restore every agent holds the domain that it names",
    showsPlaced: () => true,
    edits: [{
      file: PARTITIONS,
      anchor: "    const isWhole = alias !== undefined && isHeldBy(alias, holder);",
      replacement: "    const isWhole = alias !== undefined; void isHeldBy;",
    }],
  },
  {
    name: "domain_without_agent_kept",
    breaks: "After a restore a domain that no agent names is free",
    showsPlaced: () => true,
    edits: [{
      file: PARTITIONS,
      anchor:
        "      if (!holders.has(domain)) unheld.push({ domain, claim: { generation, index } });",
      replacement: "      void [domain, generation, index, holders];",
    }],
  },
  {
    name: "loser_keeps_record",
    breaks: "After a restore no two agents name one domain",
    showsPlaced: () => true,
    edits: [{
      file: PARTITIONS,
      anchor: "      this.#end(partition, id);",
      replacement: "      void [partition, this.#end];",
    }],
  },
  {
    name: "restored_leases_not_extended",
    breaks: "After a restore every lease has a full ttl",
    showsPlaced: () => true,
    edits: [{
      file: PARTITIONS,
      anchor: "        record.leaseExpiryMs = Math.max(record.leaseExpiryMs, coverMs);",
      replacement: "        void coverMs;",
    }],
  },
  {
    name: "restored_cursors_kept",
    breaks: "After a restore no cursor covers changes of mirrors that an older image lacks",
    test: "tests/unit/backup/rebuilt_partitions.test.ts",
    edits: [{
      file: PARTITIONS,
      anchor: "      store.mirrors.forgetPullers((home) => this.#options.feedOf(home) ?? 0);",
      replacement: "",
    }],
  },
  {
    name: "lost_feed_kept",
    breaks: "After a recovery no feed of a region is refused for one that group 0 has lost",
    test: "tests/unit/backup/rebuilt_partitions.test.ts",
    edits: [{
      file: "src/store/mirrors/mirror_reads.ts",
      anchor: "      if (source.feed > feed) source.begin(feed);",
      replacement: "      void feed;",
    }],
  },
  {
    name: "mirrors_of_lost_feed_kept",
    breaks: "After a recovery no mirror is compared with one of a feed that group 0 has lost",
    test: "tests/unit/backup/rebuilt_partitions.test.ts",
    edits: [{
      file: "src/store/mirrors/mirror_reads.ts",
      anchor: "      if (view.feed > feedOf(view.home)) view.feed = 0;",
      replacement: "",
    }],
  },
  {
    name: "fence_assigned_again_kept",
    breaks: "After a recovery no batch of a new puller counts as one of a former puller",
    test: "tests/unit/backup/rebuilt_partitions.test.ts",
    edits: [{
      file: "src/store/mirrors/mirror_sources.ts",
      anchor: "      for (const shard of shards.values()) shard.follow(0);",
      replacement: "      void shards;",
    }],
  },
  {
    name: "backup_of_old_state",
    breaks: "A backup has everything that was acknowledged before it began",
    test: "tests/unit/serving/backup_images.test.ts",
    edits: [{
      file: "src/serving/backup_images.ts",
      anchor: "group.readBarrier(0, ",
      replacement: "group.readBarrier(60_000, ",
    }],
  },
  {
    name: "damaged_backup_restored",
    breaks: "Nothing is restored of a backup whose checksums do not hold",
    test: FOLDER_TEST,
    edits: [{
      file: "src/backup/backup_folder.ts",
      anchor: 'if (hash.digest("hex") !== group.sha256)',
      replacement: 'if (hash.digest("hex") === "")',
    }],
  },
  {
    name: "recovery_while_majority_answers",
    breaks: "A cluster is not recovered from one node while a majority can be reached",
    test: RECOVERY_TEST,
    edits: [{
      file: "src/backup/unsafe_recovery.ts",
      anchor: "  if (!isMajority(members) && !isMajority(voters)) return;",
      replacement:
        "  if (!isMajority(members) || !isMajority(voters) || members.length > 0) return;",
    }],
  },
  {
    name: "interrupted_recovery_forgotten",
    breaks: "A recovery that a crash interrupted is finished by the next one",
    test: RECOVERY_TEST,
    edits: [{
      file: "src/backup/unsafe_recovery.ts",
      anchor: "    if (fs.existsSync(recoveredPathOf(mark))) {",
      replacement: "    if (fs.existsSync(recoveredPathOf(mark)) && fs.existsSync(mark)) {",
    }],
  },
  {
    name: "lost_plane_unwritten",
    breaks:
      "A recovered node has a replica of every group that is placed, also of one that is lost",
    test: RECOVERY_TEST,
    edits: [{
      file: "src/backup/member_folder.ts",
      anchor: "    (isPlaced ? newMachine(GOVERNED_GROUP, shared) : undefined);",
      replacement:
        "    (isPlaced && found.size < 0 ? newMachine(GOVERNED_GROUP, shared) : undefined);",
    }],
  },
  {
    name: "undecided_entries_dropped",
    breaks: "What a recovered node has of entries that others acknowledged is not lost",
    test: LOST_TEST,
    edits: [{
      file: "src/backup/member_folder.ts",
      anchor: "    machine.apply(at.index as LogIndex, at.term as Term, data, 0);",
      replacement:
        "    if (data.length < 0) machine.apply(at.index as LogIndex, at.term as Term, data, 0);",
    }],
  },
  {
    name: "lost_groups_unsaid",
    breaks: "An operator is told of every group of which acknowledged writes may be lost",
    test: LOST_TEST,
    edits: [{
      file: "src/backup/unsafe_recovery.ts",
      anchor: "      voters.filter((node) => node !== nodeId).length * 2 >= voters.length\n    ),",
      replacement:
        "      voters.filter((node) => node !== nodeId).length * 2 > 2 * voters.length\n    ),",
    }],
  },
  {
    name: "given_up_members_stay",
    breaks: "Members that were given up are none of the recovered cluster",
    test: LOST_TEST,
    edits: [{
      file: "src/backup/rebuilt_system.ts",
      anchor: "    for (const nodeId of others) remove(nodeId);",
      replacement: "    if (last !== undefined) for (const nodeId of others) remove(nodeId);",
    }],
  },
  {
    name: "token_of_former_generation_continued",
    breaks: "A token of before a recovery is not continued after it",
    test: LOST_TEST,
    edits: [{
      file: "src/serving/watch/watch_starts.ts",
      anchor: "  if (position.generation < generation) return historyLost(position, generation);",
      replacement: "  if (position.generation < 0) return historyLost(position, generation);",
    }],
  },
];
