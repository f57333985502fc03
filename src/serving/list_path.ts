/**
 * Reads of many keys: lists by region, gateways by free capacity, many domains at once.
 *
 * Such an answer is not one snapshot: each record is read with the permission and the receipt of
 * its own partition. A list visits the partitions in order; its cursor holds the position where it
 * stopped, and a page ends when it is full, by count or by bytes. Lists run in steps, between which
 * other requests are served.
 */
import {
  listReplyCodec,
  listRequestCodec,
  type RequestView,
  RESOLVED_PARTS,
  resolveGatewaysRequestCodec,
  resolveManyReplyCodec,
  resolveManyRequestCodec,
  type ResolveOutcome,
} from "../../schemas/gen/wire.ts";
import { WORD_BYTES } from "../../schemas/runtime/cursor.ts";
import type { FrameWriter, Input } from "../../schemas/runtime/writer.ts";
import { defined } from "../base/assert.ts";
import { type ErrorCode, errorCodeToWire, RegistryError, toRegistryError } from "../base/errors.ts";
import {
  LIST_ITEMS_MAX,
  LIST_PAGE_BYTES,
  NEGATIVE_CACHE_MS,
  REGION_BYTES_MAX,
  RESOLVE_GATEWAYS_MAX,
  RESOLVE_ITEMS_MAX,
} from "../base/limits.ts";
import type { AuthenticatedPeer } from "../base/peer.ts";
import { UUID_BYTES } from "../base/uuid.ts";
import type { RecordKind } from "../record/kinds.ts";
import { GatewayRanking } from "../store/free_capacity.ts";
import { emptySpan, type StoredSpan } from "../store/reply.ts";
import { canonicalDomainBytes } from "../record/domain.ts";
import type { PartitionStore } from "../store/store.ts";
import type { ReadPoint } from "../replication/group_interface.ts";
import type { Caller } from "./caller.ts";
import type { CredentialRedaction } from "./credential_redaction.ts";
import type { ListBarrier, ListSteps } from "./list_job.ts";
import {
  keepItems,
  type ListPage,
  newPage,
  noteRead,
  partsNow,
  type ReadPart,
  spanBytes,
} from "./list_page.ts";
import { type ListScope, listScope } from "./list_scope.ts";
import { leaseRemainingMs } from "./lease_times.ts";
import { notReplica, type Partition, type PartitionTable } from "./partitions.ts";
import { pointOf, type ReadAnswer, type ReadBarrier, type ReadPermits } from "./read_answer.ts";
import { askedOf, type ReadPath } from "./read_path.ts";
import type { ReadBy } from "./read_by.ts";
import { ReadLimits } from "./read_limits.ts";
import type { MirrorHomes } from "./regions/mirror_homes.ts";
import type { ReplyWriter } from "./reply_writer.ts";
import { newResolution } from "./resolution.ts";

/** Best gateways of a region, valid in this turn only. */
interface Ranked {
  readonly best: readonly {
    readonly partition: Partition;
    readonly point: ReadPoint;
    readonly slot: number;
  }[];
  /** The partitions that were read. */
  readonly read: readonly ReadPart[];
}

/** The gateways that are wanted. */
interface GatewayAsk {
  readonly kind: RecordKind;
  readonly region: Uint8Array;
  readonly limit: number;
  readonly by: ReadBy;
  readonly scope: ListScope;
  readonly peer: AuthenticatedPeer;
}

/** Answers reads of many keys. One instance serves all streams of a node. */
export class ListPath {
  readonly #table: PartitionTable;
  readonly #reads: ReadPath;
  readonly #replies: ReplyWriter;
  readonly #redaction: CredentialRedaction;
  readonly #homes: MirrorHomes;
  readonly #limits = new ReadLimits();
  readonly #manyRequest = resolveManyRequestCodec.newView();

  constructor(
    table: PartitionTable,
    reads: ReadPath,
    replies: ReplyWriter,
    redaction: CredentialRedaction,
    homes: MirrorHomes,
  ) {
    this.#table = table;
    this.#reads = reads;
    this.#replies = replies;
    this.#redaction = redaction;
    this.#homes = homes;
  }

  /**
   * Starts ListAgentsByRegion or ListGatewaysByRegion; each step reads one partition.
   *
   * @param request over bytes of its own, as it is read until the last step.
   * @param writer returns the writer to which the answer is appended at that time.
   */
  list(
    kind: RecordKind,
    request: RequestView,
    writer: () => FrameWriter,
    peer: AuthenticatedPeer,
  ): ListSteps {
    const page = newPage(kind, peer);
    const steps = this.#listSteps(request, page);
    return this.#stepsOf(steps, request, writer, page);
  }

