/**
 * Steps taken after the state machine applied entries or a snapshot: the applied index moves, and a
 * leader leaves a joint configuration that has `autoLeave`. Source: thesis §4.3.
 */
import type { Core } from "./core.ts";
import type { Entry, Snapshot } from "./message.ts";
import { EMPTY_DATA, entriesBytes, entryBytes, payloadBytes } from "./message.ts";
import { proposeAsLeader, releaseUncommitted } from "./proposal.ts";

/** Records that `entries`, handed out before, are applied. */
export function entriesApplied(core: Core, entries: readonly Entry[]): void {
  const last = entries.at(-1);
  if (last === undefined) return;
  appliedTo(core, last.index, entriesBytes(entries));
  releaseUncommitted(core, payloadBytes(entries));
}

/** Records that a single entry, handed out before, is applied. */
export function entryApplied(core: Core, entry: Entry): void {
  appliedTo(core, entry.index, entryBytes(entry));
  releaseUncommitted(core, entry.data.length);
}

/** Records that `snapshot` is durable and that the state machine holds it. */
export function snapshotApplied(core: Core, snapshot: Snapshot): void {
  core.log.unstable.stableSnapshotTo(snapshot.index);
  appliedTo(core, snapshot.index, 0);
}

function appliedTo(core: Core, index: number, bytes: number): void {
  const applied = Math.max(index, core.log.applied);
  core.log.appliedTo(applied, bytes);
  const { configuration, pendingConfIndex, role } = core;
  if (!configuration.autoLeave || role !== "leader" || applied < pendingConfIndex) return;
  // Refused only during a leadership transfer; then the next leader leaves the joint configuration,
  // or this one does at the next entry it applies.
  proposeAsLeader(core, [{ kind: "conf_change", data: EMPTY_DATA }]);
}
