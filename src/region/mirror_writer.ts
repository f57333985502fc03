/** The partitions of this cluster as pullers write to them, each at its leader, here or on another node. */
import { MIRROR_LOG_MS_MAX, MIRRORS_PER_PAGE } from "../base/limits.ts";
import type { MonotonicClock } from "../base/world.ts";
import type { LeaderCalls } from "../serving/leader_calls.ts";
import type { PartitionTable } from "../serving/partitions.ts";
import type { MirrorSteps } from "../serving/regions/mirror_steps.ts";
import type { ReadMirrorsReply } from "../../schemas/gen/wire.ts";
import type { LoggedMirrors, MirrorTarget, MirrorVisitors, SeenSource } from "./mirror_target.ts";

/** Dependencies of a {@link MirrorWriter}. */
export interface MirrorWriterParts {
  readonly table: PartitionTable;
  readonly steps: MirrorSteps;
  readonly leaders: LeaderCalls;
  readonly clock: MonotonicClock;
}

/** Writes mirrors to the partitions of this cluster. */
export class MirrorWriter implements MirrorTarget {
  readonly #parts: MirrorWriterParts;

  constructor(parts: MirrorWriterParts) {
    this.#parts = parts;
  }

  get partitionCount(): number {
    return this.#parts.table.partitioner.partitionCount;
  }

  partitionOf(kind: number, key: Uint8Array): number {
    return this.#parts.table.partitioner.partitionOf(kind, key, 0, key.length);
  }

  log(partition: number, command: Uint8Array): Promise<LoggedMirrors> {
    const { table, steps, leaders } = this.#parts;
    const deadlineMs = this.#deadlineMs();
    return leaders.take({
      what: `mirrors in partition ${partition}`,
      place: () => table.at(partition),
      // The group owns the bytes of each attempt.
      here: (place) => steps.logHere(place, command.slice(), deadlineMs),
      there: (calls, node, timeoutMs) =>
        calls.call(node, "logMirrors", { partition, command }, timeoutMs),
      deadlineMs,
    });
  }

  async source(partition: number, home: string): Promise<SeenSource> {
    return await this.#read(partition, { home, page: 0, pages: 0 });
  }

  async scan(partition: number, home: string, visitors: MirrorVisitors): Promise<void> {
    const { count } = await this.#read(partition, { home, page: 0, pages: 0 });
    const pages = Math.ceil(count / MIRRORS_PER_PAGE);
    for (let page = 0; page < pages; page++) {
      const { mirrors, aliases } = await this.#read(partition, { home, page, pages });
      mirrors.forEach(visitors.mirror);
      aliases.forEach(visitors.alias);
    }
  }

  #read(
    partition: number,
    request: { readonly home: string; readonly page: number; readonly pages: number },
  ): Promise<ReadMirrorsReply> {
    const { table, steps, leaders } = this.#parts;
    const deadlineMs = this.#deadlineMs();
    return leaders.take({
      what: `mirrors of partition ${partition}`,
      place: () => table.at(partition),
      here: (place) => steps.readHere(place, request, deadlineMs),
      there: (calls, node, timeoutMs) =>
        calls.call(node, "readMirrors", { partition, ...request }, timeoutMs),
      deadlineMs,
    });
  }

  #deadlineMs(): number {
    return this.#parts.clock.nowMs() + MIRROR_LOG_MS_MAX;
  }
}
