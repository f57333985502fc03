/**
 * The replicas of an interaction scenario: production cores over storage in memory, one queue of
 * messages in transit, and for each replica the pending work of its storage threads.
 *
 * The state machine is a string to which each entry appends its data; each applied entry adds a
 * snapshot of it to the replica's history, and storage returns the newest.
 */
import {
  APPEND_THREAD,
  APPLY_THREAD,
  type ConfChange,
  confChangeOf,
  type Configuration,
  EMPTY_CONFIGURATION,
  type Entry,
  type Message,
  newMessage,
  RaftNode,
  type RaftOptions,
  type Snapshot,
} from "../../src/raft/mod.ts";
import { concatBytes } from "../../src/base/bytes.ts";
import { SeededEntropy } from "../../src/base/prng.ts";
import { MESSAGE_NAMES, renderConfiguration, renderEntries } from "./render.ts";
import { renderMembers, renderMessage, renderReady, renderRole } from "./render.ts";
import { HistoryStorage, type NodeTemplate, refusalText, type Replica } from "./replica.ts";
import { ScenarioError, stepReplica, writeReplica } from "./replica.ts";
import { Transcript } from "./transcript.ts";

/** A replica that receives messages, or whose messages are dropped. */
export interface Recipient {
  readonly id: number;
  readonly drop: boolean;
}

const ELECTION_TICKS = 3;
const HEARTBEAT_TICKS = 1;
/** Count of passes after which a scenario that does not come to rest is aborted. */
const PASSES_MAX = 1_000;

/** The cluster of one scenario file. */
export class Environment {
  readonly out = new Transcript();
  readonly #replicas: Replica[] = [];
  readonly #entropy = new SeededEntropy(1);
  #messages: Message[] = [];

