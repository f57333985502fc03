/**
 * Keeps all leases of a client alive with one Renew request at a time: at the interval the server
 * last requested, no later than half of the shortest ttl, and immediately after a reconnect.
 *
 * The outcome of a renewal decides what happens to a lease. `superseded` ends it. After `not_found` the
 * record has expired, and is registered again (lease_recovery.ts); so is one that is `superseded` by an
 * earlier incarnation, which only a registry that was restored from a backup has. After any other error
 * it is renewed again. All failed renewals are retried together, after one back-off with full jitter,
 * however many they are. A lease is never given up because the registry is unreachable: group time
 * stands still during an outage, so a record may outlive its ttl by the client's clock. A failure
 * counts only while the lease still has the incarnation that the request named. Clock: monotonic.
 * It stands still while this machine sleeps, so a lease may have expired on wake-up; the next
 * renewal tells.
 */
import { ERROR_TABLE, RegistryError, toRegistryError } from "../base/errors.ts";
import {
  CLIENT_LEASES_MAX,
  CLIENT_RENEW_RETRY_MS_BASE,
  CLIENT_RENEW_RETRY_MS_CAP,
  REQUEST_TIMEOUT_MS_DEFAULT,
  TTL_MS_MIN,
} from "../base/limits.ts";
import { samePosition } from "../base/position.ts";
import type { MonotonicClock, Timer, World } from "../base/world.ts";
import type { OwnCalls } from "./calls/own.ts";
import type { RegisterCalls } from "./calls/register.ts";
import { HeldLease, type LeaseHome } from "./lease.ts";
import { LeaseRecovery } from "./lease_recovery.ts";
import type { Incarnation } from "./records.ts";
import { backOffMs } from "./retry.ts";
import type {
  KeepItem,
  KeepOptions,
  KeepOutcome,
  Lease,
  Registered,
  RenewFailure,
} from "./types.ts";

/** The random share of an interval, which keeps clients from renewing in step. */
const JITTER = 0.1;

/** The keeper of all leases of one client. */
export class LeaseKeeper implements LeaseHome {
  readonly clock: MonotonicClock;
  readonly register: RegisterCalls;
  readonly own: OwnCalls;
  readonly #world: World;
  readonly #recovery: LeaseRecovery;
  readonly #leases = new Set<HeldLease>();
  /** Leases whose last renewal failed. */
  readonly #failing = new Set<HeldLease>();
  #timer: Timer | undefined;
  /** Monotonic time of the next renewal of all leases. */
  #renewAtMs = Infinity;
  /** Monotonic time of the next renewal of the failing leases. */
  #retryAtMs = Infinity;
  /** Consecutive rounds with at least one failure. */
  #failedRounds = 0;
  #renewing = false;
  #closed = false;

  constructor(world: World, calls: { register: RegisterCalls; own: OwnCalls }) {
    this.#world = world;
    this.#recovery = new LeaseRecovery(world);
    this.clock = world.monotonic;
    this.register = calls.register;
    this.own = calls.own;
  }

  /** The number of leases held or being recovered. */
  get count(): number {
    return this.#leases.size;
  }

  /** Registers one record and keeps its lease. @throws RegistryError as the register. */
  async keep(item: KeepItem, options: KeepOptions = {}): Promise<Lease> {
    this.#checkRoom(1);
    const sentAtMs = this.clock.nowMs();
    const registerOptions = {
      ...options,
      takeOver: options.takeOver ?? true,
      ...(item.expected === undefined ? {} : { expected: item.expected }),
    };
    const registered = await this.register.one(item, registerOptions);
    return this.#adopt(item, registered, sentAtMs, options);
  }

