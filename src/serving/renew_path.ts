/**
 * Renewal of leases, many in one request. A renewal that ends within its cover is answered from the
 * leader's memory and logs nothing; only if its cover is too short does an owner wait for the log,
 * together with all others waiting in the same partition. Answers from memory follow the rule of
 * reads: a leader without a leader lease must first be confirmed, as another node may already lead
 * and may have removed the record.
 */
import type { RenewFailure, RenewReply, RenewRequestView } from "../../schemas/gen/wire.ts";
import type { ErrorCode } from "../base/errors.ts";
import { errorCodeToWire, RegistryError } from "../base/errors.ts";
import { RENEW_ITEMS_MAX } from "../base/limits.ts";
import { NO_POSITION, type Position } from "../base/position.ts";
import type { Entropy } from "../base/world.ts";
import { encodeTick } from "../record/command.ts";
import type { RenewOutcome } from "../store/leases.ts";
import type { AccessControl } from "./access_control.ts";
import { renewAfterMs } from "./lease_times.ts";
import type { Partition, PartitionTable } from "./partitions.ts";
import type { Proposer } from "./proposer.ts";
import type { ForeignRecords } from "./regions/foreign_records.ts";
import type { RequestContext } from "./request_context.ts";

/** Renewal that waits for its leader to be confirmed, or for its cover. */
interface Waiting {
  readonly position: number;
  readonly kind: number;
  readonly id: Uint8Array;
  readonly incarnation: Position;
}

type ByPartition = Map<Partition, Waiting[]>;

/** Result of a request under construction: its failures and its shortest lease. */
interface Tally {
  readonly failures: RenewFailure[];
  ttlMsMin: number;
}

/** Serves Renew. One instance serves all streams of a node. */
export class RenewPath {
  readonly #table: PartitionTable;
  readonly #proposer: Proposer;
  readonly #access: AccessControl;
  readonly #entropy: Entropy;
  readonly #foreign: ForeignRecords;
  readonly #incarnation = { generation: 0, index: 0 };
  /** Counts since the start: successful renewals, and extensions that owners waited for. */
  renewed = 0;
  extensionsProposed = 0;
  /** Renewals refused because another node leads or holds the partition, since the start, by code. */
  readonly misrouted = new Map<"not_leader" | "not_replica", number>();

  constructor(parts: {
    table: PartitionTable;
    proposer: Proposer;
    access: AccessControl;
    entropy: Entropy;
    foreign: ForeignRecords;
  }) {
    this.#table = parts.table;
    this.#proposer = parts.proposer;
    this.#access = parts.access;
    this.#entropy = parts.entropy;
    this.#foreign = parts.foreign;
  }

  /**
   * Renews all items of a request; the reply lists failed items by their position. Reads the request
   * before the first await.
   */
  async serve({ items }: RenewRequestView, context: RequestContext): Promise<RenewReply> {
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
    const unconfirmed: ByPartition = new Map();
    const waiting: ByPartition = new Map();
    this.#renewNow(items, context, tally, { unconfirmed, waiting });
    if (unconfirmed.size > 0) await this.#renewConfirmed(unconfirmed, context, tally, waiting);
    if (waiting.size > 0) await this.#renewWaiting(waiting, context, tally);
    const renewed = count - tally.failures.length;
    this.renewed += renewed;
    return {
      renewAfterMs: renewAfterMs(tally.ttlMsMin, this.#entropy),
      renewed,
      failures: tally.failures,
    };
  }

  /**
   * Renews one record that the caller may renew, at a leader that was confirmed in this turn; waits for
   * its cover if that is too short.
   *
   * @throws RegistryError if an extension was not logged.
   */
  async renewOne(
    partition: Partition,
    { kind, id, incarnation }: Omit<Waiting, "position">,
    context: RequestContext,
  ): Promise<RenewOutcome> {
    const renew = () => {
      const outcome = partition.store.renew(kind, id, 0, incarnation, partition.group.timeMs());
      if (outcome === "renewed") this.renewed++;
      return outcome;
    };
    const outcome = renew();
    if (outcome !== "needs_extension") return outcome;
    const code = await this.#extend(partition, context);
    if (code !== undefined) throw new RegistryError(code, "The lease was not extended in the log");
    return renew();
  }

  /** Renews from memory where possible, and sorts the other items by what they wait for. */
  #renewNow(
    items: RenewRequestView["items"],
    context: RequestContext,
    tally: Tally,
    { unconfirmed, waiting }: { unconfirmed: ByPartition; waiting: ByPartition },
  ): void {
    const incarnation = this.#incarnation;
    for (let position = 0; position < items.count; position++) {
      const item = items.at(position);
      const bytes = item.$bytes;
      const start = item.idOffset;
      const kind = item.kind;
      const partition = this.#table.of(kind, bytes, start, start + 16);
      if (!partition.isHere) {
        this.#misroute(tally, position, "not_replica");
        continue;
      }
      incarnation.generation = item.incarnationGeneration;
      incarnation.index = item.incarnationIndex;
      const { store, group } = partition;
      if (group.readPoint(0) === undefined) {
        const one = { position, kind, id: item.id, incarnation: { ...incarnation } };
        // A replica that does not lead may be behind: its state does not even say who may renew.
        if (group.isLeading) add(unconfirmed, partition, one);
        else this.#misroute(tally, position, "not_leader");
        continue;
      }
      const refused = this.#access.refuseRenewal(context.peer, kind, bytes, start, partition);
      if (refused !== undefined) {
        fail(tally, position, refused);
        continue;
      }
      const outcome = store.renew(kind, bytes, start, incarnation, group.timeMs());
      if (outcome === "renewed") {
        tally.ttlMsMin = Math.min(tally.ttlMsMin, store.renewedTtlMs);
      } else if (outcome === "needs_extension") {
        add(waiting, partition, { position, kind, id: item.id, incarnation: { ...incarnation } });
      } else {
        this.#failOutcome(tally, position, outcome, partition, item.id, kind);
      }
    }
  }

