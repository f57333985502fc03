/**
 * Scripted nodes that serve watches (fake_cluster.ts): one committed history per partition, and for
 * each node how far it has applied it, whether it answers, and whether it proves its age. A test
 * appends changes and disturbs nodes; what a watch must deliver is the history itself.
 */
import {
  type Receipt,
  WATCH_EVENT_TYPES,
  WATCH_PHASES,
  WATCH_STARTS,
} from "../../../../schemas/gen/wire.ts";
import { type ErrorCode, errorCodeToWire } from "../../../../src/base/errors.ts";
import { formatUuid } from "../../../../src/base/uuid.ts";
import {
  comparePositions,
  type HistoryPosition,
  ORDINAL_END,
} from "../../../../src/wire/watch_message.ts";
import { domainBytes, KIND_AGENT, KIND_ALIAS } from "../../../../src/record/key.ts";
import type { Timer } from "../../../../src/base/world.ts";
import { FakeCluster, PARTITIONS } from "../fake_cluster.ts";
import { type FakeRegistry, type FakeRequest, storedAgentBytes } from "../fake_registry.ts";

/** A change in a partition's history. */
export interface Change {
  readonly type: number;
  readonly kind: number;
  readonly position: HistoryPosition;
  readonly id: Uint8Array;
  readonly record: Uint8Array;
}

interface Partition {
  readonly changes: Change[];
  /** The number of the oldest change that nodes still have. */
  kept: number;
  index: number;
}

/** A node as it is disturbed. */
export class WatchNode {
  readonly registry: FakeRegistry;
  /** Indexes up to which it has applied; of other partitions it has everything. */
  readonly applied = new Map<number, number>();
  /** Partitions that it does not hold. */
  readonly gone = new Set<number>();
  /** Actions that it takes once it is no longer silent; undefined while it is not. */
  held: (() => void)[] | undefined;
  /** The age that it proves, ms; undefined for none. */
  ageMs: number | undefined = 0;
  /** Messages under way; undefined if everything arrives at once. */
  underWay: (() => void)[] | undefined;
  /** Sends all that it has again, from before the position that is asked for. */
  repeats = false;
  /** Refuses the next watch with that code. */
  refusal: ErrorCode | undefined;
  /** Refuses so many cancels. */
  deafFor = 0;
  readonly watchers = new Map<string, Watcher>();
  /** Watch requests that it took. */
  started = 0;

  constructor(registry: FakeRegistry) {
    this.registry = registry;
  }
}

interface Served {
  position: HistoryPosition;
  /** Ids of the state that are still to be sent, ascending. */
  toList: Uint8Array[];
  isListing: boolean;
  isTold: boolean;
}

interface Watcher {
  readonly request: FakeRequest;
  readonly partitions: Map<number, Served>;
  readonly matches: (change: Change) => boolean;
  timer: Timer | undefined;
}

// deno-lint-ignore no-explicit-any -- parts of replies, checked by their codec.
type Part = any;

const GENERATION = 1;
const NO_BYTES = new Uint8Array(0);

/** Three nodes and their histories. */
export class WatchModel {
  readonly cluster: FakeCluster;
  readonly nodes: readonly WatchNode[];
  readonly partitions: readonly Partition[];
  /** Maximum events in one reply. */
  eventsMax = 64;
  /** Maximum records of the state in one reply. */
  pageMax = 2;
  #ids = 0;
  #ports = 0;

  constructor(count = 3) {
    this.cluster = new FakeCluster(count);
    this.partitions = Array.from({ length: PARTITIONS }, () => ({
      changes: [],
      kept: 0,
      index: 10,
    }));
    this.nodes = this.cluster.nodes.map((registry) => {
      const node = new WatchNode(registry);
      const others = registry.answer;
      registry.answer = (request) => this.#answer(node, request) || others(request);
      return node;
    });
  }

