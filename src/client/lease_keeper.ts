/**
 * Keeps all leases of a client alive with one Renew request at a time: at the interval that the
 * server dictated last, never later than half of the shortest ttl, and at once after a reconnect.
 *
 * What a renewal says of a lease: `superseded` ends it; `not_found` means that it expired, and it is
 * registered again once; anything else is tried again soon. A failure counts only while the lease
 * still has the incarnation that the request named. Clock: monotonic; while this machine sleeps it
 * stands still, so a lease may have expired by the time that it wakes: the renewal tells.
 */
import { ERROR_TABLE, RegistryError, toRegistryError } from "../base/errors.ts";
import {
  CLIENT_LEASES_MAX,
  CLIENT_RENEW_RETRY_MS,
  REQUEST_TIMEOUT_MS_DEFAULT,
  TTL_MS_MIN,
} from "../base/limits.ts";
import type { MonotonicClock, Timer, World } from "../base/world.ts";
import type { OwnCalls } from "./calls/own.ts";
import type { RegisterCalls } from "./calls/register.ts";
import { HeldLease, type LeaseHome } from "./lease.ts";
import type { Incarnation } from "./records.ts";
import type {
  KeepOptions,
  KeepOutcome,
  Lease,
  LeaseEnd,
  Registered,
  RegisterItem,
  RenewFailure,
} from "./types.ts";

/** The last tenth of an interval is drawn, so that clients do not renew in step. */
const JITTER = 0.1;

/** All leases of one client. */
export class LeaseKeeper implements LeaseHome {
  readonly clock: MonotonicClock;
  readonly register: RegisterCalls;
  readonly own: OwnCalls;
  readonly #world: World;
  readonly #leases = new Set<HeldLease>();
  #timer: Timer | undefined;
  #renewAtMs = Infinity;
  #renewing = false;
  #closed = false;

  constructor(world: World, calls: { register: RegisterCalls; own: OwnCalls }) {
    this.#world = world;
    this.clock = world.monotonic;
    this.register = calls.register;
    this.own = calls.own;
  }

  /** Leases that are held or being recovered. */
  get count(): number {
    return this.#leases.size;
  }

  /** Registers one record and keeps it. @throws RegistryError as the register. */
  async keep(item: RegisterItem, options: KeepOptions = {}): Promise<Lease> {
    this.#checkRoom(1);
    const sentAtMs = this.clock.nowMs();
    const registerOptions = {
      ...options,
      takeOver: options.takeOver ?? true,
      ...(item.expected === undefined ? {} : { expected: item.expected }),
    };
    const registered = item.kind === "agent"
      ? await this.register.agent(item.agent, registerOptions)
      : await this.register.gateway(item.gateway, registerOptions);
    return this.#adopt(item, registered, sentAtMs, options);
  }

