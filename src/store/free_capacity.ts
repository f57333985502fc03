/**
 * The free capacity of gateways, and the order in which the best of them are offered: by rank, the highest
 * first, ties by id. The rank of a gateway is its smallest free fraction (design §3), that of a gateway
 * of the Maps protocol follows from the free capacity that it tells (capacityRank).
 *
 * The free fraction is the smallest of (capacity - used) / capacity over the dimensions that the
 * gateway specifies. A gateway that specifies no capacity counts as 0, because nothing is known to
 * be free. A draining gateway is not offered. Stale gateways come behind all others, and mirrors of a region
 * that is out of reach behind those.
 */
import type { GatewayView, MapsGatewayView } from "../../schemas/gen/record.ts";
import { KIND_GATEWAY, KIND_MAPS_GATEWAY } from "../record/key.ts";
import type { OwnedView } from "../record/kind_row.ts";
import type { RecordKind } from "../record/kinds.ts";
import { isStaleState } from "../record/record_state.ts";
import { capacityRank } from "../record/maps/maps_gateway.ts";
import { BoundedBest } from "./bounded_best.ts";

/**
 * Returns a gateway's smallest free fraction: at most 1, below 0 when more is in use than it has.
 */
export function freeFraction(gateway: GatewayView): number {
  let smallest = Infinity;
  smallest = Math.min(smallest, free(gateway.capacityCpu, gateway.usedCpu));
  smallest = Math.min(smallest, free(gateway.capacityMemoryMiB, gateway.usedMemoryMiB));
  smallest = Math.min(smallest, free(gateway.capacityStorageMiB, gateway.usedStorageMiB));
  smallest = Math.min(smallest, free(gateway.capacityBandwidthMbps, gateway.usedBandwidthMbps));
  smallest = Math.min(smallest, free(gateway.capacityConnections, gateway.usedConnections));
  return smallest === Infinity ? 0 : smallest;
}

function free(capacity: number, used: number): number {
  return capacity > 0 ? (capacity - used) / capacity : Infinity;
}

/** Returns the rank of a gateway of a kind. */
function rankOf(kind: number, gateway: OwnedView): number {
  return kind === KIND_MAPS_GATEWAY
    ? capacityRank(gateway as MapsGatewayView)
    : freeFraction(gateway as GatewayView);
}

/** A candidate gateway: its position and rank. */
export interface RankedGateway<Owner> {
  /** The partition that holds it. */
  readonly owner: Owner;
  readonly slot: number;
  readonly rank: number;
  /** Id of the gateway, 16 bytes. */
  readonly id: Uint8Array;
  /** Its place before all others of a higher tier. */
  readonly tier: number;
}

function compareRanks<Owner>(left: RankedGateway<Owner>, right: RankedGateway<Owner>): number {
  return left.tier - right.tier || right.rank - left.rank || compareIds(left.id, 0, right.id, 0);
}

/** Returns the tier of a gateway: live, stale, or of a region that is out of reach. */
function tierOf({ state }: OwnedView, isSuspended: boolean): number {
  if (isSuspended) return 2;
  return isStaleState(state) ? 1 : 0;
}

/** Orders 16-byte ids as unsigned numbers. */
export function compareIds(
  left: Uint8Array,
  leftAt: number,
  right: Uint8Array,
  rightAt: number,
): number {
  for (let index = 0; index < 16; index++) {
    const difference = left[leftAt + index]! - right[rightAt + index]!;
    if (difference !== 0) return difference;
  }
  return 0;
}

/**
 * A collector of the best gateways of one kind, of many partitions. Its contents are valid until the next
 * apply.
 */
export class GatewayRanking<Owner> {
  /** The kind of gateway. */
  readonly kind: RecordKind;
  readonly #best: BoundedBest<RankedGateway<Owner>>;

  /**
   * @param limit number of gateways wanted.
   * @param kind default: the gateways of identities.
   */
  constructor(limit: number, kind: RecordKind = KIND_GATEWAY) {
    this.kind = kind;
    this.#best = new BoundedBest<RankedGateway<Owner>>(limit, compareRanks);
  }

  /** Offers the gateway on which the view is positioned. */
  offer(owner: Owner, slot: number, gateway: OwnedView, isSuspended = false): void {
    const rank = rankOf(this.kind, gateway);
    const tier = tierOf(gateway, isSuspended);
    const worst = this.#best.worst;
    if (worst?.tier === tier && rank < worst.rank) return;
    this.#best.add({ owner, slot, rank, id: gateway.id, tier });
  }

  /** Returns the best gateways, the freest first. */
  ranked(): RankedGateway<Owner>[] {
    return this.#best.sorted();
  }
}
