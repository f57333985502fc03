/**
 * Proposing a command and reading its outcome as the write path does: a header with the group's time
 * and the writer, the rest of the caller's time, and refusals as errors.
 */
import { RegistryError } from "../base/errors.ts";
import type { MonotonicClock, WallClock } from "../base/world.ts";
import type { CommandHeader } from "../record/command.ts";
import type { ApplyReply } from "../store/reply.ts";
import type { ReadPoint } from "../replication/group_interface.ts";
import type { Partition } from "./partitions.ts";

/** An outcome that changed or confirmed something, and where. */
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

  /** The header of a command of `writer` (a lineage; 0: the registry itself), proposed now. */
  header(partition: Partition, writer: number): CommandHeader {
    return { timeMs: Math.floor(partition.group.timeMs()), unixS: this.unixS(), writer };
  }

  /** Wall time, s since 1970, as commands carry it. */
  unixS(): number {
    return Math.min(0xffff_ffff, Math.floor(this.#wall.unixMs() / 1_000));
  }

  /** What is left until a deadline by the node's monotonic clock, ms. */
  leftMs(deadlineMs: number): number {
    return Math.max(0, deadlineMs - this.#monotonic.nowMs());
  }

  /**
   * Proposes, and gives the outcome whatever its code.
   *
   * @throws RegistryError when the command was not committed, or it is not known whether it was.
   */
  async propose(partition: Partition, command: Uint8Array, deadlineMs: number): Promise<Applied> {
    const leftMs = this.leftMs(deadlineMs);
    if (leftMs === 0) {
      throw new RegistryError(
        "deadline_exceeded",
        "The request's time was up before it was logged",
      );
    }
    const proposed = await partition.group.propose(command, leftMs);
    if (!proposed.ok) throw proposed.error;
    const { outcome, index, term } = proposed;
    return { outcome, point: { appliedIndex: index, term, ageBoundMs: 0 } };
  }
}

/** The error of an outcome that refused. */
export function refusalOf(outcome: ApplyReply): RegistryError {
  const code = outcome.code === "ok" ? "internal" : outcome.code;
  return new RegistryError(code, outcome.message, {
    ...(outcome.field === "" ? {} : { field: outcome.field }),
    ...(outcome.incarnation.index === 0 ? {} : { incarnation: outcome.incarnation }),
  });
}
