/**
 * The fast path of a leader without other members. Its entries are committed as soon as they are
 * durable, so nothing needs to be sent or acknowledged. The log changes exactly as it would through
 * a `Ready` and the replies of storage; only the messages in between are left out. Works with
 * asynchronous writes only. Source: Raft thesis §3.6.2 (a majority of one).
 */
import { entryApplied } from "./apply.ts";
import type { Core } from "./core.ts";
import { acknowledgeOwn } from "./leader.ts";
import { type Entry, entryBytes, NO_REPLICA } from "./message.ts";
import { takeUncommitted } from "./proposal.ts";

/**
 * Appends an entry and marks it as handed out to be written. Returns undefined where only a `Ready`
 * can take it.
 */
export function appendAlone(core: Core, data: Uint8Array): Entry | undefined {
  if (!isAlone(core) || !takeUncommitted(core, data.length)) return undefined;
  const { log, term } = core;
  const entry: Entry = { term, index: log.lastIndex + 1, kind: "normal", data };
  log.append([entry]);
  log.unstable.acceptInProgress();
  return entry;
}

/** Reports whether this replica leads a group of one and nothing waits for a `Ready`. */
function isAlone(core: Core): boolean {
  const { messages, messagesAfterAppend, progress, role, transferee } = core;
  const { hasNextEntries, snapshot } = core.log.unstable;
  return role === "leader" && progress.length === 1 && progress[0]!.id === core.id &&
    transferee === NO_REPLICA && messages.length === 0 && messagesAfterAppend.length === 0 &&
    !hasNextEntries && snapshot === undefined;
}

/**
 * Records that an entry of {@link appendAlone} is durable. Returns true where the entry is to be
 * applied now; it then counts as handed out to be applied. The configuration, the role and the term
 * may have changed since the append.
 */
export function wroteAlone(core: Core, entry: Entry): boolean {
  // A reply of an older term says nothing about entries; see `storageAppendReply`.
  if (entry.term !== core.term) return false;
  if (core.role === "leader") acknowledgeOwn(core, entry.index);
  core.log.unstable.stableTo(entry.index, entry.term);
  if (!core.log.isNextToApply(entry.index)) return false;
  core.log.acceptApplying(entry.index, entryBytes(entry), false);
  return true;
}

/** Records that an entry of {@link appendAlone} is applied. */
export function appliedAlone(core: Core, entry: Entry): void {
  entryApplied(core, entry);
}
