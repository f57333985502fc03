/** Mutants of leader leases: support between nodes, promises, the start of a lease. */
import type { Plan } from "../../plan.ts";
import type { Mutant } from "../mutant.ts";

const withLeases = ({ leases }: Plan): boolean => leases;

/** Plans with leases in which a disk may be stuck for longer than a leader may serve. */
const withStuckDisks = ({ faults, leases }: Plan): boolean => leases && faults.has("stuck_write");

export const LEASE_MUTANTS: readonly Mutant[] = [
  {
    name: "lease_before_first_entry_of_term",
    breaks: "No lease serves before an entry of the leader's own term is committed",
    shows: withLeases,
    edits: [{
      file: "src/raft/transfer.ts",
      anchor:
        `core.role === "leader" && core.timeoutNowTerm !== core.term && core.hasCommittedInTerm`,
      replacement: `core.role === "leader" && core.timeoutNowTerm !== core.term`,
    }, {
      file: "src/replication/group.ts",
      anchor: "    if (!this.#leadership.isServing) return this.#pointOfFollower(maxStalenessMs);",
      replacement: "    if (this.#leadership.term === 0) return undefined;",
    }],
  },
  {
    name: "lease_kept_through_transfer",
    breaks: "Once TimeoutNow was sent, there is no lease in that term",
    shows: withLeases,
    edits: [{
      file: "src/raft/transfer.ts",
      anchor:
        `core.role === "leader" && core.timeoutNowTerm !== core.term && core.hasCommittedInTerm`,
      replacement: `core.role === "leader" && core.hasCommittedInTerm`,
    }],
  },
  {
    name: "lease_resumed_after_aborted_transfer",
    breaks: "An aborted transfer does not restore the lease: TimeoutNow may arrive late",
    shows: withLeases,
    edits: [{
      file: "src/raft/transfer.ts",
      anchor: `core.timeoutNowTerm !== core.term && core.hasCommittedInTerm`,
      replacement: `core.transferee === NO_REPLICA && core.hasCommittedInTerm`,
    }],
  },
  {
    name: "no_wait_before_voting_after_restart",
    breaks: "After a restart a node waits out the longest support it may have given",
    shows: withLeases,
    edits: [{
      file: "src/liveness/peers.ts",
      anchor: "this.#voteFromMs = mayHaveSupported\n",
      replacement: "this.#voteFromMs = mayHaveSupported && run < 0\n",
    }],
  },
  {
    name: "lease_counted_from_arrival",
    breaks:
      "Support counts from the sending of the answered beat, not from the arrival of its reply",
    shows: withLeases,
    edits: [{
      file: "src/liveness/liveness.ts",
      anchor: "const sentMs = peer.sent.sentMs(beat.granted);",
      replacement: "const sentMs = beat.granted === 0 ? -Infinity : this.#peers.now();",
    }],
  },
  {
    name: "support_revives_after_lapse",
    breaks: "Support that lapsed is withdrawn permanently",
    shows: withLeases,
    edits: [{
      file: "src/liveness/given_support.ts",
      anchor: `    if (this.#epoch !== 0 && nowMs >= this.#untilMs) this.withdraw();
    return this.#epoch;`,
      replacement: "    return nowMs >= this.#untilMs ? 0 : this.#epoch;",
    }],
  },
  {
    name: "support_ends_early",
    breaks: "Support lasts as long as the supported node relies on it",
    shows: withLeases,
    edits: [{
      file: "src/liveness/given_support.ts",
      anchor: "this.#untilMs = nowMs + this.#supportMs;",
      replacement: "this.#untilMs = nowMs + this.#supportMs / 2;",
    }],
  },
  {
    name: "restarted_follower_still_counted",
    breaks: "Promises that a follower made before its restart no longer count",
    shows: withLeases,
    edits: [{
      file: "src/liveness/peers.ts",
      anchor: `    peer.releases.clear();
    this.#stand(peer);
  }

  #stand(`,
      replacement: `    peer.releases.clear();
    if (peer.received === undefined) this.#stand(peer);
  }

  #stand(`,
    }],
  },
  {
    name: "promise_of_earlier_epoch_counted",
    breaks: "A promise counts under the epoch that it names, and under no later one",
    shows: withLeases,
    edits: [
      {
        file: "src/liveness/fortification.ts",
        anchor:
          "if (peer === undefined || received?.epoch !== epoch || received.run !== run) return false;",
        replacement: "if (peer === undefined || received?.run !== run) return false;",
      },
      {
        file: "src/liveness/peers.ts",
        anchor: `    peer.isEpochRefused = false;
    peer.nextBeatMs = this.now();
    this.#stand(peer);`,
        replacement: `    peer.isEpochRefused = false;
    peer.nextBeatMs = this.now();
    if (peer.received === undefined) this.#stand(peer);
    else Object.assign(peer.received, { epoch });`,
      },
    ],
  },
  {
    name: "promise_not_kept",
    breaks:
      "A replica that promised to follow a leader votes for no other while its node is supported",
    shows: withLeases,
    edits: [{
      file: "src/liveness/fortification.ts",
      anchor: "return this.#standingPromise(lead, term) !== undefined;",
      replacement: "return lead !== 0 && term < 0 && this.#promise !== undefined;",
    }],
  },
  {
    name: "promise_after_moving_on",
    breaks: "A reply that waited for its write is no promise once its sender has changed its term",
    shows: withLeases,
    edits: [{
      file: "src/liveness/fortification.ts",
      anchor:
        `if (node.role !== "follower" || node.lead !== to || node.term !== term) return false;`,
      replacement: `if (node.role === "leader") return false;`,
    }],
  },
  {
    name: "lease_of_old_configuration",
    breaks: "A lease is counted over the voters of the configuration in force",
    shows: withLeases,
    edits: [{
      file: "src/liveness/fortification.ts",
      anchor: "    if (leading.configuration === configuration) return;\n",
      replacement: "    if (leading.term > 0) return;\n",
    }],
  },
  {
    name: "suspend_does_not_void",
    breaks: "When wall and monotonic clock disagree, all support from before is void",
    shows: withLeases,
    edits: [{
      file: "src/liveness/clock_guard.ts",
      anchor: "elapsedMs <= this.#turnLateMs && Math.abs(partedMs) <= this.#jumpMs)) {",
      replacement: "elapsedMs <= this.#turnLateMs && partedMs === partedMs)) {",
    }],
  },
  {
    name: "stalled_leader_serves",
    breaks: "A leader whose disk is stuck holds no lease",
    shows: withStuckDisks,
    edits: [{
      file: "src/liveness/fortification.ts",
      anchor: "return nowMs < lease.untilMs && !this.#context.peers.isStalled;",
      replacement: "return nowMs < lease.untilMs;",
    }],
  },
  {
    name: "stalled_node_beats",
    breaks: "A node whose disk is stuck asks for no support, so that others may take over",
    shows: withStuckDisks,
    edits: [
      {
        file: "src/liveness/liveness.ts",
        anchor: "    if (this.#peers.isStalled) return due;\n",
        replacement: "",
      },
      {
        file: "src/liveness/fortification.ts",
        anchor: "return nowMs < lease.untilMs && !this.#context.peers.isStalled;",
        replacement: "return nowMs < lease.untilMs;",
      },
    ],
  },
  {
    name: "run_used_before_durable",
    breaks: "A run number, and that support may be given, are durable before the first beat",
    test: "tests/unit/replication/node_liveness.test.ts",
    edits: [{
      file: "src/replication/node_liveness.ts",
      anchor: `      this.#isSaving = false;
      if (error === undefined) saved();
    });
    this.#isSaving = refused === undefined;`,
      replacement: `      this.#isSaving = false;
      if (error !== undefined) return;
    });
    this.#isSaving = refused === undefined;
    if (refused === undefined) saved();`,
    }],
  },
];
