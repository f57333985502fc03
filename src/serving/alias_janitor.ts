/**
 * Repairs aliases left behind by a crash, an expiry or a change of domain, in the partitions that this
 * node leads. Confirms a pending alias whose agent registered, and gives up an alias whose agent does not
 * hold its claim. No request depends on it: resolving always checks the agent's record, and so does a
 * claim on a held domain. It only reclaims memory and therefore runs slowly, a few partitions a tick.
 *
 * Whether an agent seems to hold a claim is read from this node's replica of the agent's partition, which
 * may be behind: the revocation that is logged in the agent's group decides. Where there is no replica
 * here, that group is asked.
 *
 * After a complete round without findings it sleeps until a store event reports that an alias was
 * claimed or that an agent dropped its claim, or this node leads another partition.
 */
import { type Position, samePosition } from "../base/position.ts";
import { toRegistryError } from "../base/errors.ts";
import {
  ALIAS_ASK_ROUND_MS,
  ALIAS_LED_CHECK_MS,
  ALIAS_REPAIRS_MAX,
  ALIAS_SUSPECTS_MAX,
  ALIAS_SWEEP_MS,
  GROUP_TICK_MS,
  REQUEST_TIMEOUT_MS_DEFAULT,
} from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { MonotonicClock, Scheduler, Timer } from "../base/world.ts";
import { KIND_ALIAS } from "../record/key.ts";
import { ALIAS_STATES } from "../../schemas/gen/record.ts";
import type { ClaimedDomain } from "./claim_steps.ts";
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
  /** Time in which every partition is visited once, ms. Default: {@link ALIAS_SWEEP_MS}. */
  readonly sweepMs?: number | undefined;
}

/** Repair of one alias that is, or may be, inconsistent. */
interface Repair extends ClaimedDomain {
  readonly pending: boolean;
  /** Whether its agent holds the claim; undefined: its group must be asked. */
  readonly held: boolean | undefined;
}

/** Visits every partition once in the time of a round. */
export class AliasJanitor {
  readonly #options: AliasJanitorOptions;
  /** Claims without a register, as found by the last round. */
  readonly #suspects = new Map<string, Position>();
  #next = 0;
  /**
   * Number of consecutive partitions, up to the last one visited, without an inconsistent alias.
   */
  #soundCount = 0;
  #isStarted = false;
  /** The partitions that this node led at the last check. */
  readonly #led = new Set<number>();
  /** Aliases of agents elsewhere, by partition, that are asked about before others in the next round. */
  readonly #askedCounts = new Map<number, number>();
  /** Time at which aliases of agents elsewhere are asked about again, monotonic ms. */
  #askAgainMs = Infinity;
  #ledTimer: Timer | undefined;
  /** Number of partitions that are due for a visit; may be fractional. */
  #owed = 0;
  #repairing = 0;
  #timer: Timer | undefined;

  constructor(options: AliasJanitorOptions) {
    this.#options = options;
    options.table.watch(({ id, isHere }) => {
      this.#led.delete(id);
      if (isHere) this.#checkLedLater();
    });
  }

  /** Starts the rounds. */
  start(): void {
    this.#isStarted = true;
    this.#later();
    this.#checkLed();
  }

  /** Starts another round after a claim, or the end of one, as it may leave an alias behind. */
  onEvent(): void {
    this.#soundCount = 0;
    this.#later();
  }

  /** Stops the rounds. Commands already proposed are committed or not, as any others. */
  stop(): void {
    this.#isStarted = false;
    this.#timer?.cancel();
    this.#ledTimer?.cancel();
    this.#timer = this.#ledTimer = undefined;
  }

  /**
   * Starts another round if this node leads a partition that it did not lead before, or agents elsewhere
   * may have dropped their claims meanwhile. Continues while another node leads a partition that is here:
   * a node that is alone leads all of them.
   */
  #checkLed(): void {
    const { table, clock } = this.#options;
    let isNews = false;
    let areAllLed = true;
    for (const { id, group } of table.here()) {
      if (!group.isLeading) {
        this.#led.delete(id);
        areAllLed = false;
      } else if (!this.#led.has(id)) {
        this.#led.add(id);
        isNews = true;
      }
    }
    if (clock.nowMs() >= this.#askAgainMs) {
      this.#askAgainMs = Infinity;
      isNews = true;
    }
    if (isNews) {
      this.#soundCount = 0;
      this.#later();
    }
    if (!areAllLed || this.#askAgainMs !== Infinity) this.#checkLedLater();
  }

  #checkLedLater(): void {
    if (!this.#isStarted || this.#ledTimer !== undefined) return;
    this.#ledTimer = this.#options.scheduler.after(ALIAS_LED_CHECK_MS, () => {
      this.#ledTimer = undefined;
      this.#checkLed();
    });
  }

  #later(): void {
    if (!this.#isStarted || this.#timer !== undefined) return;
    this.#timer = this.#options.scheduler.after(GROUP_TICK_MS, () => {
      this.#timer = undefined;
      const { aliasCount, sweepMs = ALIAS_SWEEP_MS, table } = this.#options;
      const count = table.partitioner.partitionCount;
      // A round takes `sweepMs` for any number of partitions, so that a pending claim has that time.
      this.#owed += count * GROUP_TICK_MS / sweepMs;
      for (; this.#owed >= 1; this.#owed--) this.#sweepNext(count);
      if (this.#soundCount < count && aliasCount() > 0) this.#later();
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
    if (!group.isLeading) {
      // Another node that leads the partition repairs it, as long as it does.
      this.#led.delete(partition.id);
      this.#checkLedLater();
      return { repairs, isSound: true };
    }
    let isSound = true;
    let elsewhere = 0;
    const askAfter = this.#askedCounts.get(partition.id) ?? 0;
    store.forEachSlot(KIND_ALIAS, (slot) => {
      if (repairs.length >= ALIAS_REPAIRS_MAX) return;
      const alias = store.aliasView(slot);
      const claim = { generation: alias.claimGeneration, index: alias.claimIndex };
      const held = this.#options.claims.seemsHeld(alias.agentId, claim);
      const pending = alias.state === ALIAS_STATES.pending;
      if (held && !pending) return;
      if (held === undefined && !pending && elsewhere++ < askAfter) return;
      if (held !== undefined || pending) isSound = false;
      const domain = alias.domain;
      if (!held && pending && !this.#seenBefore(domain, claim)) return;
      this.#suspects.delete(domain);
      repairs.push({ domain, agentId: alias.agentId, claim, pending, held });
    });
    if (elsewhere > 0) {
      this.#askLater(partition, repairs.length < ALIAS_REPAIRS_MAX ? 0 : elsewhere);
    }
    return { repairs, isSound };
  }

  /** Plans a later round for aliases of agents whose partitions are not here, after the first `asked`. */
  #askLater({ id }: Partition, asked: number): void {
    if (asked === 0) this.#askedCounts.delete(id);
    else this.#askedCounts.set(id, asked);
    if (this.#askAgainMs !== Infinity) return;
    this.#askAgainMs = this.#options.clock.nowMs() + ALIAS_ASK_ROUND_MS;
    this.#checkLedLater();
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
      const isHeld = repair.held === true || !await claims.giveUp(repair, deadlineMs);
      if (isHeld && repair.pending) await claims.confirm(repair, deadlineMs);
    } catch (error) {
      // The next round finds it again.
      logger.debug("An alias was not repaired", { code: toRegistryError(error).code });
    } finally {
      this.#repairing--;
    }
  }
}
