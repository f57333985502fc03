/**
 * The making of a page of a list: the partitions are visited in order, each with a permission of its
 * own; a page ends when it is full, by count or by bytes, and its cursor holds the position where it
 * stopped. Lists run in steps, between which other requests are served.
 */
import { WORD_BYTES } from "../../schemas/runtime/cursor.ts";
import type { StructCodec } from "../../schemas/runtime/codec.ts";
import type { FrameWriter, Input } from "../../schemas/runtime/writer.ts";
import type { RequestView } from "../../schemas/gen/wire.ts";
import { RegistryError } from "../base/errors.ts";
import { LIST_PAGE_BYTES } from "../base/limits.ts";
import { UUID_BYTES } from "../base/uuid.ts";
import type { ReadPoint } from "../replication/group_interface.ts";
import { emptySpan, type StoredSpan } from "../store/reply.ts";
import type { PartitionStore } from "../store/store.ts";
import type { CredentialRedaction } from "./credential_redaction.ts";
import { leaseRemainingMs } from "./lease_times.ts";
import type { ListBarrier, ListSteps } from "./list_job.ts";
import { keepItems, type ListPage, noteRead, partsNow, type ReadPart } from "./list_page.ts";
import { type ListScope, listScope } from "./list_scope.ts";
import { notReplica, type Partition, type PartitionTable } from "./partitions.ts";
import { ReadLimits } from "./read_limits.ts";
import type { MirrorHomes } from "./regions/mirror_homes.ts";
import type { ReplyWriter } from "./reply_writer.ts";

/** The records of a list, and its answer. */
export interface ListSelection {
  /** Of an earlier page; empty: from the start. */
  readonly cursor: Uint8Array;
  readonly limit: number;
  /** Returns at most `limit` slots of a partition with an id after `afterId`, by id. */
  readonly slotsOf: (partition: Partition, limit: number, afterId: Uint8Array) => readonly number[];
  /** Appends the answer, by {@link ListPages.answer}. */
  readonly answer: (page: ListPage) => void;
}

/** Makes pages. One instance serves all streams of a node. */
export class ListPages {
  readonly #table: PartitionTable;
  readonly #replies: ReplyWriter;
  readonly #redaction: CredentialRedaction;
  readonly #homes: MirrorHomes;
  readonly #limits = new ReadLimits();

  constructor(
    table: PartitionTable,
    replies: ReplyWriter,
    redaction: CredentialRedaction,
    homes: MirrorHomes,
  ) {
    this.#table = table;
    this.#replies = replies;
    this.#redaction = redaction;
    this.#homes = homes;
  }

  /**
   * Starts a list; each step reads one partition.
   *
   * @param request over bytes of its own, as it is read until the last step.
   */
  list(page: ListPage, request: RequestView, selection: ListSelection): ListSteps {
    const steps = this.#listSteps(page, request.maxStalenessMs, selection);
    return this.stepsOf(steps, page, selection.answer);
  }

