/**
 * The short way of a leader without other members: its entries are decided as soon as they are
 * durable, so that nobody need be asked or told. What happens to the log is what would happen by a
 * `Ready` and the answers of storage; only the messages in between are left out. With asynchronous
 * writes only. Source: Raft thesis §3.6.2 (a majority of one).
 */
import { entryApplied } from "./apply.ts";
import type { Core } from "./core.ts";
import { acknowledgeOwn } from "./leader.ts";
import { type Entry, entryBytes, NO_REPLICA } from "./message.ts";
import { takeUncommitted } from "./proposal.ts";

/** Appends an entry, handed out to be written with that; undefined: only a `Ready` can now. */
export function appendAlone(core: Core, data: Uint8Array): Entry | undefined {
  if (!isAlone(core) || !takeUncommitted(core, data.length)) return undefined;
  const { log, term } = core;
  const entry: Entry = { term, index: log.lastIndex + 1, kind: "normal", data };
  log.append([entry]);
  log.unstable.acceptInProgress();
  return entry;
}

/** Whether this replica leads nobody else, and nothing of it waits for a `Ready`. */
function isAlone(core: Core): boolean {
  const { messages, messagesAfterAppend, progress, role, transferee } = core;
  const { hasNextEntries, snapshot } = core.log.unstable;
  return role === "leader" && progress.length === 1 && progress[0]!.id === core.id &&
    transferee === NO_REPLICA && messages.length === 0 && messagesAfterAppend.length === 0 &&
    !hasNextEntries && snapshot === undefined;
}

/**
 * Notes that an entry of {@link appendAlone} is durable; true where it is to be applied now, and
 * counts as handed out for that. The configuration, the role and the term may be others by now.
 */
export function wroteAlone(core: Core, entry: Entry): boolean {
  // As with any answer of an older term; see `storageAppendReply`.
  if (entry.term !== core.term) return false;
  if (core.role === "leader") acknowledgeOwn(core, entry.index);
  core.log.unstable.stableTo(entry.index, entry.term);
  if (!core.log.isNextToApply(entry.index)) return false;
  core.log.acceptApplying(entry.index, entryBytes(entry), false);
  return true;
}

/** Notes that it is applied. */
export function appliedAlone(core: Core, entry: Entry): void {
  entryApplied(core, entry);
}
