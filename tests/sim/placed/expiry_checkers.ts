/**
 * Invariants of the expiry guard: no record that it may keep ends without a permit, each permit is given by
 * one draw and used for one record, no leader of group 0 gives more than its budget, and who was promised a
 * lease at the end is not stale.
 */
import { DrawPermitsCommandView } from "../../../schemas/gen/system.ts";
import { ExpireCommandView } from "../../../schemas/gen/command.ts";
import type { PermitDemand, PermitGrant } from "../../../schemas/gen/wire.ts";
import { EXPIRY_BUDGET_MS } from "../../../src/base/limits.ts";
import { parseUuid } from "../../../src/base/uuid.ts";
import { COMMAND_KINDS } from "../../../src/record/command.ts";
import { KIND_AGENT } from "../../../src/record/key.ts";
import { STALE_APPLY_VERSION } from "../../../src/record/kind_row.ts";
import { RECORD_KINDS } from "../../../src/record/kinds.ts";
import { isStaleState } from "../../../src/record/record_state.ts";
import type { ClusterGroups } from "../../../src/replication/assembly/cluster_groups.ts";
import type { PartitionStore } from "../../../src/store/store.ts";
import type { StoreEntry } from "../../../src/store/store_options.ts";
import { permitsPerMinute } from "../../../src/system/expiry/expiry_budget.ts";
import { EXPIRY_KINDS } from "../../../src/system/expiry/expiry_codec.ts";
import { commandOf, type SystemEntry, type SystemStore } from "../../../src/system/system_store.ts";
import { Finding } from "../history.ts";
import type { PlacedChecker } from "./checker.ts";
import type { PlacedCluster } from "./cluster.ts";
import type { LeasePromise } from "./kept_lease.ts";
import type { PlacedMachine } from "./machine.ts";

/** Permits that a leadership of group 0 gave in a region. */
interface Given {
  count: number;
  /** The highest rate of any draw, permits per minute. */
  perMinute: number;
}

/** Follows all permits from their draws to the ends of records. */
class Permits implements PlacedChecker {
  readonly name = "permits";
  /** The stores that are watched. */
  readonly #watched = new WeakSet<object>();
  /** By number: the draw that was given it, and where it was used. */
  readonly #given = new Map<number, string>();
  readonly #used = new Map<number, string>();
  /** The draws, by node and number: a draw that is sent again is given the same. */
  readonly #draws = new Set<string>();
  #found: string | undefined;
  /** By term and region. */
  readonly #leaderships = new Map<string, Given>();