  #misroute(tally: Tally, position: number, code: "not_leader" | "not_replica"): void {
    this.misrouted.set(code, (this.misrouted.get(code) ?? 0) + 1);
    fail(tally, position, code);
  }

  /** Renews items of partitions whose leadership a quorum must confirm first. */
  async #renewConfirmed(
    unconfirmed: ByPartition,
    context: RequestContext,
    tally: Tally,
    waiting: ByPartition,
  ): Promise<void> {
    await Promise.all(Array.from(unconfirmed, async ([partition, list]) => {
      const leftMs = this.#proposer.leftMs(context.deadlineMs);
      const permitted = await partition.group.readBarrier(0, leftMs);
      for (const one of list) {
        const refused = permitted instanceof RegistryError
          ? permitted.code
          : this.#access.refuseRenewal(context.peer, one.kind, one.id, 0, partition);
        if (refused !== undefined) fail(tally, one.position, refused);
        else if (!this.#renew(partition, one, tally)) add(waiting, partition, one);
      }
    }));
  }

  /**
   * Renews one item from memory or records its failure; returns false if its cover is too short.
   */
  #renew(
    partition: Partition,
    { position, kind, id, incarnation }: Waiting,
    tally: Tally,
  ): boolean {
    const { group, store } = partition;
    const outcome = store.renew(kind, id, 0, incarnation, group.timeMs());
    if (outcome === "needs_extension") return false;
    if (outcome === "renewed") tally.ttlMsMin = Math.min(tally.ttlMsMin, store.renewedTtlMs);
    else this.#failOutcome(tally, position, outcome, partition, id, kind);
    return true;
  }

  async #renewWaiting(
    waiting: ByPartition,
    context: RequestContext,
    tally: Tally,
  ): Promise<void> {
    await Promise.all(Array.from(waiting, async ([partition, list]) => {
      const error = await this.#extend(partition, context);
      for (const one of list) {
        if (error !== undefined) fail(tally, one.position, error);
        else if (!this.#renew(partition, one, tally)) fail(tally, one.position, "overloaded");
      }
    }));
  }

  /**
   * Extends the covers of all waiting items of a partition; returns the code if that was not
   * logged. If an extension is already in progress, a later entry proves that it was applied.
   */
  async #extend(partition: Partition, context: RequestContext): Promise<ErrorCode | undefined> {
    const at = { nowMs: partition.group.timeMs(), unixS: this.#proposer.unixS(), force: true };
    const commands: Uint8Array[] = [];
    // A command holds a limited number of items; more may wait in this partition.
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
    outcome: Exclude<RenewOutcome, "renewed" | "needs_extension">,
    partition: Partition,
    id: Uint8Array,
    kind: number,
  ): void {
    const home = outcome === "not_found" ? this.#foreign.homeOf(partition, kind, id, 0) : undefined;
    if (home !== undefined) return fail(tally, position, "foreign_region", NO_POSITION, home);
    if (outcome !== "superseded") return fail(tally, position, outcome);
    const slot = partition.store.find(kind, id, 0, id.length);
    fail(tally, position, outcome, slot === -1 ? NO_POSITION : partition.store.incarnationOf(slot));
  }
}

function add(to: ByPartition, partition: Partition, one: Waiting): void {
  const list = to.get(partition);
  if (list === undefined) to.set(partition, [one]);
  else list.push(one);
}

function fail(
  tally: Tally,
  position: number,
  code: ErrorCode,
  current = NO_POSITION,
  home?: string,
): void {
  const named = home === undefined ? undefined : { name: home };
  tally.failures.push({ position, code: errorCodeToWire(code), current, home: named });
}
