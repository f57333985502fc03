/**
 * Registers expired leases again, a bounded number at a time. While the registry is unavailable,
 * failed attempts share one back-off with full jitter instead of one per lease, so that a client
 * with many leases sends no more requests than a client with one.
 */
import { ERROR_TABLE, type RegistryError, toRegistryError } from "../base/errors.ts";
import {
  CLIENT_RECOVERIES_MAX,
  CLIENT_RENEW_RETRY_MS_BASE,
  CLIENT_RENEW_RETRY_MS_CAP,
  REQUEST_TIMEOUT_MS_DEFAULT,
} from "../base/limits.ts";
import type { Timer, World } from "../base/world.ts";
import type { HeldLease } from "./lease.ts";
import { backOffMs } from "./retry.ts";

const RETRY = { baseMs: CLIENT_RENEW_RETRY_MS_BASE, capMs: CLIENT_RENEW_RETRY_MS_CAP };

/** The recovery of expired leases of one client. */
export class LeaseRecovery {
  readonly #world: World;
  readonly #queue: HeldLease[] = [];
  #running = 0;
  /** Number of times the back-off grew since the last success. */
  #failures = 0;
  /** Timer that runs while attempts are paused. */
  #pause: Timer | undefined;
  #closed = false;

  constructor(world: World) {
    this.#world = world;
  }

  /** Adds an expired lease. If it is refused, the lease reports its end itself. */
  add(lease: HeldLease): void {
    this.#queue.push(lease);
    this.#pump();
  }

  /** Ends the pause, because the registry may be available again. */
  connected(): void {
    this.#resume();
  }

  /** Starts no more attempts. */
  close(): void {
    this.#closed = true;
    this.#pause?.cancel();
    this.#queue.length = 0;
  }

  #pump(): void {
    while (!this.#closed && this.#pause === undefined && this.#running < CLIENT_RECOVERIES_MAX) {
      const lease = this.#queue.shift();
      if (lease === undefined) return;
      void this.#recover(lease);
    }
  }

  async #recover(lease: HeldLease): Promise<void> {
    this.#running++;
    try {
      await lease.recover({ timeoutMs: REQUEST_TIMEOUT_MS_DEFAULT });
      this.#failures = 0;
    } catch (cause) {
      this.#failed(lease, toRegistryError(cause));
    }
    this.#running--;
    this.#pump();
  }

  #failed(lease: HeldLease, error: RegistryError): void {
    if (this.#closed || ERROR_TABLE[error.code].class !== "unavailable") {
      const taken = error.code === "incarnation_mismatch" || error.code === "superseded";
      return lease.finish({ reason: taken ? "superseded" : "refused", error });
    }
    lease.renewalFailed(error);
    // A lease released or lost meanwhile is dropped by its next attempt.
    this.#queue.push(lease);
    if (this.#pause !== undefined) return;
    const { entropy, scheduler } = this.#world;
    const delayMs = backOffMs(++this.#failures, RETRY, entropy, error.fields.retryAfterMs);
    this.#pause = scheduler.after(delayMs, () => this.#resume());
  }

  #resume(): void {
    this.#pause?.cancel();
    this.#pause = undefined;
    this.#pump();
  }
}
