/**
 * Reads of relays, and of the agents placed at them.
 *
 * An agent is shown only while the incarnation of the relay that placed it lives. Where another node
 * holds the relay's partition, the answer leaves that to the client. It also does if the relay was
 * found to have ended: the agent may have moved between the two reads, so the client reads the
 * placement again before it calls the agent gone (src/client/calls/relays.ts).
 */
import {
  getPlacementReplyCodec,
  getPlacementRequestCodec,
  getRelayReplyCodec,
  getRelayRequestCodec,
  listNamedReplyCodec,
  listPlacementsRequestCodec,
  listRelaysRequestCodec,
  type RequestView,
  RESOLVED_PARTS,
} from "../../../schemas/gen/wire.ts";
import type { FrameWriter } from "../../../schemas/runtime/writer.ts";
import { compareBytes } from "../../base/bytes.ts";
import { LIST_ITEMS_MAX } from "../../base/limits.ts";
import type { AuthenticatedPeer } from "../../base/peer.ts";
import { samePosition } from "../../base/position.ts";
import type { WallClock } from "../../base/world.ts";
import { KIND_PLACEMENT, KIND_RELAY } from "../../record/key.ts";
import type { RecordKind } from "../../record/kinds.ts";
import { relayIncarnationOf } from "../../record/placement.ts";
import type { ReadPoint } from "../../replication/group_interface.ts";
import { BoundedBest } from "../../store/bounded_best.ts";
import { emptySpan } from "../../store/reply.ts";
import type { PartitionStore } from "../../store/store.ts";
import { demandId } from "../access_control.ts";
import type { CredentialRedaction } from "../credential_redaction.ts";
import type { ListSteps } from "../list_job.ts";
import { newPage } from "../list_page.ts";
import { checkedLimit, type ListPages, type ListSelection } from "../list_pages.ts";
import { leaseRemainingMs } from "../lease_times.ts";
import type { Partition, PartitionTable } from "../partitions.ts";
import {
  permitting,
  pointOf,
  type ReadAnswer,
  type ReadBarrier,
  type ReadPermits,
} from "../read_answer.ts";
import { ReadLimits } from "../read_limits.ts";
import type { ReplyWriter } from "../reply_writer.ts";
import { idOfName, notRegistered, placementAt, slotOfPlacement, slotOfRelay } from "./relay_key.ts";

/** Dependencies of {@link RelayReads}. */
export interface RelayReadsParts {
  readonly table: PartitionTable;
  readonly replies: ReplyWriter;
  readonly redaction: CredentialRedaction;
  readonly pages: ListPages;
  readonly wall: WallClock;
}

/** Serves the reads. One instance serves all streams of a node. */
export class RelayReads {
  readonly #parts: RelayReadsParts;
  readonly #limits = new ReadLimits();
  readonly #placementRequest = getPlacementRequestCodec.newView();
  readonly #relayRequest = getRelayRequestCodec.newView();
  readonly #span = emptySpan();

  constructor(parts: RelayReadsParts) {
    this.#parts = parts;
  }

