/**
 * A copy of the whole governed log in this process: the pure state of `src/governance`, filled by the
 * entries that the registry sends and checks as it is filled (each entry names the one before and its
 * payload). Reads of it are synchronous and say their age. While the registry is out of reach the view
 * stays as it is, and its age grows.
 *
 * A view believes the registry's nodes for who signed what; a bundle of it carries the proofs for a
 * client that does not ({@link GovernedVerifier}).
 */
import { RegistryError, toRegistryError } from "../../base/errors.ts";
import { GOVERNED_FOLLOW_RETRY_MS_MAX, GOVERNED_FOLLOW_RETRY_MS_MIN } from "../../base/limits.ts";
import type { Timer, World } from "../../base/world.ts";
import { readGenesis } from "../../governance/documents/genesis.ts";
import type { AppliedEntry } from "../../governance/governed_log.ts";
import { GovernedPlane } from "../../governance/governed_plane.ts";
import { readCheckpoint } from "../../governance/tree/checkpoint.ts";
import { bundleOf } from "../../governance/verification/bundle.ts";
import type { JsonObject } from "../../governance/documents/json_members.ts";
import type { CallOptions } from "../call_options.ts";
import type { GovernedClient, GovernedLogPage, GovernedView } from "./governed_types.ts";

/** Age of an answer whose age the node does not know, ms. */
const UNKNOWN_AGE_MS = 0xffff_ffff;
/** Times that a checkpoint is asked for while the log grows. */
const CHECKPOINT_TRIES = 5;

/** Dependencies of a {@link LogView}. */
export interface LogViewParts {
  readonly calls: Pick<GovernedClient, "log" | "checkpoint">;
  readonly world: Pick<World, "monotonic" | "scheduler" | "entropy">;
  /** Time for which a request for entries waits, ms. */
  readonly waitMs: number;
  readonly onClose: () => void;
}

/** A copy of the governed log. */
export class LogView implements GovernedView {
  readonly #parts: LogViewParts;
  readonly #listeners = new Set<(entry: AppliedEntry) => void>();
  #plane: GovernedPlane | undefined;
  /** Monotonic ms up to which everything is here. */
  #completeMs = -Infinity;
  /** Version up to which listeners were told. */
  #told = 0;
  #failures = 0;
  #fault: RegistryError | undefined;
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(parts: LogViewParts) {
    this.#parts = parts;
  }

  /** The signers and the log; undefined while the registry is ungoverned. */
  get plane(): GovernedPlane | undefined {
    return this.#plane;
  }

  /** The global version that this view has. */
  get version(): number {
    return this.#plane?.log.version ?? 0;
  }

  /** Returns the age of the view, ms: everything that was applied earlier is in it. */
  ageMs(): number {
    return this.#parts.world.monotonic.nowMs() - this.#completeMs;
  }

  /** Why the view does not follow now; undefined if it does. */
  get fault(): RegistryError | undefined {
    return this.#fault;
  }

  /** Calls `listener` for each further entry, in order. @returns a function that ends this. */
  follow(listener: (entry: AppliedEntry) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Makes the view current: everything that was applied before the call is in it then.
   *
   * @throws RegistryError if the registry cannot be asked.
   */
  async refresh(options?: CallOptions): Promise<void> {
    for (;;) {
      const version = await this.#pull(0, options);
      if (this.version >= version) return;
    }
  }

  /** Reads the log, and begins to follow it. @throws RegistryError if it cannot be read. */
  async begin(options?: CallOptions): Promise<void> {
    await this.refresh(options);
    this.#next(0);
  }

  /**
   * Returns a signed checkpoint of the log as it is here.
   *
   * @throws RegistryError `not_found` without a genesis; `overloaded` if the log grows too fast.
   */
  async note(options?: CallOptions): Promise<string> {
    for (let tries = 0; tries < CHECKPOINT_TRIES; tries++) {
      const note = await this.#parts.calls.checkpoint(options);
      const size = readCheckpoint(note)?.size ?? 0;
      if (size > this.version) await this.refresh(options);
      if (size === this.version) return note;
    }
    const message = "The log grows faster than checkpoints of it are read";
    throw new RegistryError("overloaded", message, { retryAfterMs: 1_000 });
  }

  /** Returns the bundle of a descriptor. @throws RegistryError as {@link note}. */
  async bundle(id: string, since = 0, options?: CallOptions): Promise<JsonObject> {
    const note = await this.note(options);
    return bundleOf(this.#plane!, id, { note, since });
  }

  /** Ends it; what it has stays readable. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#listeners.clear();
    this.#parts.onClose();
  }

  /** Asks for further entries, and takes them. @returns the version that the registry had. */
  async #pull(waitMs: number, options?: CallOptions): Promise<number> {
    const startMs = this.#parts.world.monotonic.nowMs();
    const after = this.version;
    const knowsGenesis = this.#plane !== undefined;
    const page = await this.#parts.calls.log({ after, waitMs, knowsGenesis }, options);
    // A refresh and the request that waits may both be answered with an entry.
    this.#take(page, page.entries.slice(Math.max(0, this.version - after)));
    if (this.version >= page.version && page.ageBoundMs !== UNKNOWN_AGE_MS) {
      this.#completeMs = Math.max(this.#completeMs, startMs - page.ageBoundMs);
    }
    this.#tell();
    return page.version;
  }

  /** Takes the entries of a page that are not here yet. @throws RegistryError `corrupt`, `malformed`. */
  #take(
    { version, genesis }: GovernedLogPage,
    entries: GovernedLogPage["entries"],
  ): void {
    if (genesis.length > 0) this.#plane ??= new GovernedPlane(readGenesis(genesis.slice()));
    for (const record of entries) {
      if (this.#plane === undefined) throw new RegistryError("malformed", "A log has a genesis");
      this.#plane.load(record);
    }
    // Entries of a page that failed are still to be checked.
    if (this.#told < this.version && this.version >= version) this.#plane?.log.checkLoaded();
  }

  #tell(): void {
    while (this.#told < this.version) {
      const entry = this.#plane!.log.at(++this.#told)!;
      for (const listener of this.#listeners) listener(entry);
    }
  }

  #next(delayMs: number): void {
    if (this.#isClosed) return;
    this.#timer = this.#parts.world.scheduler.after(delayMs, () => void this.#turn());
  }

  async #turn(): Promise<void> {
    try {
      await this.#pull(this.#parts.waitMs);
      this.#failures = 0;
      this.#fault = undefined;
      this.#next(0);
    } catch (cause) {
      // It is tried again until the view is closed; meanwhile the age tells.
      this.#fault = toRegistryError(cause);
      const ceilingMs = Math.min(
        GOVERNED_FOLLOW_RETRY_MS_MAX,
        GOVERNED_FOLLOW_RETRY_MS_MIN * 2 ** this.#failures++,
      );
      this.#next(GOVERNED_FOLLOW_RETRY_MS_MIN + this.#parts.world.entropy.unit() * ceilingMs);
    }
  }
}
