/** Mutants of the leases of records: covers, renewals, expiry. */
import type { Mutant } from "../mutant.ts";

export const RECORD_LEASE_MUTANTS: readonly Mutant[] = [
  {
    name: "expiry_by_deposed_leader",
    breaks: "Who leads anew goes by the covers, and not by what it knew when it led before",
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
    breaks: "A renewal that ends beyond its cover waits until a longer one is logged",
    edits: [{
      file: "src/store/leases.ts",
      anchor: "if (leftMs < ttlMs || table.hasFlag(slot, FLAG_EXPIRING)) {",
      replacement: "if (leftMs < 0) {",
    }],
  },
  {
    name: "expiry_waits_for_lease",
    breaks: "A leader expires records whether or not it holds a lease",
    shows: ({ leases, outlivesLeases }) => outlivesLeases && !leases,
    edits: [{
      file: "src/node/lease_driver.ts",
      anchor: "if (driven.partition.group.isLeading) this.#drive(driven, unixS);",
      replacement:
        "if (driven.partition.group.readPoint(0) !== undefined) this.#drive(driven, unixS);",
    }],
  },
  {
    name: "lease_due_a_tick_early",
    breaks: "A record is due at the first tick after its lease, not before",
    edits: [{
      file: "src/store/leases.ts",
      anchor: "return Math.ceil(ms / LEASE_TICK_MS);",
      replacement: "return Math.floor(ms / LEASE_TICK_MS);",
    }],
  },
  {
    name: "nothing_expires",
    shows: ({ outlivesLeases }) => outlivesLeases,
    breaks: "A record is gone soon after its lease ended",
    edits: [{
      file: "src/store/leases.ts",
      anchor: "if (!this.#leading || nowMs < this.#nextDueTick * LEASE_TICK_MS) return undefined;",
      replacement: "if (nowMs < Infinity) return undefined;",
    }],
  },
  {
    name: "leader_time_stands_in_state",
    breaks: "What only the leader knows is no part of the replicated state",
    edits: [{
      file: "src/store/store.ts",
      anchor: "      state.advanceTime(timeMs);\n",
      replacement: "      state.advanceTime(Math.max(timeMs, leaderNowMs));\n",
    }],
  },
];