  /** Registers many and keeps those that were accepted. */
  async keepMany(
    items: readonly RegisterItem[],
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

  /** A connection was made: renewals that were missed are caught up at once. */
  connected(): void {
    // A renewal that is under way is sent again by itself.
    if (!this.#renewing && this.#leases.size > 0) this.#schedule(0);
  }

  /** Ends all leases; what they held expires unless it is released first. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    for (const lease of [...this.#leases]) {
      lease.finish({ reason: "released", error: undefined });
    }
  }

  /** Releases all leases, and waits; failures are left to the ttl. */
  async releaseAll(timeoutMs: number): Promise<void> {
    await Promise.allSettled([...this.#leases].map((lease) => lease.release({ timeoutMs })));
  }

  registered(lease: HeldLease, { renewAfterMs }: Registered): void {
    if (this.#leases.has(lease)) this.#renewWithin(renewAfterMs, lease.ttlMs);
  }

  forget(lease: HeldLease): void {
    this.#leases.delete(lease);
    if (this.#leases.size > 0) return;
    this.#timer?.cancel();
    this.#renewAtMs = Infinity;
  }

  #adopt(
    item: RegisterItem,
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

  /** Brings the next renewal of all forward where this lease needs it. */
  #renewWithin(renewAfterMs: number, ttlMs: number): void {
    const delayMs = this.#jittered(Math.min(renewAfterMs, ttlMs / 2));
    if (this.clock.nowMs() + delayMs < this.#renewAtMs) this.#schedule(delayMs);
  }

  #schedule(delayMs: number): void {
    if (this.#closed) return;
    this.#timer?.cancel();
    this.#renewAtMs = this.clock.nowMs() + delayMs;
    this.#timer = this.#world.scheduler.after(delayMs, () => void this.#renewAll());
  }

  async #renewAll(): Promise<void> {
    if (this.#renewing) return;
    this.#renewing = true;
    this.#renewAtMs = Infinity;
    const leases = [...this.#leases].filter(({ state }) => state === "active");
    const named = leases.map(({ incarnation }) => incarnation);
    let nextMs: number;
    try {
      nextMs = leases.length === 0 ? Infinity : await this.#renew(leases, named);
    } catch (cause) {
      const error = toRegistryError(cause);
      for (const lease of leases) if (lease.state === "active") lease.renewalFailed(error);
      nextMs = this.#retryMs(error);
    }
    this.#renewing = false;
    if (this.#leases.size === 0) return;
    // A lease that was registered meanwhile may have asked for an earlier time.
    if (this.clock.nowMs() + nextMs < this.#renewAtMs) this.#schedule(nextMs);
  }

  /** One request for all; returns when the next is wanted, ms from now. */
  async #renew(leases: readonly HeldLease[], named: readonly Incarnation[]): Promise<number> {
    const sentAtMs = this.clock.nowMs();
    const items = leases.map(({ kind, id }, index) => ({ kind, id, incarnation: named[index]! }));
    const { renewAfterMs, failures } = await this.own.renew(items, {
      timeoutMs: this.#timeoutMs(),
    });
    const failureAt = new Map<number, RenewFailure>(failures.map((one) => [one.position, one]));
    let nextMs = renewAfterMs;
    leases.forEach((lease, index) => {
      if (lease.state !== "active" || !sameIncarnation(lease.incarnation, named[index]!)) return;
      const failure = failureAt.get(index);
      if (failure === undefined) lease.renewed(sentAtMs);
      else nextMs = Math.min(nextMs, this.#failed(lease, failure.error));
      nextMs = Math.min(nextMs, lease.ttlMs / 2);
    });
    return this.#jittered(nextMs);
  }

  /** What a refused renewal means for its lease; returns when to try again, ms. */
  #failed(lease: HeldLease, error: RegistryError): number {
    if (error.code === "not_found") {
      lease.expired();
      void this.#recover(lease);
      return Infinity;
    }
    if (ERROR_TABLE[error.code].class === "unavailable" || error.code === "internal") {
      lease.renewalFailed(error);
      return this.#retryMs(error);
    }
    const superseded = ERROR_TABLE[error.code].class === "conflict";
    lease.finish({ reason: superseded ? "superseded" : "refused", error });
    return Infinity;
  }

  /** Registers an expired record again: once, though unavailability is waited out. */
  async #recover(lease: HeldLease): Promise<void> {
    while (lease.state === "recovering") {
      try {
        return await lease.recover({ timeoutMs: REQUEST_TIMEOUT_MS_DEFAULT });
      } catch (cause) {
        const error = toRegistryError(cause);
        const { class: errorClass } = ERROR_TABLE[error.code];
        if (this.#closed || errorClass !== "unavailable") return lease.finish(endOf(error));
        lease.renewalFailed(error);
        await this.#pause(this.#retryMs(error));
      }
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#world.scheduler.after(delayMs, resolve);
    });
  }

  /** Long enough for an answer, short enough that another try is left within the lease. */
  #timeoutMs(): number {
    let ttlMs = REQUEST_TIMEOUT_MS_DEFAULT * 4;
    for (const lease of this.#leases) ttlMs = Math.min(ttlMs, lease.ttlMs);
    return Math.max(ttlMs, TTL_MS_MIN) / 4;
  }

  #retryMs(error: RegistryError): number {
    return (error.fields.retryAfterMs ?? 0) +
      this.#world.entropy.unit() * CLIENT_RENEW_RETRY_MS;
  }

  #jittered(delayMs: number): number {
    return delayMs * (1 - JITTER * this.#world.entropy.unit());
  }

  #checkRoom(count: number): void {
    if (this.#leases.size + count <= CLIENT_LEASES_MAX) return;
    throw new RegistryError(
      "overloaded",
      `A client must hold at most ${CLIENT_LEASES_MAX} leases: it holds ${this.#leases.size} ` +
        `and ${count} more are asked for`,
    );
  }
}

function sameIncarnation(left: Incarnation, right: Incarnation): boolean {
  return left.index === right.index && left.generation === right.generation;
}

/** How a lease ends whose record could not be registered again. */
function endOf(error: RegistryError): LeaseEnd {
  const taken = error.code === "incarnation_mismatch" || error.code === "superseded";
  return { reason: taken ? "superseded" : "refused", error };
}
