/**
 * What happens when the state machine has applied entries or taken a snapshot: the mark moves, and
 * a leader leaves a joint configuration that is to be left by itself. Source: thesis §4.3.
 */
import type { Core } from "./core.ts";
import type { Entry, Snapshot } from "./message.ts";
import { EMPTY_DATA, entriesBytes, entryBytes, payloadBytes } from "./message.ts";
import { proposeAsLeader, releaseUncommitted } from "./proposal.ts";

/** Notes that `entries`, handed out before, are applied. */
export function entriesApplied(core: Core, entries: readonly Entry[]): void {
  const last = entries.at(-1);
  if (last === undefined) return;
  appliedTo(core, last.index, entriesBytes(entries));
  releaseUncommitted(core, payloadBytes(entries));
}

/** The same of one. */
export function entryApplied(core: Core, entry: Entry): void {
  appliedTo(core, entry.index, entryBytes(entry));
  releaseUncommitted(core, entry.data.length);
}

/** Notes that `snapshot` is durable and stands in the state machine. */
export function snapshotApplied(core: Core, snapshot: Snapshot): void {
  core.log.unstable.stableSnapshotTo(snapshot.index);
  appliedTo(core, snapshot.index, 0);
}

function appliedTo(core: Core, index: number, bytes: number): void {
  const applied = Math.max(index, core.log.applied);
  core.log.appliedTo(applied, bytes);
  const { configuration, pendingConfIndex, role } = core;
  if (!configuration.autoLeave || role !== "leader" || applied < pendingConfIndex) return;
  // Refused only while leadership is handed over; then the next leader does it, or this one at the
  // next entry.
  proposeAsLeader(core, [{ kind: "conf_change", data: EMPTY_DATA }]);
}
