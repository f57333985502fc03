/**
 * One record that the client keeps alive: what its owner said last, the incarnation under which it
 * is held, and how the lease ends. The keeper (lease_keeper.ts) renews it with all others.
 */
import { RegistryError, toRegistryError } from "../base/errors.ts";
import { TTL_MS_DEFAULT } from "../base/limits.ts";
import type { MonotonicClock } from "../base/world.ts";
import type { OwnCalls } from "./calls/own.ts";
import type { RegisterCalls } from "./calls/register.ts";
import type { AgentInput, Capacity, GatewayInput, Incarnation } from "./records.ts";
import type {
  CallOptions,
  KeepOptions,
  Lease,
  LeaseEnd,
  LeaseEvent,
  LeaseState,
  Registered,
  RegisterItem,
  Reported,
} from "./types.ts";

/** What a lease needs of its client. */
export interface LeaseHome {
  readonly clock: MonotonicClock;
  readonly register: RegisterCalls;
  readonly own: OwnCalls;
  /** The lease was registered again: its next renewal counts from now. */
  registered(lease: HeldLease, registered: Registered): void;
  /** The lease is over. */
  forget(lease: HeldLease): void;
}

/** A lease, as the keeper sees it. */
export class HeldLease implements Lease {
  readonly kind: "agent" | "gateway";
  readonly id: string;
  readonly ended: Promise<LeaseEnd>;
  readonly #home: LeaseHome;
  readonly #onEvent: KeepOptions["onEvent"];
  #item: RegisterItem;
  #incarnation: Incarnation;
  #state: LeaseState = "active";
  /** The lease runs at least until then, by the monotonic clock. */
  #validUntilMs: number;
  #end!: (end: LeaseEnd) => void;
  /** The release, so that a second one waits for the first. */
  #releasing: Promise<void> | undefined;
  /** Registers of this lease run one after another, so that the last word is the last applied. */
  #lastWrite: Promise<unknown> = Promise.resolve();

  /**
   * @param item what was registered; its id is replaced by the one that the registry named.
   * @param sentAtMs when the register was sent: the lease counts from its arrival, not before.
   */
  constructor(
    home: LeaseHome,
    item: RegisterItem,
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

  /** What its owner asked for, ms. */
  get ttlMs(): number {
    const fields = this.#item.kind === "agent" ? this.#item.agent : this.#item.gateway;
    return fields.ttlMs ?? TTL_MS_DEFAULT;
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

  /** Registers it again after it expired; a failure is the keeper's to judge. */
  async recover(options: CallOptions): Promise<void> {
    await this.#inOrder(async () => {
      if (this.#state !== "recovering") return;
      // No takeover: whoever holds the record now took it while it was nobody's.
      const registered = await this.#register(this.#item, options);
      if (this.#state !== "recovering") return;
      this.#state = "active";
      this.#tell({ kind: "recovered", incarnation: registered.incarnation });
    });
  }

  /** The keeper renewed it by a request sent at `sentAtMs`. */
  renewed(sentAtMs: number): void {
    this.#validUntilMs = Math.max(this.#validUntilMs, sentAtMs + this.ttlMs);
    this.#tell({ kind: "renewed", remainingMs: this.remainingMs });
  }

  /** A renewal failed for now. */
  renewalFailed(error: RegistryError): void {
    this.#tell({ kind: "renewal_failed", error });
  }

  /** The registry does not know it any more. */
  expired(): void {
    this.#state = "recovering";
    this.#tell({ kind: "expired" });
  }

  /** It is over. */
  finish(end: LeaseEnd): void {
    if (this.#state === "lost" || this.#state === "released") return;
    this.#state = end.reason === "released" ? "released" : "lost";
    this.#home.forget(this);
    this.#end(end);
    this.#tell({ kind: "ended", end });
  }

  async #register(item: RegisterItem, options: CallOptions): Promise<Registered> {
    const sentAtMs = this.#home.clock.nowMs();
    const registered = item.kind === "agent"
      ? await this.#home.register.agent(item.agent, options)
      : await this.#home.register.gateway(item.gateway, options);
    this.#incarnation = registered.incarnation;
    this.#validUntilMs = sentAtMs + registered.remainingMs;
    this.#home.registered(this, registered);
    return registered;
  }

  async #release(options: CallOptions & { readonly withAgents?: boolean }): Promise<void> {
    if (this.#state === "lost" || this.#state === "released") return;
    this.finish({ reason: "released", error: undefined });
    // After a register that is under way: what that one creates must not stay.
    await this.#inOrder(async () => {
      try {
        await this.#home.own.deregisterHeld(this.kind, this.id, this.#incarnation, true, options);
      } catch (cause) {
        const error = toRegistryError(cause);
        // Gone, or another's by now: there is nothing of ours to remove.
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
    // Whoever comes next waits for the end of this one, however it ends.
    this.#lastWrite = result.catch(() => {});
    return await result;
  }

  #checkHeld(): void {
    if (this.#state === "active" || this.#state === "recovering") return;
    throw new RegistryError("superseded", `The lease of ${this.kind} ${this.id} is over`);
  }

  #tell(event: LeaseEvent): void {
    this.#onEvent?.(event, this);
  }
}

function withFields(
  item: RegisterItem,
  fields: Partial<AgentInput> | Partial<GatewayInput>,
): RegisterItem {
  return item.kind === "agent"
    ? { kind: "agent", agent: { ...item.agent, ...(fields as Partial<AgentInput>) } }
    : { kind: "gateway", gateway: { ...item.gateway, ...(fields as Partial<GatewayInput>) } };
}
