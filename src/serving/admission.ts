/**
 * Admission: what every request passes before it is served. Is the operation known, does the node
 * take requests, has the caller some of its rate left, and is there room. Whether the caller may do
 * it is asked after that, of a write where its key is known (access_control.ts).
 *
 * Refusals come long before anything breaks: new registrations stop at the ceilings on records and
 * memory, renewals never do.
 */
import { RegistryError } from "../base/errors.ts";
import { REGIONS_INTERNED_MAX, REQUESTS_IN_FLIGHT_MAX } from "../base/limits.ts";
import { type Operation, operationOfId } from "../wire/operations.ts";
import type { RequestStream } from "./request_stream.ts";

/** What admission asks about the process; refreshed a few times a second. */
export interface Ceilings {
  readonly recordsMax: number;
  readonly memoryBytesMax: number;
}

/** What is used of the ceilings. */
export interface Usage {
  /** Live records, aliases included. */
  records(): number;
  /** Bytes of the process that are resident, as last sampled. */
  memoryBytes(): number;
  /** True where so many more records fit into the memory that is set aside for them. */
  room(count: number): boolean;
  /** True where a record of the region may come: it has some already, or there are not too many regions. */
  takesRegion(region: string): boolean;
}

/** The gate. One for all streams of a node. */
export class Admission {
  readonly #ceilings: Ceilings;
  readonly #usage: Usage;
  #draining = false;
  /** Records that were admitted and are not logged yet. */
  #underWay = 0;

  constructor(ceilings: Ceilings, usage: Usage) {
    this.#ceilings = ceilings;
    this.#usage = usage;
  }

  /** From now on every request is refused with `shutting_down`. */
  drain(): void {
    this.#draining = true;
  }

  /**
   * The operation of a request that may go on.
   *
   * @throws RegistryError `unknown_operation`, `shutting_down`, `overloaded`.
   */
  admit(operationId: number, stream: RequestStream): Operation {
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
    const bucket = stream.caller.bucket;
    if (!bucket.take(operation.cost)) {
      throw new RegistryError(
        "overloaded",
        "The caller is above its rate of requests",
        { retryAfterMs: bucket.retryAfterMs() },
      );
    }
    if (stream.inFlight > REQUESTS_IN_FLIGHT_MAX) {
      throw new RegistryError(
        "overloaded",
        `At most ${REQUESTS_IN_FLIGHT_MAX} requests of one stream may be under way`,
        { retryAfterMs: 20 },
      );
    }
    return operation;
  }

  /**
   * Room for `count` records that are not there yet? Those admitted count until
   * {@link newRecordsDone} is told, so that many at once cannot pass the ceiling together.
   *
   * @throws RegistryError `overloaded` at a ceiling.
   */
  admitNewRecords(count: number): void {
    const records = this.#usage.records() + this.#underWay;
    if (records + count > this.#ceilings.recordsMax) {
      throw new RegistryError(
        "overloaded",
        `This node holds ${records} records, of at most ${this.#ceilings.recordsMax}: ` +
          "it takes renewals, and no new ones",
        { retryAfterMs: 5_000 },
      );
    }
    const bytes = this.#usage.memoryBytes();
    if (bytes > this.#ceilings.memoryBytesMax || !this.#usage.room(this.#underWay + count)) {
      throw new RegistryError(
        "overloaded",
        `This node uses ${bytes} bytes of memory, of at most ${this.#ceilings.memoryBytesMax}: ` +
          "it takes renewals, and no new records",
        { retryAfterMs: 5_000 },
      );
    }
    this.#underWay += count;
  }

  /**
   * Checks that a record that is not there yet may come to its region.
   *
   * @throws RegistryError `overloaded` where the region would be one too many.
   */
  admitRegion(region: string): void {
    if (this.#usage.takesRegion(region)) return;
    throw new RegistryError(
      "overloaded",
      `This node holds records of ${REGIONS_INTERNED_MAX} regions, its limit: it takes none of ` +
        `region ${region}. Register in a region that is in use, or remove all records of another one`,
      { field: "region", retryAfterMs: 5_000 },
    );
  }

  /** Of the records admitted, `count` are logged by now, or never will be. */
  newRecordsDone(count: number): void {
    this.#underWay -= count;
  }
}