  /** Registers many records and keeps the leases of those accepted. */
  async keepMany(
    items: readonly KeepItem[],
    options: KeepOptions = {},
  ): Promise<KeepOutcome[]> {
    this.#checkRoom(items.length);
    const sentAtMs = this.clock.nowMs();
    const outcomes = await this.register.many(items, {
      ...options,
      takeOver: options.takeOver ?? true,
    });
    return outcomes.map(({ registered, error }, index): KeepOutcome =>
      registered === undefined
        ? { error }
        : { lease: this.#adopt(items[index]!, registered, sentAtMs, options) }
    );
  }

  /** Handles a new connection: missed renewals are made up immediately. */
  connected(): void {
    this.#recovery.connected();
    // A renewal in progress is retried by the call queue.
    if (!this.#renewing && this.#leases.size > 0) this.#renewBy(this.clock.nowMs());
  }

  /** Ends all leases; their records expire unless they are released first. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#recovery.close();
    for (const lease of [...this.#leases]) {
      lease.finish({ reason: "released", error: undefined });
    }
  }

  /** Releases all leases and waits; where a release fails, the record expires by its ttl. */
  async releaseAll(timeoutMs: number): Promise<void> {
    await Promise.allSettled([...this.#leases].map((lease) => lease.release({ timeoutMs })));
  }

  registered(lease: HeldLease, { renewAfterMs }: Registered): void {
    if (!this.#leases.has(lease)) return;
    this.#failing.delete(lease);
    this.#renewWithin(renewAfterMs, lease.ttlMs);
  }

  forget(lease: HeldLease): void {
    this.#leases.delete(lease);
    this.#failing.delete(lease);
    if (this.#leases.size > 0) return;
    this.#timer?.cancel();
    this.#renewAtMs = Infinity;
    this.#retryAtMs = Infinity;
    this.#failedRounds = 0;
  }

  #adopt(
    item: KeepItem,
    registered: Registered,
    sentAtMs: number,
    { onEvent }: KeepOptions,
  ): Lease {
    const lease = new HeldLease(this, item, registered, { sentAtMs, onEvent });
    if (this.#closed) {
      lease.finish({ reason: "released", error: undefined });
      return lease;
    }
    this.#leases.add(lease);
    this.#renewWithin(registered.renewAfterMs, lease.ttlMs);
    return lease;
  }

  /** Brings the next renewal of all leases forward if this lease needs it. */
  #renewWithin(renewAfterMs: number, ttlMs: number): void {
    this.#renewBy(this.clock.nowMs() + this.#jittered(Math.min(renewAfterMs, ttlMs / 2)));
  }

  #renewBy(atMs: number): void {
    if (atMs >= this.#renewAtMs) return;
    this.#renewAtMs = atMs;
    this.#schedule();
  }

  /** Sets the timer for the next round. A round in progress does so itself when it ends. */
  #schedule(): void {
    if (this.#closed || this.#renewing) return;
    this.#timer?.cancel();
    const delayMs = Math.max(0, Math.min(this.#renewAtMs, this.#retryAtMs) - this.clock.nowMs());
    if (delayMs === Infinity) return;
    this.#timer = this.#world.scheduler.after(delayMs, () => void this.#round());
  }

  /** Renews what is due: all leases, or only the failing ones. */
  async #round(): Promise<void> {
    const isForAll = this.clock.nowMs() >= this.#renewAtMs;
    if (isForAll) this.#renewAtMs = Infinity;
    this.#retryAtMs = Infinity;
    const leases = [...(isForAll ? this.#leases : this.#failing)]
      .filter(({ state }) => state === "active");
    const named = leases.map(({ incarnation }) => incarnation);
    let hint: RegistryError | undefined;
    this.#renewing = true;
    try {
      if (leases.length > 0) await this.#renew(leases, named);
    } catch (cause) {
      hint = toRegistryError(cause);
      for (const lease of leases) if (lease.state === "active") this.#renewalFailed(lease, hint);
    }
    this.#renewing = false;
    this.#planRetry(hint?.fields.retryAfterMs);
    this.#schedule();
  }

  /** Renews `leases` in one request. */
  async #renew(leases: readonly HeldLease[], named: readonly Incarnation[]): Promise<void> {
    const sentAtMs = this.clock.nowMs();
    const items = leases.map(({ kind, id }, index) => ({ kind, id, incarnation: named[index]! }));
    const { renewAfterMs, failures } = await this.own.renew(items, {
      timeoutMs: this.#shortestTtlMs / 4,
    });
    const failureAt = new Map<number, RenewFailure>(failures.map((one) => [one.position, one]));
    let nextMs = Infinity;
    leases.forEach((lease, index) => {
      if (lease.state !== "active" || !samePosition(lease.incarnation, named[index]!)) return;
      const failure = failureAt.get(index);
      if (failure !== undefined) return this.#refused(lease, failure.error);
      this.#failing.delete(lease);
      lease.renewed(sentAtMs);
      nextMs = Math.min(nextMs, renewAfterMs, lease.ttlMs / 2);
    });
    this.#renewBy(this.clock.nowMs() + this.#jittered(nextMs));
  }

  /** Ends, recovers or retries a lease whose renewal was refused. */
  #refused(lease: HeldLease, error: RegistryError): void {
    this.#failing.delete(lease);
    const { code, fields: { incarnation } } = error;
    if (code === "not_found" || code === "superseded" && lease.wasRestored(incarnation)) {
      lease.expired();
      return this.#recovery.add(lease);
    }
    const { class: errorClass } = ERROR_TABLE[error.code];
    if (errorClass === "unavailable" || error.code === "internal") {
      return this.#renewalFailed(lease, error);
    }
    lease.finish({ reason: errorClass === "conflict" ? "superseded" : "refused", error });
  }

  #renewalFailed(lease: HeldLease, error: RegistryError): void {
    this.#failing.add(lease);
    lease.renewalFailed(error);
  }

  /** Plans one retry for all failing leases. */
  #planRetry(retryAfterMs: number | undefined): void {
    if (this.#failing.size === 0) {
      this.#failedRounds = 0;
      return;
    }
    const capMs = Math.min(CLIENT_RENEW_RETRY_MS_CAP, this.#shortestTtlMs / 2);
    const backOff = { baseMs: CLIENT_RENEW_RETRY_MS_BASE, capMs };
    const delayMs = backOffMs(
      ++this.#failedRounds,
      backOff,
      this.#world.entropy,
      retryAfterMs,
    );
    this.#retryAtMs = this.clock.nowMs() + delayMs;
  }

  get #shortestTtlMs(): number {
    let ttlMs = REQUEST_TIMEOUT_MS_DEFAULT * 4;
    for (const lease of this.#leases) ttlMs = Math.min(ttlMs, lease.ttlMs);
    return Math.max(ttlMs, TTL_MS_MIN);
  }

  #jittered(delayMs: number): number {
    return delayMs * (1 - JITTER * this.#world.entropy.unit());
  }

  #checkRoom(count: number): void {
    if (this.#leases.size + count <= CLIENT_LEASES_MAX) return;
    throw new RegistryError(
      "overloaded",
      `A client may hold at most ${CLIENT_LEASES_MAX} leases: it holds ${this.#leases.size} ` +
        `and asks for ${count} more`,
    );
  }
}
