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
import type { RecordKind } from "../record/kinds.ts";
import { GatewayRanking } from "../store/free_capacity.ts";
import { canonicalDomainBytes } from "../record/domain.ts";
import type { PartitionStore } from "../store/store.ts";
import type { ReadPoint } from "../replication/group_interface.ts";
import type { Caller } from "./caller.ts";
import type { ListBarrier, ListSteps } from "./list_job.ts";
import { type ListPage, newPage, noteRead, type ReadPart, spanBytes } from "./list_page.ts";
import { checkedLimit, type ListPages, permission, spanOf } from "./list_pages.ts";
import { type ListScope, listScope } from "./list_scope.ts";
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
  readonly #pages: ListPages;
  readonly #homes: MirrorHomes;
  readonly #limits = new ReadLimits();
  readonly #manyRequest = resolveManyRequestCodec.newView();

  constructor(
    table: PartitionTable,
    reads: ReadPath,
    replies: ReplyWriter,
    pages: ListPages,
    homes: MirrorHomes,
  ) {
    this.#table = table;
    this.#reads = reads;
    this.#replies = replies;
    this.#pages = pages;
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
    const body = request.bodyInto(listRequestCodec.newView());
    const region = checkedRegion(body.regionBytes);
    return this.#pages.list(newPage(kind, peer), request, {
      cursor: body.cursor,
      limit: checkedLimit(body.limit, LIST_ITEMS_MAX),
      slotsOf: ({ store }, limit, afterId) =>
        store.listRegion({ kind, region, limit, afterId, mirrors: this.#homes }),
      answer: (page) => this.#pages.answer(request, writer(), page, listReplyCodec, page),
    });
  }

  /**
   * Starts ResolveGateways, or the same for another kind of gateway: live gateways of a region, most free
   * capacity first. Takes one step, apart from waiting for permissions to read.
   */
  resolveGateways(
    kind: RecordKind,
    request: RequestView,
    writer: () => FrameWriter,
    peer: AuthenticatedPeer,
  ): ListSteps {
    const page = newPage(kind, peer);
    return this.#pages.stepsOf(
      this.#gatewaySteps(request, page),
      page,
      (page) => this.#pages.answer(request, writer(), page, listReplyCodec, page),
    );
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
      if (this.#pages.takeSlots({ partition, point }, [slot], 1, page) === 0) break;
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
}

/** Outcome of a domain beyond a page's bytes: to be requested again, with fewer domains. */
const NO_ROOM = refusedDomain("too_large");

function refusedDomain(code: ErrorCode): Input<ResolveOutcome> {
  return { reply: undefined, code: errorCodeToWire(code), cacheMs: 0, receipts: [] };
}

function checkedRegion(region: Uint8Array): Uint8Array {
  if (region.length >= 1 && region.length <= REGION_BYTES_MAX) return region;
  throw new RegistryError(
    "invalid_argument",
    `region must have 1 to ${REGION_BYTES_MAX} bytes: found ${region.length}`,
    { field: "region" },
  );
}