  #replica(id: number): Replica {
    const replica = this.#replicas[id - 1];
    if (replica === undefined) throw new ScenarioError(`unknown node ${id}`);
    return replica;
  }

  /** Prints configuration switches since the last call. */
  #noteSwitches(replica: Replica): void {
    const { configuration, configurationSwitches } = replica.node.status();
    if (configurationSwitches === replica.switchesPrinted) return;
    replica.switchesPrinted = configurationSwitches;
    const id = replica.id.toString(16);
    this.out.info(`${id} switched to configuration ${renderConfiguration(configuration)}`);
  }

  addNodes(count: number, template: NodeTemplate): void {
    const { voters, learners, index, content } = template;
    const hasSnapshot = voters.length > 0 || learners.length > 0 || index > 0 || content.length > 0;
    if (hasSnapshot && index <= 1) {
      throw new ScenarioError("index must be specified as > 1 due to bootstrap");
    }
    const snapshot: Snapshot = {
      index,
      term: hasSnapshot ? 1 : 0,
      configuration: { ...EMPTY_CONFIGURATION, voters, learners },
      data: content,
    };
    for (let made = 0; made < count; made++) this.#addNode(snapshot, template.options);
  }

  #addNode(snapshot: Snapshot, options: Partial<RaftOptions>): void {
    const id = this.#replicas.length + 1;
    const storage = new HistoryStorage(snapshot);
    if (snapshot.index > 0) storage.applySnapshot(snapshot);
    const unlimited = Number.POSITIVE_INFINITY;
    const node = RaftNode.start({
      id,
      storage,
      entropy: this.#entropy,
      applied: snapshot.index,
      electionTicks: ELECTION_TICKS,
      heartbeatTicks: HEARTBEAT_TICKS,
      preVote: false,
      checkQuorum: false,
      forwardProposals: true,
      stepDownOnRemoval: false,
      appendBytesMax: unlimited,
      applyingBytesMax: unlimited,
      uncommittedBytesMax: unlimited,
      inflightMessagesMax: unlimited,
      inflightBytesMax: unlimited,
      ...options,
    });
    const replica: Replica = {
      id,
      node,
      storage,
      isAsync: options.asyncStorageWrites === true,
      appendWork: [],
      applyWork: [],
      switchesPrinted: 0,
    };
    this.#replicas.push(replica);
    this.#noteSwitches(replica);
  }

  campaign(id: number): void {
    this.#replica(id).node.campaign();
  }

  propose(id: number, data: Uint8Array): void {
    const text = refusalText(this.#replica(id).node.propose(data));
    if (text !== undefined) throw new ScenarioError(text);
  }

  proposeConfChange(id: number, change: ConfChange, v1: boolean): void {
    const text = refusalText(this.#replica(id).node.proposeConfChange(change, { v1 }));
    if (text !== undefined) throw new ScenarioError(text);
  }

  tick(id: number, what: "election" | "heartbeat"): void {
    const count = what === "election" ? ELECTION_TICKS : HEARTBEAT_TICKS;
    for (let ticked = 0; ticked < count; ticked++) this.#replica(id).node.tick();
  }

  /** Runs `each` for every id, below a headline if there are several. */
  forEach(ids: readonly number[], headline: string, each: (id: number) => void): void {
    for (const id of ids) {
      if (ids.length === 1) {
        each(id);
      } else {
        this.out.write(`> ${id} ${headline}\n`);
        this.out.indented(() => each(id));
      }
    }
  }

  processReady(id: number): void {
    const replica = this.#replica(id);
    const ready = replica.node.ready();
    this.out.write(renderReady(ready));
    if (!replica.isAsync) {
      writeReplica(replica, ready.hardState, ready.entries, ready.snapshot);
      this.#apply(replica, ready.committedEntries);
    }
    for (const message of ready.messages) {
      if (message.to === APPEND_THREAD) replica.appendWork.push(message);
      else if (message.to === APPLY_THREAD) replica.applyWork.push(message);
      else this.#messages.push(message);
    }
    if (!replica.isAsync) {
      replica.node.advance();
      this.#noteSwitches(replica);
    }
  }

  processAppendThread(id: number): void {
    const replica = this.#replica(id);
    const work = replica.appendWork.shift();
    if (work === undefined) {
      this.out.write("no append work to perform");
      return;
    }
    this.#processWork(work, () => {
      const { term, vote, commit } = work;
      const isEmpty = term === 0 && vote === 0 && commit === 0;
      writeReplica(
        replica,
        isEmpty ? undefined : { term, vote, commit },
        work.entries,
        work.snapshot,
      );
    });
  }

  processApplyThread(id: number): void {
    const replica = this.#replica(id);
    const work = replica.applyWork.shift();
    if (work === undefined) {
      this.out.write("no apply work to perform");
      return;
    }
    this.#processWork(work, () => this.#apply(replica, work.entries));
  }

  #processWork(work: Message, perform: () => void): void {
    this.out.write(`Processing:\n${renderMessage({ ...work, responses: [] })}\n`);
    perform();
    this.out.write("Responses:\n");
    for (const response of work.responses) this.out.write(`${renderMessage(response)}\n`);
    this.#messages.push(...work.responses);
  }

  #apply(replica: Replica, entries: readonly Entry[]): void {
    for (const entry of entries) {
      const { history } = replica.storage;
      const last = history.at(-1)!;
      const change = confChangeOf(entry);
      let configuration: Configuration = last.configuration;
      if (change !== undefined) {
        configuration = replica.node.applyConfChange(change, entry.index);
        this.#noteSwitches(replica);
      }
      const data = concatBytes([last.data, change === undefined ? entry.data : change.context]);
      history.push({ index: entry.index, term: entry.term, configuration, data });
    }
  }

  /** Delivers, or drops, the messages to each recipient in turn; returns their count. */
  deliver(recipients: readonly Recipient[], type: string | undefined): number {
    let count = 0;
    for (const recipient of recipients) {
      const mine = this.#messages.filter((message) => isFor(message, recipient, type));
      this.#messages = this.#messages.filter((message) => !isFor(message, recipient, type));
      count += mine.length;
      for (const message of mine) {
        this.out.write(`${recipient.drop ? "dropped: " : ""}${renderMessage(message)}\n`);
        if (recipient.drop) continue;
        const replica = this.#replica(message.to);
        const text = stepReplica(replica, message);
        this.#noteSwitches(replica);
        if (text !== undefined) this.out.write(`${text}\n`);
      }
    }
    return count;
  }

  /** Runs the given replicas (all, if none is given) until they have nothing left to do. */
  stabilize(ids: readonly number[]): void {
    const replicas = ids.length === 0 ? [...this.#replicas] : ids.map((id) => this.#replica(id));
    for (let pass = 0; pass < PASSES_MAX; pass++) {
      if (!this.#pass(replicas)) return;
    }
    throw new ScenarioError(`the cluster did not come to rest within ${PASSES_MAX} passes`);
  }

  #pass(replicas: readonly Replica[]): boolean {
    let isBusy = false;
    const run = (replica: Replica, headline: string, work: () => void) => {
      this.out.write(`> ${replica.id} ${headline}\n`);
      work();
      isBusy = true;
    };
    for (const replica of replicas) {
      if (!replica.node.hasReady()) continue;
      run(replica, "handling Ready", () => {
        this.out.indented(() => this.processReady(replica.id));
      });
    }
    for (const replica of replicas) {
      const recipient = { id: replica.id, drop: false };
      if (!this.#messages.some((message) => isFor(message, recipient, undefined))) continue;
      run(replica, "receiving messages", () => {
        this.out.indented(() => this.deliver([recipient], undefined));
      });
    }
    for (const replica of replicas) {
      if (replica.appendWork.length === 0) continue;
      run(replica, "processing append thread", () => {
        while (replica.appendWork.length > 0) {
          this.out.indented(() => this.processAppendThread(replica.id));
        }
      });
    }
    for (const replica of replicas) {
      if (replica.applyWork.length === 0) continue;
      run(replica, "processing apply thread", () => {
        while (replica.applyWork.length > 0) {
          this.out.indented(() => this.processApplyThread(replica.id));
        }
      });
    }
    return isBusy;
  }

  setElectionTimeout(id: number, ticks: number): void {
    this.#replica(id).node.setElectionTimeout(ticks);
  }

  transferLeadership(from: number, to: number): void {
    this.#replica(from).node.transferLeader(to);
  }

  forgetLeader(id: number): void {
    this.#replica(id).node.forgetLeader();
  }

  reportUnreachable(id: number, member: number): void {
    this.#replica(id).node.reportUnreachable(member);
  }

  sendSnapshot(from: number, to: number): void {
    const sender = this.#replica(from);
    const message = newMessage("snapshot", to);
    message.from = from;
    message.term = sender.node.status().term;
    message.snapshot = sender.storage.snapshot();
    this.#messages.push(message);
    this.out.write(renderMessage(message));
  }

  compact(id: number, index: number): void {
    if (!this.#replica(id).storage.compact(index)) {
      throw new ScenarioError("requested index is unavailable due to compaction");
    }
    this.printLog(id);
  }

  printLog(id: number): void {
    const { storage } = this.#replica(id);
    const first = storage.firstIndex();
    const last = storage.lastIndex();
    if (last < first) {
      this.out.write(`log is empty: first index=${first}, last index=${last}`);
      return;
    }
    const entries = storage.entries(first, last + 1, Number.POSITIVE_INFINITY) ?? [];
    this.out.write(renderEntries(entries));
  }

  printStates(): void {
    for (const { id, node } of this.#replicas) {
      const { configuration, lead, role, term } = node.status();
      const isVoter = [...configuration.voters, ...configuration.votersOutgoing].includes(id);
      const voter = isVoter ? "(Voter)" : "(Non-Voter)";
      this.out.write(`${id}: ${renderRole(role)} ${voter} Term:${term} Lead:${lead}\n`);
    }
  }

  printStatus(id: number): void {
    this.out.write(renderMembers(this.#replica(id).node.status().members));
  }
}

/** Messages within one replica are never dropped, because storage work would be lost. */
function isFor(message: Message, { id, drop }: Recipient, type: string | undefined): boolean {
  if (message.to !== id) return false;
  const isLocal = message.from === message.to || message.from < 0;
  if (drop && isLocal) return false;
  return type === undefined || MESSAGE_NAMES[message.type] === type;
}
