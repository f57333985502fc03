/**
 * One record that the client keeps alive: its latest content, the incarnation under which it is
 * held, and how the lease ends. The keeper (lease_keeper.ts) renews it together with all others.
 */
import { RegistryError, toRegistryError } from "../base/errors.ts";
import { TTL_MS_DEFAULT } from "../base/limits.ts";
import { comparePositions } from "../base/position.ts";
import type { MonotonicClock } from "../base/world.ts";
import type { ServedKind } from "./served_kind.ts";
import type { OwnCalls } from "./calls/own.ts";
import type { RegisterCalls } from "./calls/register.ts";
import type { AgentInput, Capacity, GatewayInput, Incarnation } from "./records.ts";
import { fieldsOf, withFields } from "./register_item.ts";
import type {
  CallOptions,
  KeepItem,
  KeepOptions,
  Lease,
  LeaseEnd,
  LeaseEvent,
  LeaseState,
  Registered,
  RegisterOptions,
  Reported,
} from "./types.ts";

/** Services that a client provides to its leases. */
export interface LeaseHome {
  readonly clock: MonotonicClock;
  readonly register: RegisterCalls;
  readonly own: OwnCalls;
  /** The lease was registered again; its next renewal is scheduled from now. */
  registered(lease: HeldLease, registered: Registered): void;
  /** The lease has ended. */
  forget(lease: HeldLease): void;
}

/** A lease with the methods used by the keeper. */
export class HeldLease implements Lease {
  readonly kind: ServedKind;
  readonly id: string;
  readonly ended: Promise<LeaseEnd>;
  readonly #home: LeaseHome;
  readonly #onEvent: KeepOptions["onEvent"];
  #item: KeepItem;
  #incarnation: Incarnation;
  #state: LeaseState = "active";
  /** Monotonic time until which the lease lasts at least. */
  #validUntilMs: number;
  #end!: (end: LeaseEnd) => void;
  /** The pending release; a second release waits for it. */
  #releasing: Promise<void> | undefined;
  /**
   * Tail of the chain of writes: registers run one at a time, so that the latest is applied last.
   */
  #lastWrite: Promise<unknown> = Promise.resolve();

  /**
   * @param item the registered item; its id is replaced by the one the registry returned.
   * @param sentAtMs when the register was sent. The lease starts when the request arrives, not
   * before.
   */
  constructor(
    home: LeaseHome,
    item: KeepItem,
    registered: Registered,
    { sentAtMs, onEvent }: { sentAtMs: number; onEvent: KeepOptions["onEvent"] },
  ) {
    this.#home = home;
    this.#onEvent = onEvent;
    this.kind = item.kind;
    this.id = registered.id;
    this.#item = withFields(item, { id: registered.id });
    this.#incarnation = registered.incarnation;
    this.#validUntilMs = sentAtMs + registered.remainingMs;
    this.ended = new Promise((resolve) => this.#end = resolve);
  }

  get incarnation(): Incarnation {
    return this.#incarnation;
  }

  get state(): LeaseState {
    return this.#state;
  }

  get remainingMs(): number {
    return this.#state === "active"
      ? Math.max(0, this.#validUntilMs - this.#home.clock.nowMs())
      : 0;
  }

  /** The requested ttl, ms. */
  get ttlMs(): number {
    return fieldsOf(this.#item).ttlMs ?? TTL_MS_DEFAULT;
  }

  async update(
    fields: Partial<AgentInput> | Partial<GatewayInput>,
    options: CallOptions = {},
  ): Promise<Registered> {
    return await this.#inOrder(async () => {
      this.#checkHeld();
      const item = withFields(this.#item, { ...fields, id: this.id });
      const registered = await this.#register(item, options);
      this.#item = item;
      return registered;
    });
  }

  async report(
    report: { readonly used?: Capacity; readonly draining?: boolean },
    options: CallOptions = {},
  ): Promise<Reported> {
    this.#checkHeld();
    return await this.#home.own.reportHeld(this.kind, this.id, this.#incarnation, true, {
      ...options,
      ...report,
    });
  }

