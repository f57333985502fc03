/**
 * Production cores over storage in memory, in one queue that the test controls: it decides which
 * replica works, which messages are delivered and which are lost. Nothing happens by itself.
 */
import { SeededEntropy } from "../../src/base/prng.ts";
import {
  APPEND_THREAD,
  APPLY_THREAD,
  type ConfChange,
  confChangeOf,
  type Configuration,
  EMPTY_CONFIGURATION,
  EMPTY_DATA,
  type Entry,
  type LeaderSupport,
  MemoryStorage,
  type Message,
  RaftNode,
  type RaftOptions,
  type ReadState,
  type ReadToken,
  type Ready,
  type ReplicaRole,
  type StepResult,
} from "../../src/raft/mod.ts";

/** One replica, with the state of its state machine. */
export interface TestReplica {
  readonly id: number;
  node: RaftNode;
  readonly storage: MemoryStorage;
  /** Entries applied in this run, in order. */
  applied: Entry[];
  /** The configuration after the last applied entry. */
  configuration: Configuration;
  readonly readStates: ReadState[];
  readonly readsDropped: ReadToken[];
  isDown: boolean;
  /** With asynchronous writes: pending work of the storage. A crash loses it. */
  storageWork: Message[];
}

/** Options of a cluster. */
export interface ClusterOptions {
  readonly voters?: readonly number[];
  readonly learners?: readonly number[];
  readonly seed?: number;
  readonly options?: Partial<RaftOptions>;
  /** Node liveness as each replica sees it. */
  readonly supportOf?: (id: number) => LeaderSupport;
}

export const ELECTION_TICKS = 10;

/** Replicas of one group that start with the log [(index 1, term 1)], compacted. */
export class RaftCluster {
  readonly replicas = new Map<number, TestReplica>();
  /** Messages that are in transit, neither delivered nor lost. */
  queue: Message[] = [];
  /** Messages for which this returns true are lost instead of delivered. */
  isLost: (message: Message) => boolean = () => false;
  readonly #options: Partial<RaftOptions>;
  readonly #supportOf: ClusterOptions["supportOf"];
  readonly #entropy: SeededEntropy;

  constructor({ voters = [1, 2, 3], learners = [], seed = 1, ...rest }: ClusterOptions = {}) {
    this.#options = rest.options ?? {};
    this.#supportOf = rest.supportOf;
    this.#entropy = new SeededEntropy(seed);
    const configuration = { ...EMPTY_CONFIGURATION, voters, learners };
    for (const id of [...voters, ...learners]) this.add(id, configuration);
  }

  /** Adds a replica; without a configuration it knows no others. */
  add(id: number, configuration?: Configuration): TestReplica {
    const storage = new MemoryStorage();
    if (configuration !== undefined) {
      storage.applySnapshot({ index: 1, term: 1, configuration, data: EMPTY_DATA });
    }
    const replica: TestReplica = {
      id,
      node: this.#start(id, storage),
      storage,
      applied: [],
      configuration: configuration ?? EMPTY_CONFIGURATION,
      readStates: [],
      readsDropped: [],
      isDown: false,
      storageWork: [],
    };
    this.replicas.set(id, replica);
    return replica;
  }

