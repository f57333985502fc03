/** Mutants of whole nodes and of the SDK, which seeds of clusters that grow catch, or test files. */
import type { Mutant } from "../mutant.ts";

const LIST_PAGES = "src/serving/list_pages.ts";
const LEADERS = "src/client/partition_leaders.ts";
const ALIASES = "src/store/apply_aliases.ts";

export const CLUSTER_MUTANTS: readonly Mutant[] = [
  {
    name: "list_skips_elsewhere",
    breaks: "A list skips no partition that this node does not hold",
    showsPlaced: ({ machines }) => machines.length > 3,
    edits: [{
      file: LIST_PAGES,
      anchor: `        scope.leaveOut(id, notReplica(partition));
        continue;
      }
      const point = yield*`,
      replacement: `        scope.finish(id);
        continue;
      }
      const point = yield*`,
    }],
  },
  {
    name: "list_skips_rest_of_partition",
    breaks: "A page that ends within a partition is continued there",
    showsPlaced: () => true,
    edits: [{
      file: LIST_PAGES,
      anchor:
        "        scope.stop(id, taken > 0 ? idOfSlot(partition, slots[taken - 1]!) : afterId);",
      replacement: "        void idOfSlot; scope.finish(id);",
    }],
  },
  {
    name: "hint_over_refusal",
    breaks: "A node that refused is not believed to lead any more",
    showsPlaced: () => true,
    edits: [{
      file: LEADERS,
      anchor: "if (this.leaderOf(partition) === node) this.#hints[index] = NOBODY;",
      replacement: "void node;",
    }],
  },
  {
    name: "ring_map_is_not_pushed",
    breaks: "Clients are told the ring map after each change of members and placements",
    showsPlaced: () => true,
    edits: [{
      file: "src/node/sessions.ts",
      anchor: "if (this.#closing || this.#ringPush !== undefined) return;",
      replacement: "if (this.#closing || this.#open.size >= 0) return;",
    }],
  },
  {
    name: "missed_address_is_not_believed",
    breaks:
      "Without a leader of group 0 a node believes others where a member is that it cannot reach",
    test: "tests/unit/node/missed_members.test.ts",
    edits: [{
      file: "src/node/missed_members.ts",
      anchor: "if (own !== undefined && !this.#isDoubtful(nodeId)) return false;",
      replacement: "if (own !== undefined) return false;",
    }],
  },
  {
    name: "missed_members_are_not_asked_for",
    breaks: "A node that was away learns of the members that joined meanwhile",
    test: "tests/unit/node/missed_members.test.ts",
    edits: [{
      file: "src/node/missed_members.ts",
      anchor: "if (nodes.length === 0) return;",
      replacement: "if (nodes.length >= 0) return;",
    }],
  },
  {
    name: "reads_left_to_predecessor",
    breaks: "A new leader asks anew for reads that it had asked of the leader before",
    test: "tests/unit/replication/group.test.ts",
    edits: [{
      file: "src/replication/group_loop.ts",
      anchor: "    else this.#reads?.askAnew(Infinity);",
      replacement: "",
    }],
  },
  {
    name: "reads_left_to_full_disk",
    breaks: "A replica that ceases to lead refuses the reads that wait for it",
    test: "tests/unit/replication/placement/leader_balance.test.ts",
    edits: [{
      file: "src/replication/group_loop.ts",
      anchor: "    if (leadership.term === 0) this.#reads?.refuseAll(this.notLeader());",
      replacement: "    if (leadership.term === 0) this.#reads?.askAnew(-Infinity);",
    }],
  },
  {
    name: "follower_reads_as_leader",
    breaks: "Only a leader with a lease serves a read without asking others",
    showsPlaced: () => true,
    edits: [{
      file: "src/replication/group.ts",
      anchor:
        "    if (maxStalenessMs === 0 || this.#members.isSole) return this.#recoveredPoint();",
      replacement: "    if (!this.#members.isSole) return this.#applied.point;",
    }],
  },
  {
    name: "domain_of_another",
    breaks: "A domain that an agent holds is claimed by no other",
    showsPlaced: () => true,
    edits: [{
      file: ALIASES,
      anchor: "    if (!samePosition(replaces, current)) {",
      replacement: "    if (!samePosition(replaces, current) && replaces.index !== 0) {",
    }, {
      file: "src/serving/claim_steps.ts",
      anchor: "const found = replaces.index === 0 ? this.find(home, domain) : undefined;",
      replacement: "const found = undefined as DomainClaim | undefined;",
    }],
  },
  {
    name: "claim_is_not_compared",
    breaks: "A domain resolves to an agent only if that agent has its claim",
    showsPlaced: () => true,
    edits: [{
      file: "src/serving/read_path.ts",
      anchor:
        "agent.claimIndex !== alias.claimIndex || agent.claimGeneration !== alias.claimGeneration",
      replacement: "agent.claimIndex === -1",
    }, {
      file: "src/client/calls/resolve_completion.ts",
      anchor: "const isHolder = samePosition(found.claim, claim) && found",
      replacement: "const isHolder = found",
    }],
  },
  {
    name: "claim_stays_pending",
    breaks: "A claim whose agent registered is confirmed in the end, whoever stopped in between",
    test: "tests/unit/serving/domain_claims.test.ts",
    edits: [{
      file: "src/serving/alias_janitor.ts",
      anchor: "if (isHeld && repair.pending) await claims.confirm(repair, deadlineMs);",
      replacement: "void isHeld;",
    }],
  },
  {
    name: "claim_of_nobody_stays",
    breaks: "A claim whose agent never registered is given up in the end",
    showsPlaced: () => true,
    edits: [{
      file: "src/serving/alias_janitor.ts",
      anchor: "      if (!held && pending && !this.#seenBefore(domain, claim)) return;",
      replacement: "      if (!held && pending && this.#suspects.size >= 0) return;",
    }],
  },
];
