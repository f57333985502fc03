/**
 * One replica of an interaction scenario: a production core, storage in memory, the work of its
 * storage threads, and the model's words for what it refuses.
 */
import {
  EMPTY_DATA,
  type Entry,
  type HardState,
  MemoryStorage,
  type Message,
  type RaftNode,
  type RaftOptions,
  type Snapshot,
  type StepResult,
} from "../../src/raft/mod.ts";

/** A failure that the scenario expects to read, in the model's words. */
export class ScenarioError extends Error {
  override readonly name = "ScenarioError";
}

/** What `add-nodes` may say of the replicas it makes. */
export interface NodeTemplate {
  readonly voters: readonly number[];
  readonly learners: readonly number[];
  readonly index: number;
  readonly content: Uint8Array;
  readonly options: Partial<RaftOptions>;
}

/** A template of replicas that know nothing. */
export const BARE_TEMPLATE: NodeTemplate = {
  voters: [],
  learners: [],
  index: 0,
  content: EMPTY_DATA,
  options: {},
};

/** Storage that hands out the newest snapshot of the history. */
export class HistoryStorage extends MemoryStorage {
  readonly history: Snapshot[];

  constructor(first: Snapshot) {
    super();
    this.history = [first];
  }

  override snapshot(): Snapshot {
    return this.history.at(-1)!;
  }
}

/** A replica and what surrounds it. */
export interface Replica {
  readonly id: number;
  readonly node: RaftNode;
  readonly storage: HistoryStorage;
  readonly isAsync: boolean;
  readonly appendWork: Message[];
  readonly applyWork: Message[];
  /** How many switches of the configuration were printed. */
  switchesPrinted: number;
}

/** The model's words for what a step or proposal was refused with; undefined: it says nothing. */
export function refusalText(result: StepResult): string | undefined {
  switch (result) {
    case "no_leader":
    case "not_leader":
    case "not_member":
    case "transferring":
    case "over_limit":
    case "conf_change_invalid":
      return "raft proposal dropped";
    case "unknown_peer":
      return "raft: cannot step as peer not found";
    case "local_message":
      return "raft: cannot step raft local message";
    case "malformed":
    case "misdirected":
    case "impossible_index":
      return `refused: ${result}`;
    default:
      return undefined;
  }
}

/** Hands `message` over by the way it came; what is printed of it, if anything. */
export function stepReplica({ id, node }: Replica, message: Message): string | undefined {
  if (message.from !== id && message.from > 0) return refusalText(node.step(message));
  node.stepOwn(message);
  return undefined;
}

/** Writes what a Ready, or a storage message, holds. */
export function writeReplica(
  { storage }: Replica,
  hardState: HardState | undefined,
  entries: readonly Entry[],
  snapshot: Snapshot | undefined,
): void {
  if (hardState !== undefined) storage.setHardState(hardState);
  if (snapshot === undefined) {
    storage.append(entries);
    return;
  }
  if (entries.length > 0) {
    throw new ScenarioError("can't apply snapshot and entries at the same time");
  }
  if (!storage.applySnapshot(snapshot)) {
    throw new ScenarioError("requested index is older than the existing snapshot");
  }
}
