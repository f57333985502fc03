/**
 * Proposes commands for the write path: builds the header from the group's time and the writer,
 * applies the caller's deadline, and converts refusals to errors.
 */
import { RegistryError } from "../base/errors.ts";
import type { MonotonicClock, WallClock } from "../base/world.ts";
import type { CommandHeader } from "../record/command.ts";
import type { ApplyReply } from "../store/reply.ts";
import type { Proposed, ReadPoint } from "../replication/group_interface.ts";
import type { Partition } from "./partitions.ts";

/** Outcome of a committed command, and its place in the log. */
export interface Applied {
  readonly outcome: ApplyReply;
  readonly point: ReadPoint;
}

/** Proposes commands to the groups of partitions. */
export class Proposer {
  readonly #monotonic: MonotonicClock;
  readonly #wall: WallClock;

  constructor(clocks: { monotonic: MonotonicClock; wall: WallClock }) {
    this.#monotonic = clocks.monotonic;
    this.#wall = clocks.wall;
  }

  /**
   * Returns the header of a command of `writer` (a lineage; 0: the registry itself), proposed now.
   */
  header(partition: Partition, writer: number): CommandHeader {
    return { timeMs: Math.floor(partition.group.timeMs()), unixS: this.unixS(), writer };
  }

  /** Returns the wall time, s since 1970, as commands carry it. */
  unixS(): number {
    return Math.min(0xffff_ffff, Math.floor(this.#wall.unixMs() / 1_000));
  }

  /** Returns the time left until a deadline on the node's monotonic clock, ms. */
  leftMs(deadlineMs: number): number {
    return Math.max(0, deadlineMs - this.#monotonic.nowMs());
  }

  /**
   * Proposes a command and returns its outcome, whatever its code. Rejects if the command was not
   * committed, or it is unknown whether it was.
   */
  propose(partition: Partition, command: Uint8Array, deadlineMs: number): Promise<Applied> {
    const leftMs = this.leftMs(deadlineMs);
    if (leftMs === 0) return Promise.reject(tooLate());
    return partition.group.propose(command, leftMs).then(appliedOf);
  }
}

function appliedOf(proposed: Proposed<ApplyReply>): Applied {
  if (!proposed.ok) throw proposed.error;
  const { outcome, index, term } = proposed;
  return { outcome, point: { appliedIndex: index, term, ageBoundMs: 0 } };
}

function tooLate(): RegistryError {
  return new RegistryError(
    "deadline_exceeded",
    "The request's deadline passed before it was logged",
  );
}

/** Returns the error of an outcome that refused. */
export function refusalOf(outcome: ApplyReply): RegistryError {
  const code = outcome.code === "ok" ? "internal" : outcome.code;
  return new RegistryError(code, outcome.message, {
    ...(outcome.field === "" ? {} : { field: outcome.field }),
    ...(outcome.incarnation.index === 0 ? {} : { incarnation: outcome.incarnation }),
  });
}
