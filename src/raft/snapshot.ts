/**
 * Snapshots received instead of entries, and a leader's handling of the outcome of one it sent.
 * Source: thesis §5.1, Figure 5.3 (InstallSnapshot).
 */
import type { Core } from "./core.ts";
import type { Message, Snapshot } from "./message.ts";
import { newMessage } from "./message.ts";
import type { Progress } from "./progress.ts";
import { isVoter } from "./quorum.ts";
import { restoreConfiguration } from "./reconfigure.ts";

/** Handles a snapshot from the leader, and replies how far this log now matches. */
export function handleSnapshot(core: Core, message: Message, snapshot: Snapshot): void {
  const isRestored = restore(core, snapshot);
  const reply = newMessage("append_reply", message.from);
  reply.commit = core.log.committed;
  reply.index = isRestored ? core.log.lastIndex : core.log.committed;
  core.send(reply);
}

/** Restores the snapshot. Returns false if it contains nothing new, or is not for this replica. */
function restore(core: Core, snapshot: Snapshot): boolean {
  if (snapshot.index <= core.log.committed || core.role !== "follower") return false;
  const { configuration } = snapshot;
  const isMember = isVoter(configuration, core.id) || configuration.learners.includes(core.id);
  if (!isMember) return false;
  if (core.log.matches(snapshot.index, snapshot.term)) {
    // The log already holds all of it: only the commit index is new, and later entries are kept.
    core.log.commitTo(snapshot.index);
    return false;
  }
  core.log.restore(snapshot);
  restoreConfiguration(core, configuration, snapshot.index);
  return true;
}

/** Records whether the snapshot sent to `member` arrived. */
export function snapshotReported(member: Progress, arrived: boolean): void {
  if (member.state !== "snapshot") return;
  // A lost snapshot counts as never sent: probing starts where the log is known to match.
  if (!arrived) member.pendingSnapshot = 0;
  member.becomeProbe();
  // After success the member's own acknowledgement comes first; after failure, the next heartbeat.
  member.flowPaused = true;
}
