/**
 * Measures the throughput of the consensus core alone, and the memory of an idle group: three
 * replicas in one process, storage in memory, no network and no disk, entries of 100 bytes proposed
 * in batches.
 *
 *   deno run -A --v8-flags=--expose-gc bench/raft_core.ts
 *
 * Writes `bench/results/raft_core.ndjson`. The goals: 300,000 entries per second from proposal to
 * commit on one core, and 2 KiB of heap for a newly started group.
 */
import { ResultFile } from "./harness.ts";
import { SeededEntropy } from "../src/base/prng.ts";
import {
  EMPTY_CONFIGURATION,
  EMPTY_DATA,
  type Entry,
  MemoryStorage,
  type Message,
  RaftNode,
  raftSettings,
} from "../src/raft/mod.ts";

const ENTRY_BYTES = 100;
/** Entries per proposal, and entries in total. */
const RUNS = [
  { batchEntries: 1, entries: 200_000 },
  { batchEntries: 16, entries: 600_000 },
  { batchEntries: 128, entries: 1_200_000 },
] as const;
const GROUPS = 8_192;
const COMPACT_EVERY = 10_000;

const results = new ResultFile("raft_core", new Date().toISOString());
const settings = raftSettings({
  entropy: new SeededEntropy(1),
  electionTicks: 10,
  heartbeatTicks: 1,
});
const configuration = { ...EMPTY_CONFIGURATION, voters: [1, 2, 3] };

interface Replica {
  readonly node: RaftNode;
  readonly storage: MemoryStorage;
  applied: number;
}

function startReplica(id: number): Replica {
  const storage = new MemoryStorage();
  storage.applySnapshot({ index: 1, term: 1, configuration, data: EMPTY_DATA });
  return { node: new RaftNode({ id, storage, settings, applied: 1 }), storage, applied: 1 };
}

function write(replica: Replica, entries: readonly Entry[]): void {
  replica.storage.append(entries);
  const last = replica.storage.lastIndex();
  const compactTo = last - COMPACT_EVERY;
  if (compactTo > replica.storage.firstIndex() + COMPACT_EVERY) replica.storage.compact(compactTo);
}

/** Processes all pending work of the replicas until none is left. */
function settle(replicas: readonly Replica[]): void {
  let isBusy = true;
  while (isBusy) {
    isBusy = false;
    for (const replica of replicas) {
      if (!replica.node.hasReady()) continue;
      isBusy = true;
      const ready = replica.node.ready();
      if (ready.hardState !== undefined) replica.storage.setHardState(ready.hardState);
      write(replica, ready.entries);
      replica.applied += ready.committedEntries.length;
      const messages: readonly Message[] = ready.messages;
      replica.node.advance();
      for (const message of messages) replicas[message.to - 1]!.node.step(message);
    }
  }
}

function measureThroughput(batchEntries: number, entries: number): void {
  const replicas = [startReplica(1), startReplica(2), startReplica(3)];
  replicas[0]!.node.campaign();
  settle(replicas);
  const batch = Array.from({ length: batchEntries }, () => new Uint8Array(ENTRY_BYTES));
  const run = (count: number): number => {
    const startMs = performance.now();
    for (let proposed = 0; proposed < count; proposed += batchEntries) {
      const result = replicas[0]!.node.propose(...batch);
      if (result !== "accepted") throw new Error(`The proposal was refused: ${result}`);
      settle(replicas);
    }
    return performance.now() - startMs;
  };
  run(entries / 10);
  const before = replicas.map(({ applied }) => applied);
  const tookMs = run(entries);
  for (const [at, replica] of replicas.entries()) {
    if (replica.applied - before[at]! < entries) throw new Error("Not all entries were applied");
  }
  const perSecond = Math.round(entries / tookMs * 1_000);
  results.write({ what: "propose_to_commit", entryBytes: ENTRY_BYTES, batchEntries, perSecond });
}

function heapBytes(): number {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) throw new Error("Start with --v8-flags=--expose-gc to measure memory");
  gc();
  gc();
  return Deno.memoryUsage().heapUsed;
}

function measureHeap(): void {
  const storages = Array.from({ length: GROUPS }, () => {
    const storage = new MemoryStorage();
    storage.applySnapshot({ index: 1, term: 1, configuration, data: EMPTY_DATA });
    return storage;
  });
  const nodes: RaftNode[] = new Array(GROUPS);
  const before = heapBytes();
  for (let at = 0; at < GROUPS; at++) {
    nodes[at] = new RaftNode({ id: 1, storage: storages[at]!, settings, applied: 1 });
  }
  const bytes = Math.round((heapBytes() - before) / GROUPS);
  results.write({ what: "fresh_group", groups: GROUPS, heapBytes: bytes });
  if (nodes.some((node) => node.status().role !== "follower")) {
    throw new Error("No replica campaigned");
  }
}

measureHeap();
for (const { batchEntries, entries } of RUNS) measureThroughput(batchEntries, entries);
