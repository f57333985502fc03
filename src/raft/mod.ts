/**
 * Raft consensus: the public interface of this folder. Sources and deviations are listed in
 * DESIGN.md.
 *
 * @example
 * ```ts
 * import { MemoryStorage, RaftNode } from "./mod.ts";
 * import { SeededEntropy } from "../base/prng.ts";
 *
 * const storage = new MemoryStorage();
 * const configuration = { voters: [1], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };
 * storage.applySnapshot({ index: 1, term: 1, configuration, data: new Uint8Array(0) });
 * const node = RaftNode.start({
 *   id: 1, storage, applied: 1, entropy: new SeededEntropy(1), electionTicks: 10, heartbeatTicks: 1,
 * });
 * node.campaign();
 * while (node.hasReady()) {
 *   const { entries, hardState } = node.ready();
 *   if (hardState !== undefined) storage.setHardState(hardState);
 *   storage.append(entries);
 *   node.advance();
 * }
 * if (node.status().role !== "leader") throw new Error("A group of one elects itself");
 * ```
 */
export {
  type ConfChange,
  confChangeOf,
  decodeConfChange,
  encodeConfChange,
} from "./conf_change.ts";
export { LEAVE_JOINT, type MemberChange, type MemberChangeKind } from "./conf_change.ts";
export type { Transition } from "./conf_change.ts";
export { decodeMessage, messageFromWire, messageToWire, writeMessage } from "./codec.ts";
export type { ReadState, ReplicaRole } from "./core.ts";
export type { CampaignResult } from "./election.ts";
export type { InspectRefusal } from "./inspect.ts";
export { configurationFault, type MembershipRefusal } from "./membership.ts";
export { MemoryStorage } from "./memory_storage.ts";
export {
  APPEND_THREAD,
  APPLY_THREAD,
  type Configuration,
  EMPTY_CONFIGURATION,
  EMPTY_DATA,
  EMPTY_HARD_STATE,
  type Entry,
  entryBytes,
  type EntryKind,
  type HardState,
  type Message,
  type MessageType,
  newMessage,
  NO_REPLICA,
  type ReadToken,
  type Snapshot,
} from "./message.ts";
export { type KnownReplicas, type LeaderSupport, raftSettings, type ReadMode } from "./options.ts";
export type { RaftOptions, RaftSettings } from "./options.ts";
export type { ProposeResult } from "./proposal.ts";
export type { ReadResult } from "./read_index.ts";
export { RaftNode, type RaftStart, type StepResult, type TransferResult } from "./raft_node.ts";
export type { Ready, SoftState } from "./ready.ts";
export type { MemberStatus, RaftStatus } from "./status.ts";
export type { RaftStorage } from "./storage.ts";
