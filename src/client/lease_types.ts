/** Leases that a client keeps, and how they end. */
import type { RegistryError } from "../base/errors.ts";
import type { Registered, RegisterItem, Reported } from "./answer_types.ts";
import type { CallOptions } from "./call_options.ts";
import type { ServedKind } from "./served_kind.ts";
import type { AgentInput, Capacity, GatewayInput, Incarnation } from "./records.ts";

/** The state of a lease. `lost` and `released` are final. */
export type LeaseState = "active" | "recovering" | "lost" | "released";

/** The end of a lease and its reason. */
export interface LeaseEnd {
  /**
   * `released`: by its owner, or with its client. `superseded`: another process took the record
   * over. `refused`: the record had expired and could not be registered again.
   */
  readonly reason: "released" | "superseded" | "refused";
  readonly error: RegistryError | undefined;
}

/** An event of a lease, reported to {@link KeepOptions.onEvent}. */
export type LeaseEvent =
  /** A renewal was answered; the lease lasts at least `remainingMs`. */
  | { readonly kind: "renewed"; readonly remainingMs: number }
  /** The record had expired and is being registered again. */
  | { readonly kind: "expired" }
  /** The record was registered again, under a new incarnation. */
  | { readonly kind: "recovered"; readonly incarnation: Incarnation }
  /** A renewal failed temporarily and is retried. */
  | { readonly kind: "renewal_failed"; readonly error: RegistryError }
  | { readonly kind: "ended"; readonly end: LeaseEnd };

/** A record to register and to keep alive. */
export type KeepItem = RegisterItem<ServedKind>;

/** Options of the `keep` methods. */
export interface KeepOptions extends CallOptions {
  /** Whether to take the record over from another process. Default true. */
  readonly takeOver?: boolean;
  /** Called on events of the lease, after its state has changed. It must not throw. */
  readonly onEvent?: (event: LeaseEvent, lease: Lease) => void;
}

/** A record that its client keeps alive until it is released or lost. */
export interface Lease {
  readonly kind: ServedKind;
  /** UUID of the record. */
  readonly id: string;
  /** Changes only when the record is registered again after it expired. */
  readonly incarnation: Incarnation;
  readonly state: LeaseState;
  /** Minimum time the record lives without another renewal, ms, by this machine's clock. */
  readonly remainingMs: number;
  /** Resolves once, when the lease has ended; never rejects. */
  readonly ended: Promise<LeaseEnd>;

  /**
   * Registers the record with these fields changed, under the same lease.
   *
   * @throws RegistryError as a register; `superseded` if the lease has ended.
   */
  update(
    fields: Partial<AgentInput> | Partial<GatewayInput>,
    options?: CallOptions,
  ): Promise<Registered>;

  /** Reports usage and draining. @throws RegistryError as `report`. */
  report(
    report: { readonly used?: Capacity; readonly draining?: boolean },
    options?: CallOptions,
  ): Promise<Reported>;

  /**
   * Stops renewing and deregisters the record; for a gateway, its agents too if requested.
   * Idempotent.
   *
   * @throws RegistryError if the deregistration failed; the record then ends with its lease.
   */
  release(options?: CallOptions & { readonly withAgents?: boolean }): Promise<void>;
}

/** The outcome for one item of `keepMany`, at the item's index. */
export type KeepOutcome =
  | { readonly lease: Lease; readonly error?: undefined }
  | { readonly lease?: undefined; readonly error: RegistryError };