  *#listSteps(
    page: ListPage,
    maxStalenessMs: number,
    { cursor, limit, slotsOf }: ListSelection,
  ): Generator<ListBarrier | undefined, void> {
    const { partitionCount } = this.#table.partitioner;
    const scope = listScope(cursor, partitionCount);
    for (let id = 0; id < partitionCount; id++) {
      if (!scope.wants(id)) continue;
      const partition = this.#table.at(id);
      if (!partition.isHere) {
        scope.leaveOut(id, notReplica(partition));
        continue;
      }
      const point = yield* permission(partition, maxStalenessMs, scope);
      if (point === undefined) continue;
      noteRead(page, { partition, point });
      const afterId = scope.afterId(id);
      const wanted = limit - page.items.length;
      // One more than wanted shows whether another page follows.
      const slots = slotsOf(partition, wanted + 1, afterId);
      const before = page.items.length;
      const taken = this.takeSlots({ partition, point }, slots, wanted, page);
      if (page.items.length > before) page.shown.push({ partition, point: { ...point } });
      if (taken < slots.length) {
        scope.stop(id, taken > 0 ? idOfSlot(partition, slots[taken - 1]!) : afterId);
        break;
      }
      scope.finish(id);
      yield undefined;
    }
    page.nextCursor = scope.nextCursor();
  }

  /** Returns steps as the work of a list. */
  stepsOf(
    steps: Generator<ListBarrier | undefined, void>,
    page: ListPage,
    answer: (page: ListPage) => void,
  ): ListSteps {
    return {
      next: () => steps.next(),
      keep: () => keepItems(page),
      answer: () => answer(page),
    };
  }

  /**
   * Adds records to a page, at most `wanted` and while it has room, without those that the peer may not
   * read. Returns the number of records dealt with.
   */
  takeSlots(
    { partition, point }: ReadPart,
    slots: readonly number[],
    wanted: number,
    page: ListPage,
  ): number {
    let taken = 0;
    while (taken < wanted && taken < slots.length && page.bytes < LIST_PAGE_BYTES) {
      const slot = slots[taken]!;
      const { mirrors } = partition.store;
      const isMirror = mirrors.isMirror(slot);
      const span = spanOf(partition.store, slot);
      taken++;
      if (!this.#limits.permit(page.peer, page.kind, span)) continue;
      page.bytes += span.end - span.start;
      if (isMirror) {
        const source = this.#homes.readSourceOf(mirrors.view(slot), point.ageBoundMs);
        page.sources.set(page.items.length, source);
      }
      page.items.push({
        record: this.#redaction.redact(page.peer, page.kind, span),
        remainingMs: isMirror ? 0 : leaseRemainingMs(partition, slot),
      });
    }
    return taken;
  }

  /**
   * Appends the answer of a page, with its receipts.
   *
   * @param body has the items of the page.
   */
  answer<T>(
    request: RequestView,
    out: FrameWriter,
    page: ListPage,
    codec: StructCodec<T>,
    body: Input<NoInfer<T>>,
  ): void {
    const parts = partsNow(page, request.maxStalenessMs);
    this.#replies.begin(request.id);
    for (const { partition, point } of parts) this.#replies.addReceipt(partition.id, point);
    for (const [index, read] of page.sources) {
      page.items[index] = { ...page.items[index]!, source: this.#homes.agedNow(read) };
    }
    this.#replies.success(out, codec, body);
  }
}

/** Returns the stored form of a record, or of the mirror of one. */
export function spanOf(store: PartitionStore, slot: number): StoredSpan {
  const { mirrors } = store;
  return mirrors.isMirror(slot)
    ? mirrors.locate(slot, emptySpan())
    : store.locate(slot, emptySpan());
}

/** Returns the id of a record: the first field of the stored forms of all kinds. */
function idOfSlot(partition: Partition, slot: number): Uint8Array {
  const span = partition.store.locate(slot, emptySpan());
  const at = span.start + WORD_BYTES;
  return span.bytes.subarray(at, at + UUID_BYTES);
}

/** Returns the limit of a page; 0 asks for the default. @throws RegistryError `invalid_argument`. */
export function checkedLimit(limit: number, max: number): number {
  if (limit <= max) return limit === 0 ? Math.min(100, max) : limit;
  throw new RegistryError("invalid_argument", `limit must be at most ${max}: found ${limit}`, {
    field: "limit",
  });
}

/**
 * Waits until a partition permits a read. Returns undefined if it is left out of the list, because
 * another node leads it.
 */
export function* permission(
  partition: Partition,
  maxStalenessMs: number,
  scope: ListScope,
): Generator<ListBarrier | undefined, ReadPoint | undefined> {
  const { id, group } = partition;
  for (;;) {
    const point = group.readPoint(maxStalenessMs);
    if (point !== undefined) return point;
    const elsewhere = group.readElsewhere(maxStalenessMs);
    if (elsewhere !== undefined) {
      scope.leaveOut(id, elsewhere);
      return undefined;
    }
    let permitted: ReadPoint | RegistryError | undefined;
    yield {
      async readBarrier(stalenessMs, timeoutMs) {
        permitted = await group.readBarrier(stalenessMs, timeoutMs);
        return scope.isPartial && isOfAnother(permitted) ? undefined : permitted;
      },
    };
    if (permitted === undefined) continue;
    if (permitted instanceof RegistryError) {
      scope.leaveOut(id, permitted);
      return undefined;
    }
    // That of a follower has grown older since.
    if (permitted.ageBoundMs === 0) return permitted;
  }
}

function isOfAnother(permitted: ReadPoint | RegistryError): permitted is RegistryError {
  return permitted instanceof RegistryError &&
    (permitted.code === "not_leader" || permitted.code === "not_replica" ||
      permitted.code === "too_stale");
}