  /** Returns a new id in a partition. */
  newId(partition: number): Uint8Array {
    for (;;) {
      const id = new Uint8Array(16).fill(7);
      new DataView(id.buffer).setUint32(0, ++this.#ids);
      if (this.cluster.partitioner.partitionOf(1, id, 0, 16) === partition) return id;
    }
  }

  /** Appends a change. @param isSameEntry whether it is in the entry of the one before. */
  append(
    partition: number,
    id: Uint8Array,
    type: number = WATCH_EVENT_TYPES.put,
    isSameEntry = false,
  ): Change {
    // The port tells the changes of one record apart.
    const record = storedAgentBytes({ id: formatUuid(id), port: 1 + this.#ports++ % 60_000 });
    return this.appendRecord(partition, { kind: KIND_AGENT, id, record, type }, isSameEntry);
  }

  /** Appends a change of any record; an alias has its domain's bytes as id. */
  appendRecord(
    partition: number,
    { kind, id, record, type }: Omit<Change, "position">,
    isSameEntry = false,
  ): Change {
    const log = this.partitions[partition]!;
    const last = log.changes.at(-1);
    const isSame = isSameEntry && last?.position.index === log.index;
    if (!isSame) log.index++;
    const ordinal = isSame ? last!.position.ordinal + 1 : 1;
    const change = {
      type,
      kind,
      position: { generation: GENERATION, index: log.index, ordinal },
      id,
      record,
    };
    log.changes.push(change);
    this.pump();
    return change;
  }

  /** Forgets the history of a partition but its newest changes. */
  forget(partition: number, left = 0): void {
    const log = this.partitions[partition]!;
    log.kept = Math.max(log.kept, log.changes.length - left);
  }

  /** Stops a node, as SIGSTOP does, or lets it go on with what it missed. */
  silence(node: WatchNode, isSilent: boolean): void {
    const { held } = node;
    if (isSilent) node.held ??= [];
    else if (held !== undefined) {
      node.held = undefined;
      for (const run of held) run();
      this.pump();
    }
  }

  /** Lets what a node said arrive. */
  arrive({ underWay }: WatchNode): void {
    for (const say of underWay?.splice(0) ?? []) say();
  }

  /** Takes a partition from a node, as a move does. */
  move(node: WatchNode, partition: number): void {
    if (node.held !== undefined) return void node.held.push(() => this.move(node, partition));
    node.gone.add(partition);
    for (const watcher of node.watchers.values()) {
      if (watcher.partitions.delete(partition)) this.#end(watcher, partition, "not_replica");
    }
  }

  /** Ends all watches of a node. */
  refuseAll(node: WatchNode, code: ErrorCode): void {
    if (node.held !== undefined) return void node.held.push(() => this.refuseAll(node, code));
    for (const [key, { request, timer }] of node.watchers) {
      timer?.cancel();
      node.watchers.delete(key);
      request.refuse(code);
    }
  }

  /** Kills a node; its watches are gone. */
  kill(node: WatchNode): void {
    for (const { timer } of node.watchers.values()) timer?.cancel();
    node.watchers.clear();
    this.cluster.kill(node.registry.nodeId);
  }

  /** Sends everything that there is to send. */
  pump(): void {
    for (const node of this.nodes) {
      for (const watcher of node.watchers.values()) this.#pumpOne(node, watcher);
    }
  }

  /** Ends all timers. */
  stop(): void {
    for (const node of this.nodes) {
      for (const { timer } of node.watchers.values()) timer?.cancel();
      node.watchers.clear();
    }
  }

  #answer(node: WatchNode, request: FakeRequest): boolean {
    if (node.held !== undefined) {
      node.held.push(() => void this.#answer(node, request));
      return true;
    }
    if (request.name === "cancelWatch") return this.#cancel(node, request);
    if (request.name === "askProgress") return this.#asked(node, request);
    if (request.name !== "watch" && request.name !== "listAndWatch") return false;
    node.started++;
    const { refusal } = node;
    node.refusal = undefined;
    if (refusal !== undefined) {
      request.refuse(refusal);
      return true;
    }
    const matches = matcherOf(request.body);
    const watcher: Watcher = { request, partitions: new Map(), matches, timer: undefined };
    node.watchers.set(keyOf(request), watcher);
    const resets: Part[] = [];
    for (const asked of request.body.positions) this.#begin(node, watcher, asked, resets);
    if (resets.length > 0) this.#reply(watcher, resets);
    this.#pumpOne(node, watcher);
    this.#progress(node, watcher, 0);
    this.#later(node, watcher);
    return true;
  }

  // deno-lint-ignore no-explicit-any -- a decoded position.
  #begin(node: WatchNode, watcher: Watcher, asked: any, parts: Part[]): void {
    const { partition, generation, index, ordinal, start, afterId } = asked;
    if (node.gone.has(partition)) return this.#end(watcher, partition, "not_replica");
    const head = this.#head(node, partition);
    const position = { generation, index, ordinal };
    const from = node.repeats ? { ...position, index: 0 } : position;
    const served: Served = { position: from, toList: [], isListing: false, isTold: false };
    watcher.partitions.set(partition, served);
    if (start === WATCH_STARTS.next) served.position = head;
    else if (start === WATCH_STARTS.state && afterId.length === 0) {
      this.#list(watcher, served, node, partition);
    } else if (comparePositions(position, head) > 0) {
      watcher.partitions.delete(partition);
      this.#end(watcher, partition, "not_caught_up");
    } else if (this.#isLost(partition, position)) {
      parts.push(partOf(partition, position, WATCH_PHASES.reset));
      this.#list(watcher, served, node, partition);
    } else if (start === WATCH_STARTS.state) {
      this.#list(watcher, served, node, partition, afterId);
      served.position = position;
    }
  }

  #list(
    { matches }: Watcher,
    served: Served,
    node: WatchNode,
    partition: number,
    after: Uint8Array = NO_BYTES,
  ): void {
    served.isListing = true;
    served.position = this.#head(node, partition);
    served.toList = [...this.stateOf(partition, this.#appliedTo(node, partition)).values()]
      .filter(matches)
      .map(({ id }) => id)
      .filter((id) => after.length === 0 || compare(id, after) > 0)
      .sort(compare);
  }

  /** Returns the records of a partition up to an index, by the bytes of their ids. */
  stateOf(partition: number, index = Infinity): Map<string, Change> {
    const state = new Map<string, Change>();
    for (const change of this.partitions[partition]!.changes) {
      if (change.position.index > index) break;
      if (change.type <= WATCH_EVENT_TYPES.superseded) state.set(String(change.id), change);
      else state.delete(String(change.id));
    }
    return state;
  }

  #isLost(partition: number, position: HistoryPosition): boolean {
    const { changes, kept } = this.partitions[partition]!;
    const lost = changes[kept - 1];
    return lost !== undefined && comparePositions(position, lost.position) < 0;
  }

  #appliedTo(node: WatchNode, partition: number): number {
    return Math.min(node.applied.get(partition) ?? Infinity, this.partitions[partition]!.index);
  }

  #head(node: WatchNode, partition: number): HistoryPosition {
    return {
      generation: GENERATION,
      index: this.#appliedTo(node, partition),
      ordinal: ORDINAL_END,
    };
  }