  /** Answers GetRelay. */
  relay(
    request: RequestView,
    out: FrameWriter,
    peer: AuthenticatedPeer,
    permits?: ReadPermits,
  ): ReadAnswer {
    const { table, replies, redaction, wall } = this.#parts;
    const { relayId } = request.bodyInto(this.#relayRequest);
    demandId(peer, relayId);
    const id = idOfName(relayId, "relayId");
    const partition = table.held(KIND_RELAY, id);
    const { group, store } = partition;
    const point = pointOf(group, request.maxStalenessMs, permits);
    if (point === undefined) return permitting(group, request.maxStalenessMs);
    const slot = slotOfRelay(partition, id, relayId);
    replies.begin(request.id);
    replies.addReceipt(partition.id, point);
    if (slot === -1 || !this.#limits.permit(peer, KIND_RELAY, store.locate(slot, this.#span))) {
      return this.#refuse(out, "relay", relayId);
    }
    replies.success(out, getRelayReplyCodec, {
      relay: redaction.redact(peer, KIND_RELAY, this.#span),
      remainingMs: leaseRemainingMs(partition, slot),
      unixMs: Math.floor(wall.unixMs()),
    });
    return "ok";
  }

  /** Answers GetPlacement. */
  placement(
    request: RequestView,
    out: FrameWriter,
    peer: AuthenticatedPeer,
    permits?: ReadPermits,
  ): ReadAnswer {
    const { table, replies, redaction, wall } = this.#parts;
    const { agentId } = request.bodyInto(this.#placementRequest);
    demandId(peer, agentId);
    const id = idOfName(agentId, "agentId");
    const partition = table.held(KIND_PLACEMENT, id);
    const { group, store } = partition;
    const point = pointOf(group, request.maxStalenessMs, permits);
    if (point === undefined) return permitting(group, request.maxStalenessMs);
    const slot = slotOfPlacement(partition, id, agentId);
    const isShown = slot !== -1 &&
      this.#limits.permit(peer, KIND_PLACEMENT, store.locate(slot, this.#span));
    const relay = isShown ? this.#relayOf(partition, slot, request, permits) : undefined;
    if (relay !== undefined && "readBarrier" in relay) return relay;
    replies.begin(request.id);
    replies.addReceipt(partition.id, point);
    if (relay === undefined) return this.#refuse(out, "agent", agentId);
    if (relay.read !== undefined) {
      replies.addReceipt(relay.read.partition.id, relay.read.point);
    }
    replies.success(out, getPlacementReplyCodec, {
      placement: redaction.redact(peer, KIND_PLACEMENT, store.locate(slot, this.#span)),
      remainingMs: leaseRemainingMs(partition, slot),
      relayPart: relay.part,
      unixMs: Math.floor(wall.unixMs()),
    });
    return "ok";
  }

  /** Returns whether the relay of a placement lives on, or the group to wait for. */
  #relayOf(
    { store }: Partition,
    slot: number,
    { maxStalenessMs }: RequestView,
    permits: ReadPermits | undefined,
  ): RelayPart | ReadBarrier {
    const placement = placementAt(store, slot);
    const { relay: id, relayId } = placement;
    const incarnation = relayIncarnationOf(placement);
    const home = this.#parts.table.of(KIND_RELAY, id);
    if (!home.isHere) return ELSEWHERE;
    const point = pointOf(home.group, maxStalenessMs, permits);
    if (point === undefined) {
      return home.group.readElsewhere(maxStalenessMs) === undefined ? home.group : ELSEWHERE;
    }
    const found = slotOfRelay(home, id, relayId);
    const isLive = found !== -1 && samePosition(home.store.incarnationOf(found), incarnation);
    const part = isLive ? RESOLVED_PARTS.included : RESOLVED_PARTS.notFound;
    return { part, read: { partition: home, point } };
  }

  /** Starts ListRelays. @param request over bytes of its own. */
  listRelays(request: RequestView, writer: () => FrameWriter, peer: AuthenticatedPeer): ListSteps {
    const { cursor, limit } = request.bodyInto(listRelaysRequestCodec.newView());
    return this.#list(KIND_RELAY, { request, writer, peer }, {
      ...{ cursor, limit: checkedLimit(limit, LIST_ITEMS_MAX) },
      slotsOf: ({ store }, limit, afterId) =>
        firstSlots(store, KIND_RELAY, { limit, afterId, wants: () => true }),
    });
  }

  /** Starts ListPlacements. @param request over bytes of its own. */
  listPlacements(
    request: RequestView,
    writer: () => FrameWriter,
    peer: AuthenticatedPeer,
  ): ListSteps {
    const body = request.bodyInto(listPlacementsRequestCodec.newView());
    const { cursor, limit, relayId } = body;
    const relay = relayId === "" ? undefined : idOfName(relayId, "relayId");
    return this.#list(KIND_PLACEMENT, { request, writer, peer }, {
      ...{ cursor, limit: checkedLimit(limit, LIST_ITEMS_MAX) },
      slotsOf: ({ store }, limit, afterId) =>
        firstSlots(store, KIND_PLACEMENT, {
          ...{ limit, afterId },
          wants: (slot) => relay === undefined || placementAt(store, slot).relayEquals(relay),
        }),
    });
  }

  #list(
    kind: typeof KIND_RELAY | typeof KIND_PLACEMENT,
    { request, writer, peer }: {
      readonly request: RequestView;
      readonly writer: () => FrameWriter;
      readonly peer: AuthenticatedPeer;
    },
    selection: Omit<ListSelection, "answer">,
  ): ListSteps {
    const { pages, wall } = this.#parts;
    return pages.list(newPage(kind, peer), request, {
      ...selection,
      answer: (page) => {
        const { items, nextCursor } = page;
        const body = { items, nextCursor, unixMs: Math.floor(wall.unixMs()) };
        pages.answer(request, writer(), page, listNamedReplyCodec, body);
      },
    });
  }

  #refuse(out: FrameWriter, what: "relay" | "agent", name: string): "not_found" {
    this.#parts.replies.refusal(out, "not_found", notRegistered(what, name).message);
    return "not_found";
  }
}

/** Whether the relay of a placement lives on, and the part of the answer that says so. */
interface RelayPart {
  /** One of RESOLVED_PARTS. */
  readonly part: number;
  readonly read: { readonly partition: Partition; readonly point: ReadPoint } | undefined;
}

const ELSEWHERE: RelayPart = { part: RESOLVED_PARTS.elsewhere, read: undefined };

/** Returns at most `limit` slots of a kind that are wanted, with an id after `afterId`, by id. */
function firstSlots(
  store: PartitionStore,
  kind: RecordKind,
  { limit, afterId, wants }: {
    readonly limit: number;
    readonly afterId: Uint8Array;
    readonly wants: (slot: number) => boolean;
  },
): number[] {
  if (store.countOf(kind) === 0) return [];
  const best = new BoundedBest<{ readonly slot: number; readonly id: Uint8Array }>(
    limit,
    (left, right) => compareBytes(left.id, right.id),
  );
  store.forEachSlot(kind, (slot) => {
    if (!wants(slot)) return;
    const { id } = store.recordView(slot);
    if (compareBytes(id, afterId) > 0) best.add({ slot, id });
  });
  return best.sorted().map(({ slot }) => slot);
}
