/**
 * Repairs aliases left behind by a crash, an expiry or a change of domain. Confirms a pending alias
 * whose agent registered, and gives up an alias whose agent does not hold its claim. No request
 * depends on it: resolving always checks the agent's record, and so does a claim on a held domain.
 * It only reclaims memory and therefore runs slowly, a few partitions a tick.
 *
 * After a complete round without findings it sleeps until a store event reports that an alias was
 * claimed or that an agent dropped its claim.
 */
import { toRegistryError } from "../base/errors.ts";
import {
  ALIAS_REPAIRS_MAX,
  ALIAS_SUSPECTS_MAX,
  ALIAS_SWEEP_MS,
  GROUP_TICK_MS,
  REQUEST_TIMEOUT_MS_DEFAULT,
} from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { MonotonicClock, Scheduler, Timer } from "../base/world.ts";
import { KIND_ALIAS } from "../record/key.ts";
import { ALIAS_PENDING } from "../store/apply_aliases.ts";
import { type EventType, type Position, samePosition } from "../store/reply.ts";
import type { DomainClaims } from "./domain_claims.ts";
import type { Partition, PartitionTable } from "./partitions.ts";

/** Dependencies of an {@link AliasJanitor}. */
export interface AliasJanitorOptions {
  readonly table: PartitionTable;
  readonly claims: DomainClaims;
  /** Returns the number of aliases that the node holds. */
  readonly aliasCount: () => number;
  readonly clock: MonotonicClock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

/** Repair of one inconsistent alias. */
interface Repair {
  readonly domain: string;
  readonly agentId: Uint8Array;
  readonly claim: Position;
  readonly confirm: boolean;
}

/** Visits every partition once in ALIAS_SWEEP_MS. */
export class AliasJanitor {
  readonly #options: AliasJanitorOptions;
  /** Pending claims without a register, as found by the last round. */
  readonly #suspects = new Map<string, Position>();
  #next = 0;
  /**
   * Number of consecutive partitions, up to the last one visited, without an inconsistent alias.
   */
  #soundCount = 0;
  #isStarted = false;
  /** Number of partitions that are due for a visit; may be fractional. */
  #owed = 0;
  #repairing = 0;
  #timer: Timer | undefined;

  constructor(options: AliasJanitorOptions) {
    this.#options = options;
  }

  /** Starts the rounds. */
  start(): void {
    this.#isStarted = true;
    this.#later();
  }

  /** Handles a store event; starts another round if the event may leave an alias behind. */
  heed(type: EventType): void {
    if (type !== "claimed" && type !== "claim_dropped") return;
    this.#soundCount = 0;
    this.#later();
  }

  /** Stops the rounds. Commands already proposed are committed or not, as any others. */
  stop(): void {
    this.#isStarted = false;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #later(): void {
    if (!this.#isStarted || this.#timer !== undefined) return;
    this.#timer = this.#options.scheduler.after(GROUP_TICK_MS, () => {
      this.#timer = undefined;
      const count = this.#options.table.partitioner.partitionCount;
      // A round takes ALIAS_SWEEP_MS for any number of partitions, so that a pending claim has that
      // time.
      this.#owed += count * GROUP_TICK_MS / ALIAS_SWEEP_MS;
      for (; this.#owed >= 1; this.#owed--) this.#sweepNext(count);
      if (this.#soundCount < count && this.#options.aliasCount() > 0) this.#later();
    });
  }

  /** Checks every alias once; resolves when each repair is done or was refused. */
  async sweepAll(): Promise<void> {
    for (const partition of this.#options.table.here()) {
      const { repairs } = this.#find(partition);
      await Promise.all(repairs.map((repair) => this.#repair(repair)));
    }
  }

  #sweepNext(count: number): void {
    const partition = this.#options.table.at(this.#next);
    this.#next = (this.#next + 1) % count;
    this.#soundCount++;
    if (!partition.isHere) return;
    if (this.#repairing >= ALIAS_REPAIRS_MAX) {
      this.#soundCount = 0;
      return;
    }
    const { repairs, isSound } = this.#find(partition);
    if (!isSound) this.#soundCount = 0;
    for (const repair of repairs) this.#repair(repair);
  }

  /**
   * Returns the aliases of a partition that need repair, at most ALIAS_REPAIRS_MAX, and whether all
   * its aliases were checked and are consistent.
   */
  #find(partition: Partition): { readonly repairs: Repair[]; readonly isSound: boolean } {
    const repairs: Repair[] = [];
    const { store, group } = partition;
    if (store.aliasCount === 0) return { repairs, isSound: true };
    if (group.readPoint(0) === undefined) return { repairs, isSound: false };
    let isSound = true;
    store.forEachSlot(KIND_ALIAS, (slot) => {
      if (repairs.length >= ALIAS_REPAIRS_MAX) return;
      const alias = store.aliasView(slot);
      const claim = { generation: alias.claimGeneration, index: alias.claimIndex };
      const held = this.#options.claims.holds(alias.agentId, claim);
      const pending = alias.state === ALIAS_PENDING;
      if (held && !pending) return;
      isSound = false;
      if (held === undefined) return;
      const domain = alias.domain;
      if (!held && pending && !this.#seenBefore(domain, claim)) return;
      this.#suspects.delete(domain);
      repairs.push({ domain, agentId: alias.agentId, claim, confirm: held });
    });
    return { repairs, isSound };
  }

  /**
   * Reports whether the previous round found the same pending claim. A pending claim may belong to
   * a register in progress, so it is left alone for one round.
   */
  #seenBefore(domain: string, claim: Position): boolean {
    const suspect = this.#suspects.get(domain);
    if (suspect !== undefined && samePosition(suspect, claim)) return true;
    if (this.#suspects.size >= ALIAS_SUSPECTS_MAX) this.#suspects.clear();
    this.#suspects.set(domain, claim);
    return false;
  }

  async #repair(repair: Repair): Promise<void> {
    const { claims, clock, logger } = this.#options;
    const deadlineMs = clock.nowMs() + REQUEST_TIMEOUT_MS_DEFAULT;
    this.#repairing++;
    try {
      const { domain, agentId, claim } = repair;
      if (repair.confirm) await claims.confirm(domain, agentId, claim, deadlineMs);
      else await claims.giveUp(domain, agentId, claim, deadlineMs);
    } catch (error) {
      // The next round finds it again.
      logger.debug("An alias was not repaired", { code: toRegistryError(error).code });
    } finally {
      this.#repairing--;
    }
  }
}