  *#listSteps(request: RequestView, page: ListPage): Generator<ListBarrier | undefined, void> {
    const body = request.bodyInto(listRequestCodec.newView());
    const region = checkedRegion(body.regionBytes);
    const limit = checkedLimit(body.limit, LIST_ITEMS_MAX);
    const { partitionCount } = this.#table.partitioner;
    const scope = listScope(body.cursor, partitionCount);
    for (let id = 0; id < partitionCount; id++) {
      if (!scope.wants(id)) continue;
      const partition = this.#table.at(id);
      if (!partition.isHere) {
        scope.leaveOut(id, notReplica(partition));
        continue;
      }
      const point = yield* permission(partition, request.maxStalenessMs, scope);
      if (point === undefined) continue;
      noteRead(page, { partition, point });
      const afterId = scope.afterId(id);
      const wanted = limit - page.items.length;
      // One more than wanted shows whether another page follows.
      const slots = partition.store.listRegion({
        kind: page.kind,
        region,
        limit: wanted + 1,
        afterId,
        mirrors: this.#homes,
      });
      const before = page.items.length;
      const taken = this.#takeSlots({ partition, point }, slots, wanted, page);
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

  /**
   * Starts ResolveGateways, or the same for another kind of gateway: live gateways of a region, most free capacity first. Takes one step,
   * apart from waiting for permissions to read.
   */
  resolveGateways(
    kind: RecordKind,
    request: RequestView,
    writer: () => FrameWriter,
    peer: AuthenticatedPeer,
  ): ListSteps {
    const page = newPage(kind, peer);
    const steps = this.#gatewaySteps(request, page);
    return this.#stepsOf(steps, request, writer, page);
  }

  *#gatewaySteps(request: RequestView, page: ListPage): Generator<ListBarrier | undefined, void> {
    const body = request.bodyInto(resolveGatewaysRequestCodec.newView());
    const region = checkedRegion(body.regionBytes);
    const limit = checkedLimit(body.limit, RESOLVE_GATEWAYS_MAX);
    const scope = listScope(body.cursor, this.#table.partitioner.partitionCount);
    const permits = new Map<ReadBarrier, ReadPoint>();
    const by = { maxStalenessMs: request.maxStalenessMs, permits, asked: this.#homes.any };
    const ask = { kind: page.kind, region, limit, by, scope, peer: page.peer };
    let ranked = this.#rank(ask);
    while ("group" in ranked) {
      const point = yield* permission(ranked, request.maxStalenessMs, scope);
      if (point?.ageBoundMs === 0) permits.set(ranked.group, point);
      ranked = this.#rank(ask);
    }
    for (const { partition, point, slot } of ranked.best) {
      if (this.#takeSlots({ partition, point }, [slot], 1, page) === 0) break;
      page.shown.push({ partition, point: { ...point } });
    }
    for (const part of ranked.read) {
      noteRead(page, part);
      scope.finish(part.partition.id);
    }
    page.nextCursor = scope.nextCursor();
  }

  /** Returns the best gateways, or the partition that does not permit a read yet. */
  #rank({ kind, region, limit, by, scope, peer }: GatewayAsk): Ranked | Partition {
    const ranking = new GatewayRanking<PartitionStore>(limit, kind);
    const asked = new Map<PartitionStore, { partition: Partition; point: ReadPoint }>();
    const read: ReadPart[] = [];
    for (let id = 0; id < this.#table.partitioner.partitionCount; id++) {
      if (!scope.wants(id)) continue;
      const partition = this.#table.at(id);
      if (!partition.isHere) {
        scope.leaveOut(id, notReplica(partition));
        continue;
      }
      // Needed even where no gateway is: the leader may have one that is not here yet.
      const point = pointOf(partition.group, by.maxStalenessMs, by.permits);
      if (point === undefined) return partition;
      read.push({ partition, point });
      const { store } = partition;
      if (store.countOf(kind) === 0 && store.mirrors.isEmpty) continue;
      asked.set(store, { partition, point });
      const mayShow = (slot: number) => this.#limits.permit(peer, kind, spanOf(store, slot));
      store.rankGateways(region, ranking, this.#homes, mayShow);
    }
    const best = ranking.ranked().map(({ owner, slot }) => ({
      ...defined(asked.get(owner), "A ranked partition was asked"),
      slot,
    }));
    return { best, read };
  }

  #stepsOf(
    steps: Generator<ListBarrier | undefined, void>,
    request: RequestView,
    writer: () => FrameWriter,
    page: ListPage,
  ): ListSteps {
    return {
      next: () => steps.next(),
      keep: () => keepItems(page),
      answer: () => this.#answerPage(request, writer(), page),
    };
  }

  /**
   * Answers ResolveMany: each domain as if it had been requested alone. Domains that no longer fit
   * into the answer are refused with `too_large`, and the caller is to request them again.
   */
  resolveMany(
    request: RequestView,
    out: FrameWriter,
    { peer, bucket }: Pick<Caller, "peer" | "bucket">,
    permits?: ReadPermits,
  ): ReadAnswer {
    const body = request.bodyInto(this.#manyRequest);
    const asked = body.hasHome ? askedOf(this.#homes, body.home) : this.#homes.any;
    const { domains } = body;
    const count = domains.count;
    if (count > RESOLVE_ITEMS_MAX) {
      throw new RegistryError(
        "too_large",
        `domains must be at most ${RESOLVE_ITEMS_MAX}: found ${count}`,
        { field: "domains" },
      );
    }
    const items: Input<ResolveOutcome>[] = [];
    const by = { maxStalenessMs: request.maxStalenessMs, permits, asked };
    let bytes = 0;
    for (let index = 0; index < count; index++) {
      const outcome = bytes < LIST_PAGE_BYTES
        ? this.#resolveOne(domains.bytesAt(index), by, peer)
        : NO_ROOM;
      if ("readBarrier" in outcome) return outcome;
      items.push(outcome);
      bytes += spanBytes(outcome.reply?.agent) + spanBytes(outcome.reply?.gateway);
    }
    // Taken once the answer is certain to be sent in this turn, so that no caller is charged twice.
    bucket.take(count);
    this.#replies.begin(request.id);
    this.#replies.success(out, resolveManyReplyCodec, { items });
    return "ok";
  }

  /** Resolves one of many domains: returns its reply, its own refusal, or the group to wait for. */
  #resolveOne(
    text: Uint8Array,
    by: ReadBy,
    peer: AuthenticatedPeer,
  ): Input<ResolveOutcome> | ReadBarrier {
    const resolution = newResolution();
    try {
      const { bytes, start, end } = canonicalDomainBytes(text, 0, text.length);
      const waiting = this.#reads.find(bytes, start, end, by, peer, resolution);
      if (waiting !== undefined) return waiting;
    } catch (error) {
      return refusedDomain(toRegistryError(error).code);
    }
    const part = resolution.reply.agentPart;
    const found = part === RESOLVED_PARTS.included || part === RESOLVED_PARTS.elsewhere;
    return {
      reply: found ? resolution.reply : undefined,
      code: found ? 0 : errorCodeToWire("not_found"),
      cacheMs: found ? 0 : NEGATIVE_CACHE_MS,
      receipts: resolution.points.map((point, part) =>
        this.#replies.receiptOf(resolution.partitions[part]!, point)
      ),
    };
  }

  /**
   * Adds records to a page, at most `wanted` and while it has room, without those that the peer may not
   * read. Returns the number of records dealt with.
   */
  #takeSlots(
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

  #answerPage(request: RequestView, out: FrameWriter, page: ListPage): void {
    const parts = partsNow(page, request.maxStalenessMs);
    this.#replies.begin(request.id);
    for (const { partition, point } of parts) this.#replies.addReceipt(partition.id, point);
    for (const [index, read] of page.sources) {
      page.items[index] = { ...page.items[index]!, source: this.#homes.agedNow(read) };
    }
    this.#replies.success(out, listReplyCodec, { items: page.items, nextCursor: page.nextCursor });
  }
}

/** Outcome of a domain beyond a page's bytes: to be requested again, with fewer domains. */
const NO_ROOM = refusedDomain("too_large");

function refusedDomain(code: ErrorCode): Input<ResolveOutcome> {
  return { reply: undefined, code: errorCodeToWire(code), cacheMs: 0, receipts: [] };
}

/** Returns the stored form of a record, or of the mirror of one. */
function spanOf(store: PartitionStore, slot: number): StoredSpan {
  const { mirrors } = store;
  return mirrors.isMirror(slot)
    ? mirrors.locate(slot, emptySpan())
    : store.locate(slot, emptySpan());
}

/** Returns the id of a record: the first field of an agent's and of a gateway's stored form. */
function idOfSlot(partition: Partition, slot: number): Uint8Array {
  const span = partition.store.locate(slot, emptySpan());
  const at = span.start + WORD_BYTES;
  return span.bytes.subarray(at, at + UUID_BYTES);
}

function checkedRegion(region: Uint8Array): Uint8Array {
  if (region.length >= 1 && region.length <= REGION_BYTES_MAX) return region;
  throw new RegistryError(
    "invalid_argument",
    `region must have 1 to ${REGION_BYTES_MAX} bytes: found ${region.length}`,
    { field: "region" },
  );
}

function checkedLimit(limit: number, max: number): number {
  if (limit <= max) return limit === 0 ? Math.min(100, max) : limit;
  throw new RegistryError("invalid_argument", `limit must be at most ${max}: found ${limit}`, {
    field: "limit",
  });
}

/**
 * Waits until a partition permits a read. Returns undefined if it is left out of the list, because
 * another node leads it.
 */
function* permission(
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
