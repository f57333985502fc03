/**
 * Quotas of commands per caller and per descriptor, counted in windows of group time, so that every
 * replica refuses the same ones. A refused command is counted only: it must not fill the audit. To a
 * caller each signature and each key to check counts as a command, since it takes about as long.
 */
import { RegistryError } from "../base/errors.ts";
import {
  GOVERNED_COMMANDS_PER_CALLER_MAX,
  GOVERNED_COMMANDS_PER_ID_MAX,
  GOVERNED_QUOTA_KEYS_MAX,
  GOVERNED_QUOTA_WINDOW_MS,
} from "../base/limits.ts";

/** The commands counted within the current window. */
export class GovernanceQuotas {
  readonly #counts = new Map<string, number>();
  #window = 0;
  #refused = 0;

  /** Number of the current window. */
  get window(): number {
    return this.#window;
  }

  /** Commands that were ever refused. */
  get refused(): number {
    return this.#refused;
  }

  /** Counts within the window, by `caller …` or `id …`. */
  get counts(): Iterable<readonly [string, number]> {
    return this.#counts;
  }

  /** Counts commands, signatures and keys of a caller. @throws RegistryError `overloaded`. */
  chargeCaller(caller: string, count: number, nowMs: number): void {
    this.#charge(`caller ${caller}`, count, GOVERNED_COMMANDS_PER_CALLER_MAX, nowMs);
  }

  /** Counts a command for a descriptor. @throws RegistryError `overloaded`. */
  chargeId(id: string, nowMs: number): void {
    this.#charge(`id ${id}`, 1, GOVERNED_COMMANDS_PER_ID_MAX, nowMs);
  }

  /** Loads what an image holds. */
  load(state: { readonly window: number; readonly refused: number }): void {
    this.#window = state.window;
    this.#refused = state.refused;
  }

  /** Loads a count of an image. */
  loadCount(key: string, count: number): void {
    this.#counts.set(key, count);
  }

  #charge(key: string, added: number, max: number, nowMs: number): void {
    const window = Math.floor(nowMs / GOVERNED_QUOTA_WINDOW_MS);
    if (window > this.#window) {
      this.#window = window;
      this.#counts.clear();
    }
    const count = this.#counts.get(key) ?? 0;
    const isFull = count === 0 && this.#counts.size >= GOVERNED_QUOTA_KEYS_MAX;
    if (count + added <= max && !isFull) {
      this.#counts.set(key, count + added);
      return;
    }
    this.#refused++;
    throw new RegistryError(
      "overloaded",
      isFull ? "There are too many callers in this minute" : `Quota of ${key} is ${max} a minute`,
      { retryAfterMs: GOVERNED_QUOTA_WINDOW_MS - nowMs % GOVERNED_QUOTA_WINDOW_MS },
    );
  }
}
