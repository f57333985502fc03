/**
 * Reads with `maxStalenessMs`, which any replica may serve that can prove the age of what it has:
 * where they are sent, and what is learned from their answers.
 */
import { RegistryError } from "../base/errors.ts";
import {
  CLIENT_MEASURE_MS_MAX,
  CLIENT_MEASURE_TRIPS,
  CLIENT_REMEASURE_MS,
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
const NO_CALLS: readonly Call[] = [];

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
  /** How many times nodes are to be measured, by node. */
  readonly #toMeasure = new Map<number, number>();
  /** Monotonic time of the last read of one record. */
  #readAtMs = -Infinity;

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
    this.#hedges = new HedgeWatch(parts.world, (call, nowMs) => this.#late(call, nowMs));
  }

  /** Returns the counts so far. */
  get counts(): BoundedReadCounts {
    return { ...this.#counts };
  }

  /**
   * Returns the node for a read of a partition that accepts this age; 0 if no replica is to be
   * preferred.
   */
  nodeFor(partition: number, maxStalenessMs: number, nowMs: number, asked = NONE): number {
    const replicas = this.#leaders.replicasOf(partition);
    return this.choice.choose({ partition, replicas, maxStalenessMs, asked }, nowMs);
  }

  /** Returns the node for a call, as {@link nodeFor}; nodes that are due are measured by it. */
  nodeOfCall(call: Call, partition: number, nowMs: number): number {
    const nodeId = this.nodeFor(partition, call.maxStalenessMs, nowMs);
    if (!isOfOne(call)) return nodeId;
    this.#readAtMs = nowMs;
    if (this.#toMeasure.size > 0) this.#measureBy(call);
    return nodeId;
  }

  /**
   * Measures the nodes that are due by status requests, if no reads of one record do that. Such a
   * request takes longer, so the two are not mixed.
   */
  measureByStatus(nowMs: number): void {
    if (this.#toMeasure.size === 0 || nowMs - this.#readAtMs < CLIENT_REMEASURE_MS) return;
    this.#measureBy({ operation: OPERATIONS.status, body: {}, maxStalenessMs: 0, serial: 0 });
  }

  /** Sends no further requests for reads any more. */
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
    const { purpose, sentAtMs } = bounded!;
    const { nodeId } = queue;
    // Answers of many records take longer than a round trip.
    if (purpose === "trial" || isOfOne(call)) {
      const nowMs = this.#world.monotonic.nowMs();
      this.choice.measured(nodeId, nowMs - sentAtMs, nowMs);
      if (purpose !== "trial") this.#hedges.answered(nowMs - sentAtMs);
      // What is not sent elsewhere is not reported as refused by the router.
      const isRefused = purpose !== "read" && error !== undefined && isUnknown(error);
      if (isRefused && partition !== ANY_NODE) {
        this.choice.refused(partition, nodeId, maxStalenessMs, nowMs);
      }
    }
    if (error !== undefined && isUnknown(error)) return;
    if (partition !== ANY_NODE) this.choice.served(partition, nodeId);
    if (call.done || purpose === "trial") return;
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

  /** Sends a further request for a read that is late; returns whether yet another may be needed. */
  #late(call: Call, nowMs: number): boolean {
    // Refused meanwhile, and waiting for its next attempt.
    if (call.requestId === -1) return true;
    const { nodeId, sentAtMs, hedges } = call.bounded!;
    this.choice.late(nodeId, sentAtMs, nowMs);
    for (const { done, attempts, bounded } of hedges ?? NO_CALLS) {
      if (!done && attempts > 0) this.choice.late(bounded!.nodeId, bounded!.sentAtMs, nowMs);
    }
    return this.#hedge(call, nowMs);
  }

  /**
   * Sends a further request for a read, if another replica is connected; returns whether there may be
   * one more later.
   */
  #hedge(call: Call, nowMs: number): boolean {
    const { bounded, partition = ANY_NODE, maxStalenessMs, detour } = call;
    const hedges = bounded!.hedges ??= [];
    const replicas = this.#leaders.replicasOf(partition);
    if (hedges.length >= replicas.length - 1) return false;
    const asked = [bounded!.nodeId, ...detour?.asked ?? NONE];
    for (const { bounded } of hedges) asked.push(bounded!.nodeId);
    const other = this.choice.choose({ partition, replicas, maxStalenessMs, asked }, nowMs);
    if (this.#links.loadOf(other) === undefined || !this.#hedges.takeOne()) return true;
    const hedge = this.#newHedge(call);
    // Known before it is sent, as it may have to wait for room.
    hedge.bounded!.nodeId = other;
    hedges.push(hedge);
    this.#counts.hedgesSent++;
    this.#links.to(other)?.calls.submit(hedge, nowMs);
    return true;
  }

  #won(): void {
    this.#counts.hedgesWon++;
    this.#hedges.won();
  }

  #newHedge(call: Call): Call {
    const hedge = new Call(
      {
        ...call,
        resolve: (value) => {
          if (!call.done) this.#won();
          resolveCall(call, value);
        },
        reject: (error) => {
          if (call.done) return;
          if (isUnknown(error)) return void this.#hedge(call, this.#world.monotonic.nowMs());
          // That there is no such record is an answer, too.
          this.#won();
          rejectCall(call, error);
        },
        bounded: new BoundedRead("hedge"),
      },
      call.serial,
    );
    hedge.partition = call.partition;
    return hedge;
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

  measure(nodeId: number, mayBeNear: boolean): void {
    const link = this.#links.to(nodeId);
    if (link === undefined) return;
    link.usedAtMs = this.#world.monotonic.nowMs();
    // One request shows whether a node that is far still answers, and still is.
    if (link.calls.isConnected) this.#toMeasure.set(nodeId, mayBeNear ? CLIENT_MEASURE_TRIPS : 1);
  }

  #measureBy(read: TrialRead): void {
    for (const [nodeId, trips] of this.#toMeasure) this.#try(nodeId, read, trips);
    this.#toMeasure.clear();
  }

  /**
   * Measures round trips to a node by sending it what another node is asked, some times one after the
   * other: the shortest counts, as it does for nodes that serve many reads. The answers are ignored.
   */
  #try(nodeId: number, read: TrialRead, trips: number): void {
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
        delegation: read.delegation,
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

/** The content of a request that measures a node. */
type TrialRead =
  & Pick<Call, "operation" | "body" | "maxStalenessMs" | "serial">
  & Partial<Pick<Call, "partition" | "delegation">>;

/** Reports whether a read is of one record, so that its reply takes a round trip. */
function isOfOne({ part, partition = ANY_NODE }: Call): boolean {
  return part === undefined && partition !== ANY_NODE;
}
