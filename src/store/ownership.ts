/**
 * Ownership in time, shared by the commands: which processes lost a record and stay refused, and
 * the refusals that report the record's current state. Source: design §3.
 */
import { SUPERSEDED_MS, SUPERSEDED_PROCESSES_MAX } from "../base/limits.ts";
import type { Position } from "../base/position.ts";
import type { SupersededProcess } from "../../schemas/gen/record.ts";
import type { PartitionState, RecordView } from "./partition_state.ts";
import { type ApplyReply, refusal } from "./reply.ts";

/** An empty list of processes. */
export const NO_PROCESSES: readonly SupersededProcess[] = [];

/** Returns the incarnation of the record or tombstone. */
export function incarnationOf(
  record: { readonly incarnationGeneration: number; readonly incarnationIndex: number },
): Position {
  return { generation: record.incarnationGeneration, index: record.incarnationIndex };
}

/** Returns a position as text for display. */
export function describe(position: Position): string {
  return position.index === 0 ? "none" : `${position.generation}:${position.index}`;
}

/** Returns the record's superseded processes that are still refused. */
export function supersededOf(
  state: PartitionState,
  record: RecordView,
): readonly SupersededProcess[] {
  if (!record.hasExtra) return NO_PROCESSES;
  const { superseded } = record.extra;
  return superseded.count === 0 ? NO_PROCESSES : stillRefused(state, superseded.toPlain());
}

/** Returns those of the processes that are still refused. */
export function stillRefused(
  state: PartitionState,
  processes: readonly SupersededProcess[],
): readonly SupersededProcess[] {
  return processes.filter((superseded) => superseded.untilMs > state.timeMs);
}

/** Reports whether the process is among them. */
export function isSuperseded(superseded: readonly SupersededProcess[], process: number): boolean {
  return superseded.some((other) => other.process === process);
}

/** Returns the processes that stay refused after `loser` loses the record too: the last few. */
export function supersede(
  state: PartitionState,
  before: readonly SupersededProcess[],
  loser: { readonly process: number },
): readonly SupersededProcess[] {
  const added = { process: loser.process, untilMs: state.timeMs + SUPERSEDED_MS };
  return [...before, added].slice(-SUPERSEDED_PROCESSES_MAX);
}

/** Returns the refusal of a sequence that came too late. */
export function stale(found: number, needed: number, incarnation: Position): ApplyReply {
  return refusal(
    "stale_sequence",
    `Sequence must be above ${needed}, the last of this process: found ${found}`,
    { incarnation },
  );
}

/** Returns the refusal of a process that lost the record. */
export function supersededProcess(incarnation: Position): ApplyReply {
  return refusal("superseded", "Another process took the record over: this one cannot write it", {
    incarnation,
  });
}
