/**
 * Linearizable reads without a log entry (ReadIndex): the leader notes its commit index, confirms
 * by a round of heartbeats that it still led after the read was requested, and waits until that
 * index is applied.
 *
 * Deviations from etcd-io/raft: the leader identifies the rounds itself by (term, sequence), so no
 * two look alike whatever clients send; an acknowledgement of a round confirms all earlier ones;
 * reads that come before the heartbeats of a round have left join it. Source: thesis §6.4.
 */
import type { ConfirmingRead, Core, LeaderReads, PendingRead } from "./core.ts";
import { newMessage, NO_REPLICA } from "./message.ts";
import type { Message, ReadToken } from "./message.ts";
import type { Progress } from "./progress.ts";
import { committedIndex } from "./quorum.ts";
import { broadcastHeartbeat } from "./replication.ts";
import { randomUint53 } from "../base/world.ts";

/** The outcome of a read request. The token returns with the index, or as dropped. */
export type ReadResult =
  | { readonly result: "accepted"; readonly token: ReadToken }
  | { readonly result: "no_leader" | "overloaded" };

/** Requests an index at which this replica may read, from itself or from its leader. */
export function requestRead(core: Core): ReadResult {
  if (core.role !== "leader" && core.lead === NO_REPLICA) return { result: "no_leader" };
  // A reply to an earlier run of this replica in the same term must not be taken for a reply to
  // this one.
  if (core.readOrigin === 0) core.readOrigin = randomUint53(core.settings.entropy) || 1;
  const token = { origin: core.readOrigin, sequence: core.readCount + 1 };
  if (core.role === "leader") {
    if (!leaderRead(core, { requester: core.id, token })) return { result: "overloaded" };
  } else {
    const message = newMessage("read_index", core.lead);
    message.read = token;
    core.send(message);
  }
  core.readCount++;
  return { result: "accepted", token };
}

/** Accepts a read of this or another replica. Returns false if too many reads wait. */
export function leaderRead(core: Core, read: PendingRead): boolean {
  const reads = core.reads ??= newReads();
  if (reads.waiting.length + reads.confirming.length >= core.settings.readsPendingMax) return false;
  // Until an entry of this term is committed, the commit index may be behind that of the previous
  // leader, whose acknowledged writes this read must see.
  if (!core.hasCommittedInTerm) {
    reads.waiting.push(read);
    return true;
  }
  const index = core.log.committed;
  const { voters, votersOutgoing } = core.configuration;
  const isOnlyVoter = voters.length === 1 && votersOutgoing.length === 0 && voters[0] === core.id;
  if (isOnlyVoter || core.settings.readMode === "clock") {
    answer(core, read, index);
    return true;
  }
  if (!reads.roundOpen) {
    reads.sequence++;
    reads.roundOpen = true;
    broadcastHeartbeat(core, { origin: core.term, sequence: reads.sequence });
  }
  reads.confirming.push({ ...read, index, sequence: reads.sequence });
  return true;
}

function newReads(): LeaderReads {
  return { sequence: 0, roundOpen: false, confirming: [], waiting: [] };
}

/** Returns the round that heartbeats sent now belong to, while reads wait for it. */
export function currentRound(core: Core): ReadToken | undefined {
  const { reads } = core;
  if (reads === undefined || reads.confirming.length === 0) return undefined;
  return { origin: core.term, sequence: reads.sequence };
}

/** Processes the reads that waited for the term's first commit. */
export function releaseWaitingReads(core: Core): void {
  const { reads } = core;
  if (reads === undefined || reads.waiting.length === 0 || !core.hasCommittedInTerm) return;
  const { waiting } = reads;
  reads.waiting = [];
  for (const read of waiting) leaderRead(core, read);
}

/**
 * Records that `member` acknowledged a round, and answers the reads that a quorum has confirmed.
 */
export function confirmRound(core: Core, member: Progress, token: ReadToken): void {
  const { reads } = core;
  if (reads === undefined || token.origin !== core.term || token.sequence > reads.sequence) return;
  member.readAcked = Math.max(member.readAcked, token.sequence);
  if (reads.confirming.length === 0) return;
  const confirmed = committedIndex(core.configuration, (id) => {
    return id === core.id ? reads.sequence : core.member(id)?.readAcked ?? 0;
  });
  const { confirming } = reads;
  let count = 0;
  while (count < confirming.length && confirming[count]!.sequence <= confirmed) count++;
  if (count === 0) return;
  reads.confirming = confirming.slice(count);
  for (let at = 0; at < count; at++) {
    const read: ConfirmingRead = confirming[at]!;
    answer(core, read, read.index);
  }
}

function answer(core: Core, { requester, token }: PendingRead, index: number): void {
  if (requester === core.id) {
    core.readStates.push({ token, index });
    return;
  }
  const message = newMessage("read_index_reply", requester);
  message.index = index;
  message.read = token;
  core.send(message);
}

/** Handles the leader's reply to a request of this run. */
export function handleReadReply(core: Core, message: Message): void {
  const token = message.read;
  if (token === undefined || token.origin !== core.readOrigin) return;
  if (token.sequence > core.readCount) return;
  core.readStates.push({ token, index: message.index });
}
