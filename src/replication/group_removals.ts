/**
 * The removal of former replicas from the log: each is retried until the log has forgotten the replica,
 * and only then may another replica of its group come.
 */
import { assert, defined } from "../base/assert.ts";
import type { RegistryError } from "../base/errors.ts";
import type { GroupId } from "../base/ids.ts";
import type { Scheduler } from "../base/world.ts";
import type { LogDone, SharedLog } from "../storage/shared_log.ts";

/** The dependencies of removals. */
export interface GroupRemovalsOptions {
  readonly log: SharedLog;
  readonly scheduler: Scheduler;
  /** Returns whether the log never takes a write again, so that no removal is retried. */
  readonly isFinal: () => boolean;
  /** Called when a removal must be retried by {@link GroupRemovals.retry}. */
  readonly lingers: () => void;
}

/** The removals of a node. */
export class GroupRemovals {
  readonly #options: GroupRemovalsOptions;
  /** Groups whose former replica is not yet removed from the log, with the callback for that. */
  readonly #leaving = new Map<GroupId, LogDone>();
  /** Those of them whose removal must be retried. */
  readonly #lingering = new Set<GroupId>();

  constructor(options: GroupRemovalsOptions) {
    this.#options = options;
  }

  /** Whether a removal must be retried. */
  get areWaiting(): boolean {
    return this.#lingering.size > 0;
  }

  /** Reports whether a former replica of the group is not removed yet. */
  has(id: GroupId): boolean {
    return this.#leaving.has(id);
  }

  /** Removes a replica from the log; `done` is called in a later turn. */
  add(id: GroupId, done: LogDone): void {
    assert(!this.has(id), `Group ${id} is being removed already`);
    this.#leaving.set(id, done);
    this.#forget(id);
  }

  /** Retries the removals that the log refused. */
  retry(): void {
    const lingering = [...this.#lingering];
    this.#lingering.clear();
    for (const id of lingering) this.#forget(id);
  }

  /** Ends the removals that wait for a retry with `error`. */
  abandon(error: RegistryError): void {
    for (const id of this.#lingering) this.#removed(id, error);
    this.#lingering.clear();
  }

  #forget(id: GroupId): void {
    const { log, scheduler, isFinal, lingers } = this.#options;
    const answered = (error: RegistryError | undefined) => {
      if (error === undefined || isFinal()) return this.#removed(id, error);
      this.#lingering.add(id);
      lingers();
    };
    const refused = log.forget(id, answered);
    if (refused !== undefined) scheduler.nextTurn(() => answered(refused));
  }

  #removed(id: GroupId, error: RegistryError | undefined): void {
    const done = defined(this.#leaving.get(id), "Its removal was asked for");
    this.#leaving.delete(id);
    done(error);
  }
}
