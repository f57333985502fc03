/**
 * Admission control, passed by every request before it is served. Checks that the operation is
 * known, that the node accepts requests, that the caller is within its rate, and that there is
 * capacity. Access rights are checked afterwards, for a write once its key is known
 * (access_control.ts).
 *
 * Limits are set well below the point of failure: new registrations are refused at the ceilings on
 * records and memory, renewals never are.
 */
import { RegistryError } from "../base/errors.ts";
import { REQUESTS_IN_FLIGHT_MAX } from "../base/limits.ts";
import { type Operation, operationOfId } from "../wire/operations/mod.ts";
import type { Caller } from "./caller.ts";
import type { RequestStream } from "./request_stream.ts";

/** Limits of the process. */
export interface Ceilings {
  readonly recordsMax: number;
  readonly memoryBytesMax: number;
}

/** Current usage, compared with the {@link Ceilings}; refreshed a few times a second. */
export interface Usage {
  /** Live records, aliases included. */
  records(): number;
  /** Resident bytes of the process, as last sampled. */
  memoryBytes(): number;
  /** Reports whether `count` more records fit into the memory reserved for records. */
  room(count: number): boolean;
  /** Reports whether the region already has records, or fewer regions than that have some. */
  takesRegion(region: string, regionsMax: number): boolean;
}

/** Admission control of a node, shared by all its streams. */
export class RequestAdmission {
  readonly #ceilings: Ceilings;
  readonly #usage: Usage;
  #draining = false;
  /** Number of records admitted and not logged yet. */
  #underWay = 0;

  constructor(ceilings: Ceilings, usage: Usage) {
    this.#ceilings = ceilings;
    this.#usage = usage;
  }

  /** Refuses every later request with `shutting_down`. */
  drain(): void {
    this.#draining = true;
  }

  /**
   * Admits a request of `caller` and returns its operation.
   *
   * @throws RegistryError `unknown_operation`, `shutting_down`, `overloaded`.
   */
  admit(operationId: number, { bucket }: Caller, stream: RequestStream): Operation {
    const operation = operationOfId(operationId);
    if (operation === undefined) {
      throw new RegistryError(
        "unknown_operation",
        `This version serves no operation ${operationId}`,
        { field: "operation" },
      );
    }
    if (this.#draining) {
      throw new RegistryError("shutting_down", "This node is shutting down", { retryAfterMs: 100 });
    }
    if (!bucket.take(operation.cost)) {
      throw new RegistryError(
        "overloaded",
        "The caller exceeds its request rate",
        { retryAfterMs: bucket.retryAfterMs(operation.cost) },
      );
    }
    if (stream.inFlight > REQUESTS_IN_FLIGHT_MAX) {
      throw new RegistryError(
        "overloaded",
        `At most ${REQUESTS_IN_FLIGHT_MAX} requests of one stream may be in progress`,
        { retryAfterMs: 20 },
      );
    }
    return operation;
  }

  /**
   * Reserves capacity for `count` new records. The reservation is held until {@link newRecordsDone}
   * releases it, so that concurrent registrations cannot exceed the ceiling together.
   *
   * @throws RegistryError `overloaded` at a ceiling.
   */
  admitNewRecords(count: number): void {
    const records = this.#usage.records() + this.#underWay;
    if (records + count > this.#ceilings.recordsMax) {
      throw new RegistryError(
        "overloaded",
        `This node holds ${records} of at most ${this.#ceilings.recordsMax} records: ` +
          "it accepts renewals only, no new records",
        { retryAfterMs: 5_000 },
      );
    }
    const bytes = this.#usage.memoryBytes();
    if (bytes > this.#ceilings.memoryBytesMax || !this.#usage.room(this.#underWay + count)) {
      throw new RegistryError(
        "overloaded",
        `This node uses ${bytes} of at most ${this.#ceilings.memoryBytesMax} bytes of memory: ` +
          "it accepts renewals only, no new records",
        { retryAfterMs: 5_000 },
      );
    }
    this.#underWay += count;
  }

  /**
   * Checks that a new record may be added to its region.
   *
   * @throws RegistryError `overloaded` if the region would exceed the limit on regions.
   */
  admitRegion(region: string, regionsMax: number): void {
    if (this.#usage.takesRegion(region, regionsMax)) return;
    throw new RegistryError(
      "overloaded",
      `This node holds records of ${regionsMax} regions, its limit: it accepts none of ` +
        `region ${region}. Register in a region that is in use, or remove all records of another one`,
      { field: "region", retryAfterMs: 5_000 },
    );
  }

  /** Releases the reservation of `count` records that are logged, or never will be. */
  newRecordsDone(count: number): void {
    this.#underWay -= count;
  }
}