  /** Notes what was found while an entry was applied, where a group would take it for its own bug. */
  #fail(message: string): void {
    this.#found ??= message;
  }

  stepped(_machine: PlacedMachine, groups: ClusterGroups): void {
    if (this.#found !== undefined) throw new Finding(this.name, this.#found);
    const { store } = groups.system;
    if (!this.#watched.has(store)) this.#watchSystem(store);
    for (const { id, store } of groups.partitions) {
      if (!this.#watched.has(store)) this.#watchPartition(id, store);
    }
  }

  #watchPartition(id: number, store: PartitionStore): void {
    this.#watched.add(store);
    const apply = store.apply.bind(store);
    store.apply = (entry: StoreEntry, leaderNowMs?: number) => {
      const command = commandOf(entry.data);
      if (command.kind !== COMMAND_KINDS.expire) return apply(entry, leaderNowMs);
      const { items } = command.bodyInto(new ExpireCommandView()).toPlain();
      const isGuarding = store.applyVersion >= STALE_APPLY_VERSION;
      const isThere = (item: typeof items[0]) => store.find(item.kind, item.id, 0, 16) !== -1;
      const before = items.filter((item) => RECORD_KINDS.isGuarded(item.kind) && isThere(item));
      const reply = apply(entry, leaderNowMs);
      const place = `partition ${id}, index ${entry.index}`;
      for (const item of before.filter((one) => !isThere(one))) {
        if (isGuarding && item.permit === 0) {
          this.#fail(`A record ended without a permit: ${place}`);
        }
        if (item.permit > 0) this.#use(item.permit, `${place}, ${item.id.join(".")}`);
      }
      return reply;
    };
  }

  #use(permit: number, place: string): void {
    const used = this.#used.get(permit) ?? place;
    if (used !== place) {
      this.#fail(`Permit ${permit} was used twice: ${used}, and ${place}`);
    }
    this.#used.set(permit, place);
  }

  #watchSystem(store: SystemStore): void {
    this.#watched.add(store);
    const apply = store.apply.bind(store);
    store.apply = (entry: SystemEntry) => {
      const reply = apply(entry);
      const command = commandOf(entry.data);
      if (command.kind !== EXPIRY_KINDS.draw || reply.code !== "ok") return reply;
      const body = command.bodyInto(new DrawPermitsCommandView()).toPlain();
      const draw = `node ${body.nodeId}, draw ${body.draw}`;
      const isFirst = !this.#draws.has(draw);
      this.#draws.add(draw);
      const grants = store.state.expiry.grantsOf(body.nodeId, body.draw) ?? [];
      const elapsedMs = command.timeMs - body.ledFromMs;
      grants.forEach((grant, at) => {
        this.#give(draw, grant, isFirst);
        if (!isFirst) return;
        const demand = body.items[at]!;
        this.#count(entry.term, demand, grant, permitsPerMinute(body, demand.fleet), elapsedMs);
      });
      return reply;
    };
  }

  #give(draw: string, { first, count }: PermitGrant, isFirst: boolean): void {
    for (let permit = first; permit < first + count; permit++) {
      const given = this.#given.get(permit) ?? (isFirst ? draw : "nobody");
      if (given !== draw) this.#fail(`Permit ${permit} was given twice: ${given}, and ${draw}`);
      this.#given.set(permit, draw);
    }
  }

  #count(
    term: number,
    { region }: PermitDemand,
    { count, isReleased }: PermitGrant,
    perMinute: number,
    elapsedMs: number,
  ): void {
    if (isReleased) return;
    const key = `${term} ${region}`;
    const given = this.#leaderships.get(key) ?? { count: 0, perMinute: 0 };
    given.count += count;
    given.perMinute = Math.max(given.perMinute, perMinute);
    this.#leaderships.set(key, given);
    const most = Math.max(0, elapsedMs) * given.perMinute / EXPIRY_BUDGET_MS;
    if (given.count <= most) return;
    this.#fail(
      `A leader of group 0 gave ${given.count} permits within ${elapsedMs} ms, at ` +
        `${given.perMinute} a minute`,
    );
  }

  ended(): void {
    for (const [permit, place] of this.#used) {
      if (this.#given.has(permit)) continue;
      throw new Finding(this.name, `Permit ${permit} was given by nobody: ${place}`);
    }
  }
}

/** Once nothing moves, a record whose owner was promised a lease is not stale. */
class RecoveredLeases implements PlacedChecker {
  readonly name = "recovered_leases";
  readonly #cluster: PlacedCluster;
  readonly #promises = new Map<string, LeasePromise>();

  constructor(cluster: PlacedCluster) {
    this.#cluster = cluster;
  }

  promised(promise: LeasePromise): void {
    this.#promises.set(promise.key, promise);
  }

  ended(): void {
    for (const { key, untilMs, client } of this.#promises.values()) {
      if (untilMs <= this.#cluster.nowMs) continue;
      const id = parseUuid(key);
      const store = this.#leaderFor(id);
      const slot = store?.find(KIND_AGENT, id, 0, id.length) ?? -1;
      if (slot === -1 || !isStaleState(store!.recordView(slot).state)) continue;
      throw new Finding(this.name, `Client ${client} was promised a lease, and its agent is stale`);
    }
  }

  #leaderFor(id: Uint8Array): PartitionStore | undefined {
    for (let number = 0; number < this.#cluster.plan.partitionCount; number++) {
      const store = this.#cluster.leaderOf(number)?.here.store;
      if (store !== undefined && store.find(KIND_AGENT, id, 0, id.length) !== -1) return store;
    }
    return undefined;
  }
}

/** Makers of these checkers. */
export const EXPIRY_CHECKERS: readonly ((cluster: PlacedCluster) => PlacedChecker)[] = [
  () => new Permits(),
  (cluster) => new RecoveredLeases(cluster),
];