  async release(options: CallOptions & { readonly withAgents?: boolean } = {}): Promise<void> {
    this.#releasing ??= this.#release(options);
    await this.#releasing;
  }

  /** Registers the record again after it expired. Failures are handled by the keeper. */
  async recover(options: CallOptions): Promise<void> {
    await this.#inOrder(async () => {
      if (this.#state !== "recovering") return;
      const registered = await this.#registerAgain(options);
      if (this.#state !== "recovering") return;
      this.#state = "active";
      this.#tell({ kind: "recovered", incarnation: registered.incarnation });
    });
  }

  /**
   * Reports whether a record with this incarnation was restored from a backup: only such a record has an
   * incarnation that is earlier than this lease's.
   */
  wasRestored(incarnation: Incarnation | undefined): incarnation is Incarnation {
    return incarnation !== undefined && incarnation.index > 0 &&
      comparePositions(incarnation, this.#incarnation) < 0;
  }

  /**
   * Registers the record without takeover, because another holder may have it by now. A record that was
   * restored from a backup is taken over: its holder is an earlier one.
   */
  async #registerAgain(options: CallOptions): Promise<Registered> {
    try {
      return await this.#register(this.#item, options);
    } catch (error) {
      const { code, fields: { incarnation } } = toRegistryError(error);
      if (code !== "incarnation_mismatch" || !this.wasRestored(incarnation)) throw error;
      return await this.#register(this.#item, { ...options, expected: incarnation });
    }
  }

  /** Records a renewal that was sent at `sentAtMs`. */
  renewed(sentAtMs: number): void {
    this.#validUntilMs = Math.max(this.#validUntilMs, sentAtMs + this.ttlMs);
    this.#tell({ kind: "renewed", remainingMs: this.remainingMs });
  }

  /** Reports a renewal that failed temporarily. */
  renewalFailed(error: RegistryError): void {
    this.#tell({ kind: "renewal_failed", error });
  }

  /** Marks the lease as recovering: the registry no longer has the record. */
  expired(): void {
    this.#state = "recovering";
    this.#tell({ kind: "expired" });
  }

  /** Ends the lease. Idempotent. */
  finish(end: LeaseEnd): void {
    if (this.#state === "lost" || this.#state === "released") return;
    this.#state = end.reason === "released" ? "released" : "lost";
    this.#home.forget(this);
    this.#end(end);
    this.#tell({ kind: "ended", end });
  }

  async #register(item: KeepItem, options: RegisterOptions): Promise<Registered> {
    const sentAtMs = this.#home.clock.nowMs();
    const registered = await this.#home.register.one(item, options);
    this.#incarnation = registered.incarnation;
    this.#validUntilMs = sentAtMs + registered.remainingMs;
    this.#home.registered(this, registered);
    return registered;
  }

  async #release(options: CallOptions & { readonly withAgents?: boolean }): Promise<void> {
    if (this.#state === "lost" || this.#state === "released") return;
    this.finish({ reason: "released", error: undefined });
    // Waits for a pending register, because a record it creates must be removed too.
    await this.#inOrder(async () => {
      try {
        await this.#home.own.deregisterHeld(this.kind, this.id, this.#incarnation, true, options);
      } catch (cause) {
        const error = toRegistryError(cause);
        // The record is gone or has another owner: nothing of ours is left to remove.
        if (error.code !== "not_found" && error.code !== "superseded") throw error;
      }
    });
  }

  async #inOrder<T>(run: () => Promise<T>): Promise<T> {
    const before = this.#lastWrite;
    const result = (async () => {
      await before;
      return await run();
    })();
    // The next write waits for this one to settle, whether it succeeds or fails; the caller of this one
    // gets its error.
    this.#lastWrite = result.catch(() => {});
    return await result;
  }

  #checkHeld(): void {
    if (this.#state === "active" || this.#state === "recovering") return;
    throw new RegistryError("superseded", `The lease of ${this.kind} ${this.id} has ended`);
  }

  #tell(event: LeaseEvent): void {
    this.#onEvent?.(event, this);
  }
}
