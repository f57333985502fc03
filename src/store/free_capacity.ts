/**
 * The free capacity of gateways and the order of ResolveGateways: the highest smallest free
 * fraction first, ties by id (design §3).
 *
 * The free fraction is the smallest of (capacity - used) / capacity over the dimensions that the
 * gateway specifies. A gateway that specifies no capacity counts as 0, because nothing is known to
 * be free. A draining gateway is not offered. Mirrors of a region that is out of reach come last.
 */
import type { GatewayView } from "../../schemas/gen/record.ts";
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

/** A candidate gateway: its position and rank. */
export interface RankedGateway<Owner> {
  /** The partition that holds it. */
  readonly owner: Owner;
  readonly slot: number;
  readonly fraction: number;
  /** Id of the gateway, 16 bytes. */
  readonly id: Uint8Array;
  /** Whether it is the mirror of a suspended region. */
  readonly isSuspended: boolean;
}

function compareRanks<Owner>(left: RankedGateway<Owner>, right: RankedGateway<Owner>): number {
  return Number(left.isSuspended) - Number(right.isSuspended) ||
    right.fraction - left.fraction || compareIds(left.id, 0, right.id, 0);
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
 * A collector of the best gateways of many partitions. Its contents are valid until the next apply.
 */
export class GatewayRanking<Owner> {
  readonly #best: BoundedBest<RankedGateway<Owner>>;

  /** @param limit number of gateways wanted. */
  constructor(limit: number) {
    this.#best = new BoundedBest<RankedGateway<Owner>>(limit, compareRanks);
  }

  /** Offers the gateway on which the view is positioned. */
  offer(owner: Owner, slot: number, gateway: GatewayView, isSuspended = false): void {
    const fraction = freeFraction(gateway);
    const worst = this.#best.worst;
    if (worst?.isSuspended === isSuspended && fraction < worst.fraction) return;
    this.#best.add({ owner, slot, fraction, id: gateway.id, isSuspended });
  }

  /** Returns the best gateways, the freest first. */
  ranked(): RankedGateway<Owner>[] {
    return this.#best.sorted();
  }
}
