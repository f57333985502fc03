/**
 * Takes a step at the leader of a group, here or on another node, until a leader has taken it or the
 * deadline passes. A node that does not lead names the leader it knows, which is asked at once; without a
 * name, and after a lost connection, the next attempt follows after a pause.
 *
 * A step may therefore be taken twice, and must have the same effect then as once.
 */
import { RegistryError, toRegistryError } from "../base/errors.ts";
import {
  NODE_CALL_MS_MAX,
  NODE_CALL_RETRY_MS_BASE,
  NODE_CALL_RETRY_MS_CAP,
} from "../base/limits.ts";
import type { Entropy, MonotonicClock, Scheduler } from "../base/world.ts";
import type { Group } from "../replication/group_interface.ts";
import type { NodeCalls } from "./node_calls.ts";

/** The place of a group: a replica of it is here, or only on other nodes. */
export type GroupPlace =
  | { readonly isHere: true; readonly group: Pick<Group<unknown>, "notLeading"> }
  | { readonly isHere: false; readonly nodes: readonly number[]; readonly leader: number };

/** A step at the leader of a group. */
export interface LeaderStep<Place extends GroupPlace, Result> {
  /** The purpose of the step, for the error if it is not taken in time. */
  readonly what: string;
  /** Returns where the group is now. */
  readonly place: () => Place;
  /** Takes the step here. */
  readonly here: (place: Extract<Place, { readonly isHere: true }>) => Promise<Result>;
  /** Has another node take it. */
  readonly there: (calls: NodeCalls, node: number, timeoutMs: number) => Promise<Result>;
  /** Deadline, monotonic ms. */
  readonly deadlineMs: number;
}

/** Dependencies of {@link LeaderCalls}. */
export interface LeaderCallsParts {
  readonly nodeId: number;
  readonly calls: NodeCalls;
  readonly clock: MonotonicClock;
  readonly scheduler: Scheduler;
  readonly entropy: Entropy;
}

/** Takes steps at leaders. */
export class LeaderCalls {
  readonly #parts: LeaderCallsParts;

  constructor(parts: LeaderCallsParts) {
    this.#parts = parts;
  }

  /**
   * Takes a step.
   *
   * @throws RegistryError the refusal of the leader; `deadline_exceeded` if no leader was reached, and
   * never `not_leader` or `not_replica`: the caller would take its hint for one about the record.
   */
  async take<Place extends GroupPlace, Result>(step: LeaderStep<Place, Result>): Promise<Result> {
    const { nodeId, calls } = this.#parts;
    let hint = 0;
    let pauses = 0;
    let hops = 0;
    for (let tries = 0;; tries++) {
      let asked = 0;
      try {
        const place = step.place();
        asked = hint !== 0 && hint !== nodeId ? hint : leaderOf(place, tries);
        if (asked === 0) return await step.here(place as Extract<Place, { isHere: true }>);
        return await step.there(calls, asked, this.#tryMs(step.deadlineMs));
      } catch (cause) {
        const error = toRegistryError(cause);
        if (!isOfAnotherLeader(error)) throw error;
        const { leaderHint = 0 } = error.fields;
        const isNews = leaderHint !== 0 && leaderHint !== asked;
        hint = isNews ? leaderHint : 0;
        // Nodes that name each other do so until one of them learns of an election.
        const isAtOnce = isNews && asked !== 0 && hops++ < HOPS_MAX;
        if (!isAtOnce) hops = 0;
        const delayMs = isAtOnce ? 0 : this.#pauseMs(++pauses);
        if (this.#leftMs(step.deadlineMs) <= delayMs) throw notReached(step.what, error);
        if (delayMs > 0) await this.#pause(delayMs);
      }
    }
  }

  #leftMs(deadlineMs: number): number {
    return deadlineMs - this.#parts.clock.nowMs();
  }

  /** Returns how long one node may take: a node that hangs must not use up the whole deadline. */
  #tryMs(deadlineMs: number): number {
    return Math.max(1, Math.min(Math.floor(this.#leftMs(deadlineMs)), NODE_CALL_MS_MAX));
  }

  #pauseMs(pauses: number): number {
    const ceiling = Math.min(NODE_CALL_RETRY_MS_CAP, NODE_CALL_RETRY_MS_BASE * 2 ** (pauses - 1));
    return 1 + this.#parts.entropy.unit() * ceiling;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#parts.scheduler.after(ms, resolve));
  }
}

/** Returns the node that leads, as known here; 0 for this node. @throws RegistryError if none is known. */
function leaderOf(place: GroupPlace, tries: number): number {
  if (place.isHere) {
    const refusal = place.group.notLeading();
    if (refusal === undefined) return 0;
    const { leaderHint = 0 } = refusal.fields;
    if (leaderHint !== 0) return leaderHint;
    throw refusal;
  }
  const { leader, nodes } = place;
  const node = tries === 0 && leader !== 0 ? leader : nodes[tries % nodes.length];
  if (node !== undefined) return node;
  throw new RegistryError("not_replica", "No node is known to hold the partition");
}

/** Reports whether another node, or this one later, may take the step. */
function isOfAnotherLeader({ code, fields }: RegistryError): boolean {
  switch (code) {
    case "not_leader":
    case "not_replica":
    case "connection_lost":
    case "shutting_down":
    // A node that was asked had only part of the time.
    case "deadline_exceeded":
      return true;
    case "permission_denied":
      // The other node has not applied the placement of this one yet.
      return fields.field === SENDER_FIELD;
    default:
      return false;
  }
}

/** Hints that are followed without a pause. */
const HOPS_MAX = 2;

/** Field that a node names when it refuses a step because of the node that sent it. */
export const SENDER_FIELD = "node";

function notReached(what: string, cause: RegistryError): RegistryError {
  const message = `The deadline passed before a leader answered for ${what}: ${cause.message}`;
  return new RegistryError("deadline_exceeded", message, {}, cause);
}
