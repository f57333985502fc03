/** Mutants of the leases of records: covers, renewals, expiry. */
import type { FaultKind, Plan } from "../../plan.ts";
import type { Mutant } from "../mutant.ts";

/** Plans with short leases, and with one of these faults. */
const withOutages = (...kinds: readonly FaultKind[]) => ({ faults, load }: Plan): boolean =>
  load.shortKeys > 0 && kinds.some((kind) => faults.has(kind));

/** Plans that go on until short leases have ended. */
const withShortLeasesAtTheEnd = ({ load, outlivesLeases }: Plan): boolean =>
  outlivesLeases && load.shortKeys > 0;

export const RECORD_LEASE_MUTANTS: readonly Mutant[] = [
  {
    name: "expiry_by_deposed_leader",
    breaks: "A replica that leads again uses the covers, not its memory of an earlier term",
    edits: [
      {
        file: "src/store/leases.ts",
        anchor: `  lead(nowMs: number): void {
`,
        replacement: `  lead(nowMs: number): void {
    if (this.#leading) return;
`,
      },
      {
        file: "src/store/leases.ts",
        anchor: `  follow(): void {
    this.#leading = false;
    this.#nextDueTick = Infinity;
    this.#nextExtendMs = Infinity;
`,
        replacement: `  follow(): void {
`,
      },
    ],
  },
  {
    name: "renewal_beyond_cover",
    breaks: "A renewal that ends beyond its cover waits until a longer cover is logged",
    edits: [{
      file: "src/store/leases.ts",
      anchor:
        "if (leftMs < ttlMs || table.hasFlag(slot, FLAG_EXPIRING) || isStaleState(record.state)) {",
      replacement: "if (leftMs < 0) {",
    }],
  },
  {
    name: "expiry_waits_for_lease",
    breaks: "A leader expires records whether or not it holds a lease",
    shows: (plan) => withShortLeasesAtTheEnd(plan) && !plan.leases,
    edits: [{
      file: "src/serving/lease_driver.ts",
      anchor: "if (driven.partition.group.isLeading) this.#drive(driven, unixS, unsettledMs);",
      replacement:
        "if (driven.partition.group.readPoint(0) !== undefined) this.#drive(driven, unixS, unsettledMs);",
    }],
  },
  {
    name: "lease_due_a_tick_early",
    breaks: "A record is due at the first tick after its lease, not before",
    edits: [{
      file: "src/store/overdue.ts",
      anchor: "return Math.ceil(ms / LEASE_TICK_MS);",
      replacement: "return Math.floor(ms / LEASE_TICK_MS);",
    }],
  },
  {
    name: "nothing_expires",
    shows: withShortLeasesAtTheEnd,
    breaks: "A record expires soon after its lease ended",
    edits: [{
      file: "src/store/leases.ts",
      anchor:
        "if (!this.#leading || nowMs < this.#nextDueTick * LEASE_TICK_MS) return NOTHING_OVERDUE;",
      replacement: "if (nowMs < Infinity) return NOTHING_OVERDUE;",
    }],
  },
  {
    name: "earlier_deadline_not_planned",
    shows: withShortLeasesAtTheEnd,
    breaks: "A lease that ends before its partition's next check makes that check earlier",
    edits: [{
      file: "src/store/leases.ts",
      anchor:
        "if (nextDeadlineMs < this.#plannedMs || timeLogMs < this.#plannedMs) this.#onEarlier();",
      replacement:
        "if (Math.min(nextDeadlineMs, timeLogMs) + this.#plannedMs === Infinity) this.#onEarlier();",
    }],
  },
  {
    name: "leader_time_stands_in_state",
    breaks: "Data that only the leader knows is not part of the replicated state",
    edits: [{
      file: "src/store/store.ts",
      anchor: "      state.advanceTime(timeMs);\n",
      replacement: "      state.advanceTime(Math.max(timeMs, leaderNowMs));\n",
    }],
  },
  {
    name: "time_runs_while_node_stands",
    breaks: "The time of a turn that comes far too late counts for no lease",
    shows: withOutages("long_pause"),
    edits: [{
      file: "src/replication/available_time.ts",
      anchor: "    const isLate = nowMs > this.#lateFromMs;",
      replacement: "    const isLate = nowMs > Infinity;",
    }],
  },
  {
    name: "time_runs_while_log_refuses",
    breaks: "While the log refuses writes, group time stands still",
    shows: withOutages("long_full_disk", "full_disk", "failed_write"),
    edits: [{
      file: "src/replication/available_time.ts",
      anchor: "    const refuses = poisoned || !writable;",
      replacement: "    const refuses = poisoned && !writable;",
    }],
  },
  {
    name: "time_runs_while_write_stalls",
    breaks: "The time of a write that is pending for too long is excluded from its handover on",
    shows: withOutages("stuck_write"),
    edits: [{
      file: "src/replication/available_time.ts",
      anchor: "    const stalls = oldestPendingMs > this.#timing.stallMs;",
      replacement: "    const stalls = oldestPendingMs > Infinity;",
    }],
  },
];
