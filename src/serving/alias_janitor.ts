/**
 * Puts aliases right that a crash, an expiry or a change of domain left behind: a pending one whose
 * agent registered is confirmed; one whose agent does not hold its claim is given up. Nobody waits
 * for it: resolving asks the agent's record in any case, and a claim on a held domain asks too. It
 * only gives memory back, so it goes round slowly, a few partitions a tick.
 *
 * After a whole round that found every alias as it should be, it sleeps until an event of the stores
 * says that an alias was claimed or an agent dropped its claim.
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

/** What the janitor stands on. */
export interface AliasJanitorOptions {
  readonly table: PartitionTable;
  readonly claims: DomainClaims;
  /** How many aliases the node holds. */
  readonly aliasCount: () => number;
  readonly clock: MonotonicClock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

/** An alias that is not as it should be. */
interface Repair {
  readonly domain: string;
  readonly agentId: Uint8Array;
  readonly claim: Position;
  readonly confirm: boolean;
}

/** Goes round all partitions, each once in ALIAS_SWEEP_MS. */
export class AliasJanitor {
  readonly #options: AliasJanitorOptions;
  /** Pending claims without a register, as the last round found them. */
  readonly #suspects = new Map<string, Position>();
  #next = 0;
  /** Partitions in a row, up to the last one, whose aliases are all as they should be. */
  #soundCount = 0;
  #isStarted = false;
  /** Partitions that are to be looked at by now. */
  #owed = 0;
  #repairing = 0;
  #timer: Timer | undefined;

  constructor(options: AliasJanitorOptions) {
    this.#options = options;
  }

  /** Begins its rounds. */
  start(): void {
    this.#isStarted = true;
    this.#later();
  }

  /** Hears of an event of a store; one that may leave an alias behind begins another round. */
  heed(type: EventType): void {
    if (type !== "claimed" && type !== "claim_dropped") return;
    this.#soundCount = 0;
    this.#later();
  }

  /** Ends its rounds; what it proposed is committed or not, as any other. */
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
      // However few partitions there are, a round takes its time: a pending claim gets all of it.
      this.#owed += count * GROUP_TICK_MS / ALIAS_SWEEP_MS;
      for (; this.#owed >= 1; this.#owed--) this.#sweepNext(count);
      if (this.#soundCount < count && this.#options.aliasCount() > 0) this.#later();
    });
  }

  /** Looks at every alias once, now; resolves when what it found is repaired or was refused. */
  async sweepAll(): Promise<void> {
    for (const partition of this.#options.table) {
      const { repairs } = this.#find(partition);
      await Promise.all(repairs.map((repair) => this.#repair(repair)));
    }
  }

  #sweepNext(count: number): void {
    const partition = this.#options.table.at(this.#next);
    this.#next = (this.#next + 1) % count;
    this.#soundCount++;
    if (partition === undefined) return;
    if (this.#repairing >= ALIAS_REPAIRS_MAX) {
      this.#soundCount = 0;
      return;
    }
    const { repairs, isSound } = this.#find(partition);
    if (!isSound) this.#soundCount = 0;
    for (const repair of repairs) this.#repair(repair);
  }

  /**
   * The aliases of a partition that want repair, at most ALIAS_REPAIRS_MAX, and whether each of its
   * aliases was looked at and is as it should be.
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

  /** A pending claim may belong to a register under way, so it is left alone for one round. */
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
      // It is found again in the next round.
      logger.debug("An alias was not repaired", { code: toRegistryError(error).code });
    } finally {
      this.#repairing--;
    }
  }
}
