/**
 * One replica of an interaction scenario: a production core, storage in memory, the pending work of
 * its storage threads, and the model's texts for refusals.
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

/** A failure that the scenario expects in its output, in the model's words. */
export class ScenarioError extends Error {
  override readonly name = "ScenarioError";
}

/** Properties of replicas that `add-nodes` may set. */
export interface NodeTemplate {
  readonly voters: readonly number[];
  readonly learners: readonly number[];
  readonly index: number;
  readonly content: Uint8Array;
  readonly options: Partial<RaftOptions>;
}

/** A template of replicas without any state. */
export const BARE_TEMPLATE: NodeTemplate = {
  voters: [],
  learners: [],
  index: 0,
  content: EMPTY_DATA,
  options: {},
};

/** Storage that returns the newest snapshot of the history. */
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

/** A replica and its environment. */
export interface Replica {
  readonly id: number;
  readonly node: RaftNode;
  readonly storage: HistoryStorage;
  readonly isAsync: boolean;
  readonly appendWork: Message[];
  readonly applyWork: Message[];
  /** Count of configuration switches already printed. */
  switchesPrinted: number;
}

/** Returns the model's text for a refused step or proposal; undefined: it prints nothing. */
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

/** Passes `message` to the matching method of the core; returns the text to print, if any. */
export function stepReplica({ id, node }: Replica, message: Message): string | undefined {
  if (message.from !== id && message.from > 0) return refusalText(node.step(message));
  node.stepOwn(message);
  return undefined;
}

/** Writes the content of a Ready, or of a storage message. */
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
