/**
 * The delegations on the session of one connection. A call of a caller without one is held while it
 * is opened, and refused with the reason if it is refused.
 */
import { openDelegationReplyCodec } from "../../../schemas/gen/wire.ts";
import { type RegistryError, toRegistryError } from "../../base/errors.ts";
import { REQUEST_TIMEOUT_MS_DEFAULT } from "../../base/limits.ts";
import type { MonotonicClock } from "../../base/world.ts";
import { OPERATIONS } from "../../wire/operations/mod.ts";
import type { Call } from "../call.ts";
import { ownCall } from "../connection_calls.ts";
import { callerClosed, type ClientDelegation } from "./delegation.ts";

/** Services of the connection. */
export interface DelegationCarrier {
  /** Sends a call on its stream. @throws RegistryError if it can never be sent. */
  send(call: Call, nowMs: number): void;
  refused(call: Call, error: RegistryError): void;
  late(call: Call): void;
}

/** The delegation of one caller. */
interface Entry {
  /** Its id on the session; 0 while it is being opened. */
  id: number;
  /** Calls that wait for the id. */
  readonly held: Call[];
  /** Ends the subscription to its closing. */
  readonly unlisten: () => void;
}

/** The delegations of one connection. */
export class ConnectionDelegations {
  readonly #carrier: DelegationCarrier;
  readonly #clock: MonotonicClock;
  readonly #entries = new Map<ClientDelegation, Entry>();
  #held = 0;

  constructor(carrier: DelegationCarrier, clock: MonotonicClock) {
    this.#carrier = carrier;
    this.#clock = clock;
  }

  /** Number of calls that wait for a delegation. */
  get held(): number {
    return this.#held;
  }

  /** Sends a call of `delegation`, now or when that is open. @throws as `DelegationCarrier.send`. */
  send(call: Call, delegation: ClientDelegation, nowMs: number): void {
    if (delegation.isClosed) return this.#carrier.refused(call, callerClosed());
    const entry = this.#entries.get(delegation) ?? this.#open(delegation, nowMs);
    if (entry.id !== 0) {
      call.delegationId = entry.id;
      return this.#carrier.send(call, nowMs);
    }
    this.#held++;
    entry.held.push(call);
  }

  /** Forgets the delegation of a call that the server does not have any more. */
  forget({ delegation, delegationId }: Call): void {
    const entry = delegation === undefined ? undefined : this.#entries.get(delegation);
    if (entry?.id === delegationId) this.#remove(delegation!, entry);
  }

  /** Times out held calls. @returns the time at which to call this next; Infinity for none. */
  expire(nowMs: number): number {
    let nextMs = Infinity;
    if (this.#held === 0) return nextMs;
    for (const { held } of this.#entries.values()) {
      const left = held.filter(({ done, deadlineMs }) => !done && deadlineMs > nowMs);
      const late = held.filter(({ done, deadlineMs }) => !done && deadlineMs <= nowMs);
      this.#held -= held.length - left.length;
      held.splice(0, held.length, ...left);
      for (const call of late) this.#carrier.late(call);
      for (const { deadlineMs } of left) nextMs = Math.min(nextMs, deadlineMs);
    }
    return nextMs;
  }

  /** Returns and forgets all held calls; the connection is over. */
  drain(): Call[] {
    const calls: Call[] = [];
    for (const [delegation, entry] of [...this.#entries]) {
      calls.push(...entry.held);
      this.#remove(delegation, entry);
    }
    this.#held = 0;
    return calls;
  }

  #open(delegation: ClientDelegation, nowMs: number): Entry {
    const entry: Entry = {
      id: 0,
      held: [],
      unlisten: delegation.whenClosed(() => this.#close(delegation, entry)),
    };
    this.#entries.set(delegation, entry);
    const call = ownCall(OPERATIONS.openDelegation, delegation.request, {
      deadlineMs: nowMs + REQUEST_TIMEOUT_MS_DEFAULT,
      // Opened anew for the calls that wait for it, not repeated by itself.
      silenceMs: REQUEST_TIMEOUT_MS_DEFAULT,
      decode: (response) => response.bodyInto(openDelegationReplyCodec.newView()).id,
      resolve: (id) => this.#opened(delegation, entry, id as number),
      reject: (error) => this.#refused(delegation, entry, error),
    });
    try {
      this.#carrier.send(call, nowMs);
    } catch (error) {
      // No reply will come, for which later calls would wait.
      this.#remove(delegation, entry);
      throw error;
    }
    return entry;
  }

  #opened(delegation: ClientDelegation, entry: Entry, id: number): void {
    // The connection is over, or nobody wants it any more.
    if (this.#entries.get(delegation) !== entry) {
      if (delegation.isClosed) this.#tellClosed(id);
      return;
    }
    entry.id = id;
    const nowMs = this.#clock.nowMs();
    for (const call of this.#take(entry)) {
      call.delegationId = id;
      try {
        this.#carrier.send(call, nowMs);
      } catch (error) {
        this.#carrier.refused(call, toRegistryError(error));
      }
    }
  }

  #refused(delegation: ClientDelegation, entry: Entry, error: RegistryError): void {
    if (this.#entries.get(delegation) !== entry) return;
    const calls = this.#take(entry);
    this.#remove(delegation, entry);
    for (const call of calls) this.#carrier.refused(call, error);
  }

  /** Ends a delegation at the server: its caller was closed. */
  #close(delegation: ClientDelegation, entry: Entry): void {
    const calls = this.#take(entry);
    this.#remove(delegation, entry);
    for (const call of calls) this.#carrier.refused(call, callerClosed());
    if (entry.id !== 0) this.#tellClosed(entry.id);
  }

  #tellClosed(id: number): void {
    const nowMs = this.#clock.nowMs();
    const call = ownCall(OPERATIONS.closeDelegation, { id }, {
      deadlineMs: nowMs + REQUEST_TIMEOUT_MS_DEFAULT,
      silenceMs: REQUEST_TIMEOUT_MS_DEFAULT,
      // One that the server does not hear of ends when it was not used for a while.
      reject: () => {},
    });
    try {
      this.#carrier.send(call, nowMs);
    } catch (error) {
      call.reject(toRegistryError(error));
    }
  }

  /** Returns the calls that wait for a delegation, which are held no longer. */
  #take({ held }: Entry): Call[] {
    this.#held -= held.length;
    return held.splice(0).filter(({ done }) => !done);
  }

  #remove(delegation: ClientDelegation, entry: Entry): void {
    this.#entries.delete(delegation);
    entry.unlisten();
  }
}
