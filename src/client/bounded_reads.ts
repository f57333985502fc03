/**
 * Reads with `maxStalenessMs`, which any replica may serve that can prove the age of what it has:
 * where they are sent, and what is learned from their answers.
 */
import { RegistryError } from "../base/errors.ts";
import {
  CLIENT_MEASURE_MS_MAX,
  CLIENT_MEASURE_TRIPS,
  READ_STALENESS_MS_MAX,
} from "../base/limits.ts";
import type { World } from "../base/world.ts";
import { type Operation, OPERATIONS } from "../wire/operations/mod.ts";
import { BoundedRead, Call, rejectCall, resolveCall } from "./call.ts";
import type { BoundedReadObserver, CallQueue } from "./call_queue.ts";
import { HedgeWatch } from "./hedge_watch.ts";
import type { NodeLinks } from "./node_links.ts";
import { ANY_NODE, type PartitionLeaders } from "./partition_leaders.ts";
import { ReplicaChoice, type ReplicaView } from "./replica_choice.ts";
import { isUnknown } from "./retry.ts";
import type { BoundedReadCounts } from "./types.ts";

/** The operations that followers serve; others go to leaders whatever the client's default is. */
const BOUNDED: ReadonlySet<Operation> = new Set(
  Object.values(OPERATIONS).filter(({ codes }: Operation) => codes.includes("too_stale")),
);
const NONE: readonly number[] = [];

/**
 * Returns the age that a call accepts, ms; 0 if it must be linearizable.
 *
 * @throws RegistryError `invalid_argument` for an age out of bounds.
 */
export function checkedStaleness(maxStalenessMs: number, operation?: Operation): number {
  const isValid = Number.isInteger(maxStalenessMs) && maxStalenessMs >= 0 &&
    maxStalenessMs <= READ_STALENESS_MS_MAX;
  if (!isValid) {
    throw new RegistryError(
      "invalid_argument",
      `maxStalenessMs must be an integer in [0, ${READ_STALENESS_MS_MAX}]: ` +
        `current value is ${maxStalenessMs}`,
      { field: "maxStalenessMs" },
    );
  }
  return operation === undefined || BOUNDED.has(operation) ? maxStalenessMs : 0;
}