  #pumpOne(node: WatchNode, watcher: Watcher): void {
    if (node.held !== undefined) return;
    for (const [partition, served] of watcher.partitions) {
      for (;;) {
        if (!this.#sendChanges(node, watcher, partition, served) && !served.isListing) break;
        if (served.isListing) this.#sendState(node, watcher, partition, served);
      }
    }
  }

  /** Sends changes behind the position; returns whether more may follow. */
  #sendChanges(node: WatchNode, watcher: Watcher, partition: number, served: Served): boolean {
    const appliedTo = this.#appliedTo(node, partition);
    const behind = this.partitions[partition]!.changes.filter(({ position }) =>
      comparePositions(position, served.position) > 0 && position.index <= appliedTo
    );
    const some = behind.slice(0, this.eventsMax);
    if (some.length === 0) return false;
    const isSkipped = ({ id }: Change) => served.toList.some((one) => compare(one, id) === 0);
    served.position = some.at(-1)!.position;
    this.#reply(watcher, [{
      ...partOf(partition, served.position, WATCH_PHASES.changes),
      events: some.filter((change) => watcher.matches(change) && !isSkipped(change)).map(eventOf),
    }]);
    return some.length < behind.length;
  }

  #sendState(node: WatchNode, watcher: Watcher, partition: number, served: Served): void {
    const page = served.toList.splice(0, this.pageMax);
    const state = this.stateOf(partition, this.#appliedTo(node, partition));
    const events = page.flatMap((id) => {
      const change = state.get(String(id));
      return change === undefined ? [] : [{ ...eventOf(change), ordinal: 0 }];
    });
    if (events.length > 0) {
      const part = partOf(partition, served.position, WATCH_PHASES.state);
      this.#reply(watcher, [{ ...part, events }]);
    }
    if (served.toList.length > 0) return;
    served.isListing = false;
    this.#reply(watcher, [partOf(partition, served.position, WATCH_PHASES.stateEnd)]);
  }

  #end(watcher: Watcher, partition: number, code: ErrorCode): void {
    const position = { generation: 0, index: 0, ordinal: 0 };
    const part = {
      ...partOf(partition, position, WATCH_PHASES.ended),
      code: errorCodeToWire(code),
    };
    this.#reply(watcher, [part]);
  }

  #progress(node: WatchNode, watcher: Watcher, nonce: number): void {
    if (node.held !== undefined) return;
    const parts = [...watcher.partitions].filter(([, { isTold }]) => !isTold)
      .map(([partition, served]) => {
        served.isTold = true;
        return partOf(partition, served.position, WATCH_PHASES.changes);
      });
    const { ageMs } = node;
    const { nodeId } = node.registry;
    const receipts: Receipt[] = ageMs === undefined
      ? []
      : [{ appliedIndex: 1, term: 1, node: nodeId, partition: 0, ageBoundMs: ageMs }];
    const say = () => this.#reply(watcher, parts, { progress: true, nonce, receipts });
    if (node.underWay === undefined) say();
    else node.underWay.push(say);
  }

  #later(node: WatchNode, watcher: Watcher): void {
    const { progressMs } = watcher.request.body;
    watcher.timer = node.registry.time.after(progressMs, () => {
      this.#progress(node, watcher, 0);
      this.#later(node, watcher);
    });
  }

  #reply(
    { request }: Watcher,
    parts: Part[],
    { progress = false, nonce = 0, receipts = [] as Receipt[] } = {},
  ): void {
    request.replyWith(receipts, "watch", { parts, progress, isLast: false, nonce });
  }

  #cancel(node: WatchNode, request: FakeRequest): boolean {
    if (node.deafFor > 0) {
      node.deafFor--;
      request.refuse("overloaded", { retryAfterMs: 50 });
      return true;
    }
    const key = keyOf({ ...request, id: request.body.id });
    const watcher = node.watchers.get(key);
    node.watchers.delete(key);
    watcher?.timer?.cancel();
    request.replyWith([], "cancelWatch", {});
    watcher?.request.replyWith([], "watch", { parts: [], progress: false, isLast: true, nonce: 0 });
    return true;
  }

  #asked(node: WatchNode, request: FakeRequest): boolean {
    const watcher = node.watchers.get(keyOf({ ...request, id: request.body.id }));
    request.replyWith([], "askProgress", {});
    if (watcher !== undefined) this.#progress(node, watcher, request.body.nonce);
    return true;
  }
}

