/**
 * The governed plane behind the face: one copy of the log in this process, which follows the registry.
 * Reads of it are synchronous and say their age. It is read as an anonymous caller; where those may
 * not read, as the first caller who may, and then the registry is asked about each caller first.
 */
import type { GovernedClient, GovernedView } from "../client/mod.ts";
import { ERROR_TABLE, RegistryError, toRegistryError } from "../base/errors.ts";
import { FACE_GOVERNED_AGE_MS_MAX, FACE_PERMISSION_MS } from "../base/limits.ts";
import type { World } from "../base/world.ts";
import type { AppliedEntry, GovernedLog } from "../governance/governed_log.ts";
import type { GovernedPlane } from "../governance/governed_plane.ts";
import type { CallerClient } from "./caller_client.ts";

/** A client of the governed plane. */
export type GovernedReader = Pick<CallerClient, "evidence"> & {
  readonly governed: Pick<GovernedClient, "view" | "status">;
};

/** The source of answers about descriptors: a view, or the versions of one descriptor. */
export type DescriptorsView = Pick<GovernedView, "version" | "ageMs"> & {
  readonly plane: Pick<GovernedPlane, "log"> | undefined;
};

/** A view, whichever client reads it. */
interface OpenView {
  readonly view: GovernedView;
  /** Whether everybody may read it. */
  readonly isOpen: boolean;
}

/** The copy of the log. */
export class GovernedSource {
  readonly #reader: GovernedReader;
  readonly #world: Pick<World, "monotonic" | "scheduler">;
  readonly #listeners = new Set<(entry: AppliedEntry) => void>();
  #opening: Promise<OpenView> | undefined;
  #view: GovernedView | undefined;
  #openView: GovernedView | undefined;
  /** When callers of an open view had proven what they present, monotonic ms. */
  readonly #provenMs = new WeakMap<GovernedReader, number>();
  readonly #proving = new WeakMap<GovernedReader, Promise<void>>();

  /** @param reader reads for everybody, if it may. */
  constructor(reader: GovernedReader, world: Pick<World, "monotonic" | "scheduler">) {
    this.#reader = reader;
    this.#world = world;
  }

  /** The log as it is here, for metrics; undefined before the first request. */
  get log(): GovernedLog | undefined {
    return this.#view?.plane?.log;
  }

  /** Returns the view, if it is here and nobody need be asked whether the caller may read it. */
  openViewFor(caller: GovernedReader): GovernedView | undefined {
    return this.#openView !== undefined && this.#isProven(caller) ? this.#openView : undefined;
  }