/** The bounded reads of one client. */
export class BoundedReads implements ReplicaView, BoundedReadObserver {
  readonly choice: ReplicaChoice;
  readonly #world: World;
  readonly #leaders: PartitionLeaders;
  readonly #links: NodeLinks;
  readonly #hedges: HedgeWatch;
  readonly #counts = {
    byLeader: 0,
    byFollowers: 0,
    redirected: 0,
    hedgesSent: 0,
    hedgesWon: 0,
  };
  /** Nodes to be measured by the next read of one record. */
  readonly #toMeasure = new Set<number>();

  constructor(parts: {
    readonly world: World;
    readonly leaders: PartitionLeaders;
    readonly links: NodeLinks;
    /** The zone of the client; empty if none. */
    readonly zone: string;
  }) {
    this.#world = parts.world;
    this.#leaders = parts.leaders;
    this.#links = parts.links;
    const { zone, world: { entropy } } = parts;
    this.choice = new ReplicaChoice(this, { zone, entropy });
    this.#hedges = new HedgeWatch(parts.world, (call, nowMs) => this.#hedge(call, nowMs));
  }

  /** Returns the counts so far. */
  get counts(): BoundedReadCounts {
    return { ...this.#counts };
  }

  /**
   * Returns the node for a read of a partition that accepts this age; 0 if no replica is to be
   * preferred.
   */
  nodeFor(partition: number, maxStalenessMs: number, nowMs: number): number {
    const replicas = this.#leaders.replicasOf(partition);
    return this.choice.choose({ partition, replicas, maxStalenessMs, asked: NONE }, nowMs);
  }

  /** Returns the node for a call, as {@link nodeFor}; nodes that are due are measured by it. */
  nodeOfCall(call: Call, partition: number, nowMs: number): number {
    const nodeId = this.nodeFor(partition, call.maxStalenessMs, nowMs);
    if (this.#toMeasure.size > 0 && isOfOne(call)) {
      for (const other of this.#toMeasure) this.#try(other, call, CLIENT_MEASURE_TRIPS);
      this.#toMeasure.clear();
    }
    return nodeId;
  }

  /** Sends no second requests any more. */
  close(): void {
    this.#hedges.close();
  }

  // Callbacks of the queues (BoundedReadObserver).

  sent(queue: CallQueue, call: Call, nowMs: number): void {
    const read = call.bounded!;
    const isFirst = read.nodeId === 0;
    read.nodeId = queue.nodeId;
    read.sentAtMs = nowMs;
    if (isFirst && read.purpose === "read" && isOfOne(call)) this.#hedges.watch(call, nowMs);
  }

  replied(queue: CallQueue, call: Call, error?: RegistryError): void {
    const { bounded, partition = ANY_NODE, maxStalenessMs } = call;
    const { purpose, sentAtMs, hedge } = bounded!;
    const { nodeId } = queue;
    // Answers of many records take longer than a round trip.
    if (isOfOne(call)) {
      const nowMs = this.#world.monotonic.nowMs();
      this.choice.measured(nodeId, nowMs - sentAtMs, nowMs);
      if (purpose !== "trial") this.#hedges.answered(nowMs - sentAtMs);
      // What is not sent elsewhere is not reported as refused by the router.
      if (purpose !== "read" && error !== undefined && isUnknown(error)) {
        this.choice.refused(partition, nodeId, maxStalenessMs, nowMs);
      }
    }
    if (error !== undefined && isUnknown(error)) return;
    this.choice.served(partition, nodeId);
    if (call.done || purpose === "trial") return;
    if (hedge !== undefined) hedge.done = true;
    this.#counts[this.#isLedBy(partition, nodeId) ? "byLeader" : "byFollowers"]++;
  }

  /** A call that was made before the cluster was known may be of several partitions, led by many. */
  #isLedBy(partition: number, nodeId: number): boolean {
    if (!this.#leaders.isCluster) return true;
    return partition !== ANY_NODE && this.#leaders.leaderOf(partition) === nodeId;
  }

  /** A node refused to serve a partition at this age. */
  refused(partition: number, nodeId: number, maxStalenessMs: number): void {
    this.#counts.redirected++;
    if (partition === ANY_NODE || nodeId === 0) return;
    this.choice.refused(partition, nodeId, maxStalenessMs, this.#world.monotonic.nowMs());
  }

  /** Sends a second request for a read that is late, if another replica is connected. */
  #hedge(call: Call, nowMs: number): void {
    const { bounded, partition = ANY_NODE, maxStalenessMs, detour } = call;
    const { nodeId } = bounded!;
    // Refused meanwhile, and waiting for its next attempt.
    if (call.requestId === -1) return;
    this.choice.late(nodeId, bounded!.sentAtMs, nowMs);
    const replicas = this.#leaders.replicasOf(partition);
    const asked = [nodeId, ...detour?.asked ?? NONE];
    const other = this.choice.choose({ partition, replicas, maxStalenessMs, asked }, nowMs);
    if (this.#links.loadOf(other) === undefined || !this.#hedges.takeOne()) return;
    const hedge = new Call(
      {
        ...call,
        resolve: (value) => {
          if (!call.done) this.#counts.hedgesWon++;
          resolveCall(call, value);
        },
        reject: (error) => {
          if (isUnknown(error)) return;
          // That there is no such record is an answer, too.
          if (!call.done) this.#counts.hedgesWon++;
          rejectCall(call, error);
        },
        bounded: new BoundedRead("hedge"),
      },
      call.serial,
    );
    hedge.partition = partition;
    bounded!.hedge = hedge;
    this.#counts.hedgesSent++;
    this.#links.to(other)?.calls.submit(hedge, nowMs);
  }

  // What the choice asks about nodes (ReplicaView).

  zoneOf(nodeId: number): string {
    return this.#leaders.nodeOf(nodeId)?.zone ?? "";
  }

  loadOf(nodeId: number): number | undefined {
    return this.#links.loadOf(nodeId);
  }

  isUp(nodeId: number): boolean {
    return this.#links.isUp(nodeId);
  }

  measure(nodeId: number): void {
    const link = this.#links.to(nodeId);
    if (link?.calls.isConnected === true) this.#toMeasure.add(nodeId);
  }

  /**
   * Measures round trips to a node by sending it what another node is asked, some times one after the
   * other: the shortest counts, as it does for nodes that serve many reads. The answers are ignored.
   */
  #try(nodeId: number, read: Call, trips: number): void {
    const calls = this.#links.to(nodeId)?.calls;
    if (calls?.isConnected !== true) return;
    const nowMs = this.#world.monotonic.nowMs();
    const next = () => void (trips > 1 && this.#try(nodeId, read, trips - 1));
    const trial = new Call(
      {
        operation: read.operation,
        body: read.body,
        decode: () => undefined,
        maxStalenessMs: read.maxStalenessMs,
        deadlineMs: nowMs + CLIENT_MEASURE_MS_MAX,
        resolve: next,
        // After any other failure the node is measured again later.
        reject: (error) => void (!isUnknown(error) && next()),
        bounded: new BoundedRead("trial"),
      },
      read.serial,
    );
    trial.partition = read.partition;
    calls.submit(trial, nowMs);
  }
}

/** Reports whether a read is of one record, so that its reply takes a round trip. */
function isOfOne({ part, partition = ANY_NODE }: Call): boolean {
  return part === undefined && partition !== ANY_NODE;
}