  #start(id: number, storage: MemoryStorage): RaftNode {
    return RaftNode.start({
      id,
      storage,
      // The state machine of a snapshot is durable together with it.
      applied: storage.snapshot()?.index ?? 0,
      entropy: this.#entropy,
      electionTicks: ELECTION_TICKS,
      heartbeatTicks: 1,
      preVote: false,
      checkQuorum: false,
      ...this.#supportOf === undefined ? {} : { support: this.#supportOf(id) },
      ...this.#options,
    });
  }

  get(id: number): TestReplica {
    const replica = this.replicas.get(id);
    if (replica === undefined) throw new RangeError(`There is no replica ${id}`);
    return replica;
  }

  node(id: number): RaftNode {
    return this.get(id).node;
  }

  role(id: number): ReplicaRole {
    return this.node(id).status().role;
  }

  /** Restarts the replica from its durable state. */
  restart(id: number): void {
    const replica = this.get(id);
    replica.node = this.#start(id, replica.storage);
    replica.applied = [];
    replica.storageWork = [];
    replica.configuration = replica.storage.initialState().configuration;
    replica.isDown = false;
  }

  /** Carries out one Ready; its messages go to the queue. */
  work(id: number): Ready | undefined {
    const replica = this.get(id);
    if (replica.isDown || !replica.node.hasReady()) return undefined;
    const ready = replica.node.ready();
    if (this.#options.asyncStorageWrites === true) {
      replica.readStates.push(...ready.readStates);
      replica.readsDropped.push(...ready.readsDropped);
      for (const message of ready.messages) {
        (message.to < 0 ? replica.storageWork : this.queue).push(message);
      }
      return ready;
    }
    this.write(replica, ready);
    if (ready.snapshot !== undefined) replica.configuration = ready.snapshot.configuration;
    this.apply(replica, ready.committedEntries);
    replica.readStates.push(...ready.readStates);
    replica.readsDropped.push(...ready.readsDropped);
    this.queue.push(...ready.messages);
    replica.node.advance();
    return ready;
  }

  /**
   * With asynchronous writes: carries out the oldest append or application; returns false if there
   * is none.
   */
  workStorage(id: number, thread: typeof APPEND_THREAD | typeof APPLY_THREAD): boolean {
    const replica = this.get(id);
    const at = replica.storageWork.findIndex(({ to }) => to === thread);
    if (at < 0 || replica.isDown) return false;
    const [work] = replica.storageWork.splice(at, 1);
    const { commit, entries, responses, snapshot, term, vote } = work!;
    if (thread === APPEND_THREAD) {
      const hardState = term === 0 ? undefined : { term, vote, commit };
      this.write(replica, { hardState, snapshot, entries });
      if (snapshot !== undefined) replica.configuration = snapshot.configuration;
    } else {
      this.apply(replica, entries);
    }
    for (const response of responses) {
      if (response.to === id) replica.node.stepOwn(response);
      else this.queue.push(response);
    }
    return true;
  }

  write(
    { storage }: TestReplica,
    { hardState, snapshot, entries }: Pick<Ready, "hardState" | "snapshot" | "entries">,
  ): void {
    if (hardState !== undefined) storage.setHardState(hardState);
    if (snapshot !== undefined) storage.applySnapshot(snapshot);
    storage.append(entries);
  }

  apply(replica: TestReplica, entries: readonly Entry[]): void {
    for (const entry of entries) {
      // A snapshot may overtake entries that wait to be applied.
      if (entry.index <= (replica.storage.snapshot()?.index ?? 0)) continue;
      const change = confChangeOf(entry);
      replica.applied.push(entry);
      if (change === undefined) continue;
      const configuration = replica.node.applyConfChange(change, entry.index);
      replica.configuration = configuration;
      // An added replica needs a snapshot whose configuration includes it.
      const { index, term } = entry;
      replica.storage.setSnapshot({ index, term, configuration, data: EMPTY_DATA });
    }
  }

  /** Delivers one message, unless it is lost or its recipient is down. */
  deliver(message: Message): StepResult | "lost" {
    const replica = this.replicas.get(message.to);
    if (replica === undefined || replica.isDown || this.isLost(message)) return "lost";
    return replica.node.step(message);
  }

  /** Works and delivers until nothing is left to do. */
  settle(): void {
    for (let round = 0; round < 10_000; round++) {
      let isBusy = false;
      for (const id of this.replicas.keys()) {
        while (this.work(id) !== undefined) isBusy = true;
        while (this.workStorage(id, APPEND_THREAD)) isBusy = true;
        while (this.workStorage(id, APPLY_THREAD)) isBusy = true;
      }
      const messages = this.queue;
      this.queue = [];
      for (const message of messages) this.deliver(message);
      if (!isBusy && messages.length === 0) return;
    }
    throw new Error("The cluster does not come to rest");
  }

  tick(id: number, count: number): void {
    for (let ticked = 0; ticked < count; ticked++) this.node(id).tick();
  }

  /** Makes `id` the leader and settles. */
  elect(id: number): void {
    this.node(id).campaign();
    this.settle();
  }

  /** Proposes text at `id` and settles. */
  propose(id: number, text: string): void {
    const result = this.node(id).propose(new TextEncoder().encode(text));
    if (result !== "accepted") throw new Error(`The proposal was refused: ${result}`);
    this.settle();
  }

  /** Proposes a change at `id` and settles. */
  change(id: number, change: Partial<ConfChange>, v1 = false): void {
    const whole: ConfChange = { transition: "auto", changes: [], context: EMPTY_DATA, ...change };
    const result = this.node(id).proposeConfChange(whole, { v1 });
    if (result !== "accepted") throw new Error(`The change was refused: ${result}`);
    this.settle();
  }

  /** Loses all messages to and from these replicas. */
  isolate(...ids: readonly number[]): void {
    this.isLost = (message) => ids.includes(message.from) !== ids.includes(message.to);
  }

  /** Stops losing messages. */
  heal(): void {
    this.isLost = () => false;
  }

  /** Takes a snapshot at the applied index and compacts the log up to it. */
  compact(id: number): void {
    const { storage, configuration, node } = this.get(id);
    const { applied: index } = node.status();
    const term = storage.term(index)!;
    storage.setSnapshot({ index, term, configuration, data: EMPTY_DATA });
    storage.compact(index);
  }

  /** Returns the durable entries as `term:text`. */
  log(id: number): string[] {
    const { storage } = this.get(id);
    const hi = storage.lastIndex() + 1;
    const entries = storage.entries(storage.firstIndex(), hi, Number.POSITIVE_INFINITY) ?? [];
    return entries.map(describe);
  }

  /** Returns the entries applied in this run, without empty ones. */
  applied(id: number): string[] {
    return this.get(id).applied.map(({ data }) => new TextDecoder().decode(data))
      .filter((text) => text !== "");
  }
}

function describe({ kind, term, data }: Entry): string {
  return `${term}:${kind === "normal" ? new TextDecoder().decode(data) : kind}`;
}
