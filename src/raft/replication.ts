/**
 * Messages sent by a leader: appends, snapshots to members too far behind for them, and heartbeats;
 * and the decision when an entry is committed. Members are served in ascending order of id. Source:
 * thesis §3.5 (log replication), §3.6.2 (commit), §5.1 (snapshots).
 */
import { assert } from "../base/assert.ts";
import type { Core } from "./core.ts";
import type { ReadToken } from "./message.ts";
import { newMessage, payloadBytes } from "./message.ts";
import type { Progress } from "./progress.ts";
import { committedIndex } from "./quorum.ts";

/**
 * Sends an append to `member` unless it is paused. An append without entries carries the commit
 * index and checks whether the logs match; it is sent only if `evenEmpty`. Reports whether
 * something was sent.
 */
export function sendAppend(core: Core, member: Progress, evenEmpty: boolean): boolean {
  if (member.isPaused) return false;
  const { log } = core;
  const prevIndex = member.next - 1;
  const prevTerm = log.term(prevIndex);
  if (prevTerm === undefined) return sendSnapshot(core, member);

  const message = newMessage("append", member.id);
  // With a full window only an empty append is sent: if all appends in the window are lost, its
  // reply restarts replication.
  if (member.state !== "replicate" || !member.inflights.isFull) {
    const entries = log.entriesFrom(member.next, core.settings.appendBytesMax);
    if (entries === undefined) return sendSnapshot(core, member);
    message.entries = entries;
  }
  const { entries } = message;
  if (entries.length === 0 && !evenEmpty) return false;
  message.index = prevIndex;
  message.logTerm = prevTerm;
  message.commit = log.committed;
  core.send(message);
  member.sentEntries(entries.length, entries.length === 0 ? 0 : payloadBytes(entries));
  member.sentCommit = log.committed;
  return true;
}

function sendSnapshot(core: Core, member: Progress): boolean {
  // A snapshot to an inactive member would be wasted.
  if (!member.recentActive) return false;
  const snapshot = core.log.snapshot();
  if (snapshot === undefined) return false;
  assert(snapshot.index > 0, "The log is compacted, but there is no snapshot");
  member.becomeSnapshot(snapshot.index);
  const message = newMessage("snapshot", member.id);
  message.snapshot = snapshot;
  core.send(message);
  return true;
}

/** Sends an append to every other member; also without entries, unless `evenEmpty` is false. */
export function broadcastAppend(core: Core, evenEmpty = true): void {
  for (const member of core.progress) {
    if (member.id !== core.id) sendAppend(core, member, evenEmpty);
  }
}

/** Sends a heartbeat to every other member, for the round of reads `read` if there is one. */
export function broadcastHeartbeat(core: Core, read: ReadToken | undefined): void {
  for (const member of core.progress) {
    if (member.id === core.id) continue;
    const message = newMessage("heartbeat", member.id);
    // Beyond its match index, the member's log may hold a different entry at that index.
    message.commit = Math.min(member.match, core.log.committed);
    message.read = read;
    core.send(message);
    member.sentCommit = message.commit;
  }
}

/** Commits what a quorum holds. Returns true if the commit index moved. Leaders only. */
export function maybeCommit(core: Core): boolean {
  assert(core.role === "leader", "Only a leader commits by counting");
  const index = committedIndex(core.configuration, (id) => core.member(id)?.match ?? 0);
  return core.log.maybeCommit(index, core.term);
}