  /**
   * Returns the view for a caller. Where everybody may read, what the caller presents must be valid, but
   * need not permit it.
   *
   * @throws RegistryError if the caller may not read, or the registry cannot be asked.
   */
  async view(caller: GovernedReader): Promise<GovernedView> {
    const { view, isOpen } = await (this.#opening ?? this.#open(caller));
    if (!isOpen) await caller.governed.status();
    else if (!this.#isProven(caller)) await this.#prove(caller);
    const opening = this.#opening;
    // The client that reads it may have ended; the next request has another one read.
    const isOld = view.ageMs() >= FACE_GOVERNED_AGE_MS_MAX;
    if (isOld && !isOpen && opening !== undefined) this.#forget(opening);
    return view;
  }

  /**
   * Returns a check for a caller that reads for long, who was given the view now: it rejects as
   * {@link view} once the caller may read no more, and asks at most once in FACE_PERMISSION_MS.
   * `undefined`: nobody needs to be asked.
   */
  permission(caller: GovernedReader): () => Promise<void> | undefined {
    let askedMs = this.#world.monotonic.nowMs();
    return () => {
      const nowMs = this.#world.monotonic.nowMs();
      if (this.#openView !== undefined || nowMs - askedMs < FACE_PERMISSION_MS) return undefined;
      return caller.governed.status().then(() => void (askedMs = nowMs));
    };
  }

  /** Has `listener` called for each further entry of any view. @returns a function that ends this. */
  follow(listener: (entry: AppliedEntry) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Resolves when `holds` returns true after an entry, or false when the time is over. */
  until(holds: () => boolean, waitMs: number, signal: AbortSignal): Promise<boolean> {
    if (holds() || waitMs <= 0 || signal.aborted) return Promise.resolve(holds());
    return new Promise((resolve) => {
      const end = () => {
        timer.cancel();
        unfollow();
        signal.removeEventListener("abort", end);
        resolve(holds());
      };
      const timer = this.#world.scheduler.after(waitMs, end);
      const unfollow = this.follow(() => {
        if (holds()) end();
      });
      signal.addEventListener("abort", end);
    });
  }

  /**
   * Waits until reads here have a version, so that a caller reads what it wrote.
   *
   * @returns its entry, if reads are served.
   */
  async seen(
    caller: GovernedReader,
    version: number,
    signal: AbortSignal,
  ): Promise<AppliedEntry | undefined> {
    try {
      const view = await this.view(caller);
      if (view.version < version) await view.refresh({ signal });
      return view.plane?.log.at(version);
    } catch {
      // It is applied; that reads cannot be served now is told to those who read.
      return undefined;
    }
  }

  /** Ends it. */
  close(): void {
    this.#view?.close();
    this.#listeners.clear();
  }

  #isProven(caller: GovernedReader): boolean {
    if (caller.evidence === undefined || caller.evidence === "none") return true;
    const provenMs = this.#provenMs.get(caller) ?? -Infinity;
    return this.#world.monotonic.nowMs() - provenMs < FACE_PERMISSION_MS;
  }

  /** Has the registry check what a caller presents. @throws RegistryError if it is not valid. */
  #prove(caller: GovernedReader): Promise<void> {
    const known = this.#proving.get(caller);
    if (known !== undefined) return known;
    const proving = this.#askAbout(caller).finally(() => this.#proving.delete(caller));
    this.#proving.set(caller, proving);
    return proving;
  }

  async #askAbout(caller: GovernedReader): Promise<void> {
    try {
      await caller.governed.status({ timeoutMs: FACE_PERMISSION_MS });
    } catch (error) {
      const { code } = toRegistryError(error);
      // Everybody may read what is here, also while the registry is out of reach.
      const isValid = code === "permission_denied" || ERROR_TABLE[code].class === "unavailable";
      if (!isValid) throw error;
    }
    this.#provenMs.set(caller, this.#world.monotonic.nowMs());
  }

  #open(caller: GovernedReader): Promise<OpenView> {
    const opening = this.#opened(caller);
    this.#opening = opening;
    opening.catch(() => this.#forget(opening));
    return opening;
  }

  #forget(opening: Promise<OpenView>): void {
    if (this.#opening === opening) this.#opening = undefined;
  }

  async #opened(caller: GovernedReader): Promise<OpenView> {
    const { view, isOpen } = await this.#firstView(caller);
    this.#view?.close();
    this.#view = view;
    this.#openView = isOpen ? view : undefined;
    view.follow((entry) => {
      for (const listener of this.#listeners) listener(entry);
    });
    return { view, isOpen };
  }

  async #firstView(caller: GovernedReader): Promise<OpenView> {
    try {
      return { view: await this.#reader.governed.view(), isOpen: true };
    } catch (error) {
      const { code } = toRegistryError(error);
      if (code !== "permission_denied" && code !== "unauthenticated") throw error;
    }
    return { view: await caller.governed.view(), isOpen: false };
  }
}

/** Returns the plane of a view. @throws RegistryError `not_found` while it is not governed. */
export function planeOf<Plane>({ plane }: { readonly plane: Plane | undefined }): Plane {
  if (plane !== undefined) return plane;
  throw new RegistryError(
    "not_found",
    "The registry is not governed: crs governance init begins that",
  );
}
