/**
 * Renewals: many leases in one request. A renewal that ends inside its cover is answered from the
 * leader's memory and logs nothing; only where a cover is too short does an owner wait for the log,
 * together with all of its partition that wait.
 */
import { type RenewFailure, renewRequestCodec, type RequestView } from "../../schemas/gen/wire.ts";
import type { ErrorCode } from "../base/errors.ts";
import { errorCodeToWire, RegistryError } from "../base/errors.ts";
import { RENEW_ITEMS_MAX } from "../base/limits.ts";
import type { Entropy } from "../base/world.ts";
import { encodeTick } from "../record/command.ts";
import type { Position } from "../store/reply.ts";
import type { RenewOutcome } from "../store/leases.ts";
import type { AccessControl } from "./access_control.ts";
import { renewAfterMs } from "./lease_interval.ts";
import type { Partition, PartitionTable } from "./partitions.ts";
import type { Proposer } from "./proposer.ts";
import type { WriteContext, WriteReply } from "./write_context.ts";

/** A renewal that waits for its cover. */
interface Waiting {
  readonly position: number;
  readonly kind: number;
  readonly id: Uint8Array;
  readonly incarnation: Position;
}

/** What the failures of one request are gathered in. */
interface Tally {
  readonly failures: RenewFailure[];
  ttlMsMin: number;
}

/** Serves Renew. One for all streams of a node. */
export class RenewPath {
  readonly #table: PartitionTable;
  readonly #proposer: Proposer;
  readonly #access: AccessControl;
  readonly #entropy: Entropy;
  readonly #request = renewRequestCodec.newView();
  readonly #incarnation = { generation: 0, index: 0 };
  /** Since the start: renewals answered well, and extensions that their owners waited for. */
  renewed = 0;
  extensionsProposed = 0;

  constructor(parts: {
    table: PartitionTable;
    proposer: Proposer;
    access: AccessControl;
    entropy: Entropy;
  }) {
    this.#table = parts.table;
    this.#proposer = parts.proposer;
    this.#access = parts.access;
    this.#entropy = parts.entropy;
  }

  /** Renews all items of a request; what was not renewed is named by its position. */
  async serve(request: RequestView, context: WriteContext): Promise<WriteReply> {
    const { items } = request.bodyInto(this.#request);
    const count = items.count;
    if (count > RENEW_ITEMS_MAX) {
      throw new RegistryError(
        "too_large",
        `items must be at most ${RENEW_ITEMS_MAX}: found ${count}`,
        { field: "items" },
      );
    }
    context.bucket.take(count);
    const tally: Tally = { failures: [], ttlMsMin: Infinity };
    const waiting = this.#renewNow(context, tally);
    if (waiting.size > 0) await this.#renewWaiting(waiting, context, tally);
    const renewed = count - tally.failures.length;
    this.renewed += renewed;
    return {
      body: {
        renewAfterMs: renewAfterMs(tally.ttlMsMin, this.#entropy),
        renewed,
        failures: tally.failures,
      },
      receipts: [],
    };
  }

  /** Renews by memory what can be; returns the rest, by partition. */
  #renewNow(context: WriteContext, tally: Tally): Map<Partition, Waiting[]> {
    const waiting = new Map<Partition, Waiting[]>();
    const { items } = this.#request;
    const incarnation = this.#incarnation;
    for (let position = 0; position < items.count; position++) {
      const item = items.at(position);
      const bytes = item.$bytes;
      const start = item.idOffset;
      const kind = item.kind;
      const partition = this.#table.of(kind, bytes, start, start + 16);
      if (partition === undefined) {
        fail(tally, position, "not_replica");
        continue;
      }
      const refused = this.#access.refuseRenewal(context.peer, kind, bytes, start, partition);
      if (refused !== undefined) {
        fail(tally, position, refused);
        continue;
      }
      incarnation.generation = item.incarnationGeneration;
      incarnation.index = item.incarnationIndex;
      const { store, group } = partition;
      const outcome = store.renew(kind, bytes, start, incarnation, group.timeMs());
      if (outcome === "renewed") {
        tally.ttlMsMin = Math.min(tally.ttlMsMin, store.renewedTtlMs);
      } else if (outcome === "needs_extension") {
        const list = waiting.get(partition);
        const one = { position, kind, id: item.id, incarnation: { ...incarnation } };
        if (list === undefined) waiting.set(partition, [one]);
        else list.push(one);
      } else {
        this.#failOutcome(tally, position, outcome, partition, item.id, kind);
      }
    }
    return waiting;
  }

  async #renewWaiting(
    waiting: ReadonlyMap<Partition, Waiting[]>,
    context: WriteContext,
    tally: Tally,
  ): Promise<void> {
    await Promise.all(Array.from(waiting, async ([partition, list]) => {
      const error = await this.#extend(partition, context);
      for (const { position, kind, id, incarnation } of list) {
        if (error !== undefined) {
          fail(tally, position, error);
          continue;
        }
        const nowMs = partition.group.timeMs();
        const outcome = partition.store.renew(kind, id, 0, incarnation, nowMs);
        if (outcome === "renewed") {
          tally.ttlMsMin = Math.min(tally.ttlMsMin, partition.store.renewedTtlMs);
        } else {
          this.#failOutcome(tally, position, outcome, partition, id, kind);
        }
      }
    }));
  }

  /**
   * Extends the covers of all that wait in a partition; the code where that was not logged. Where an
   * extension is under way already, an entry after it shows that it was applied.
   */
  async #extend(partition: Partition, context: WriteContext): Promise<ErrorCode | undefined> {
    const at = { nowMs: partition.group.timeMs(), unixS: this.#proposer.unixS(), force: true };
    const commands: Uint8Array[] = [];
    // One command holds so many items; more may wait in this partition.
    for (
      let command = partition.store.extendCommand(at);
      command !== undefined;
      command = partition.store.extendCommand(at)
    ) commands.push(command);
    if (commands.length === 0) commands.push(encodeTick(this.#proposer.header(partition, 0)));
    this.extensionsProposed += commands.length;
    try {
      await Promise.all(
        commands.map((command) => this.#proposer.propose(partition, command, context.deadlineMs)),
      );
      return undefined;
    } catch (error) {
      if (error instanceof RegistryError) return error.code;
      throw error;
    }
  }

  #failOutcome(
    tally: Tally,
    position: number,
    outcome: Exclude<RenewOutcome, "renewed">,
    partition: Partition,
    id: Uint8Array,
    kind: number,
  ): void {
    if (outcome === "needs_extension") return fail(tally, position, "overloaded");
    if (outcome !== "superseded") return fail(tally, position, outcome);
    const slot = partition.store.find(kind, id, 0, id.length);
    fail(tally, position, outcome, slot === -1 ? NO_POSITION : partition.store.incarnationOf(slot));
  }
}

const NO_POSITION = { generation: 0, index: 0 };

function fail(tally: Tally, position: number, code: ErrorCode, current = NO_POSITION): void {
  tally.failures.push({ position, code: errorCodeToWire(code), current });
}