function partOf(partition: number, position: HistoryPosition, phase: number) {
  return { partition, ...position, phase, events: [], code: 0, leaderHint: 0, retryAfterMs: 0 };
}

function eventOf({ type, kind, position: { index, ordinal }, record }: Change) {
  return {
    type,
    kind,
    index,
    ordinal,
    record,
    before: NO_BYTES,
    remainingMs: type <= WATCH_EVENT_TYPES.superseded ? 20_000 : 0,
    left: false,
    home: "",
  };
}

// deno-lint-ignore no-explicit-any -- a decoded request.
function matcherOf({ kind, ids, domains }: any): (change: Change) => boolean {
  const texts = new Set([...ids, ...domains.map(domainBytes)].map(String));
  return (change) =>
    (kind === 0 ? change.kind !== KIND_ALIAS : kind === change.kind) &&
    (texts.size === 0 || texts.has(String(change.id)));
}

/** Returns what names a watch: its session and its id. */
function keyOf({ session, id }: Pick<FakeRequest, "session" | "id">): string {
  return `${session.session.id} ${id}`;
}

function compare(left: Uint8Array, right: Uint8Array): number {
  for (let at = 0; at < Math.min(left.length, right.length); at++) {
    if (left[at] !== right[at]) return left[at]! - right[at]!;
  }
  return left.length - right.length;
}
