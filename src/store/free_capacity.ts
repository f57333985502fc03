/**
 * How much of a gateway is free, and the order of ResolveGateways: the highest smallest free fraction
 * first, ties by id (design §3).
 *
 * The free fraction is the smallest of (capacity - used) / capacity over what the gateway says it has.
 * A gateway that says nothing of its capacity counts as 0: of it nothing is known to be free. A
 * draining gateway is not offered at all.
 */
import type { GatewayView } from "../../schemas/gen/record.ts";
import { BoundedBest } from "./bounded_best.ts";

/** A gateway's smallest free fraction: at most 1; below 0 where more is in use than it has. */
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

/** A gateway that was offered: where it stands, and its rank. */
export interface RankedGateway<Owner> {
  /** The partition that holds it. */
  readonly owner: Owner;
  readonly slot: number;
  readonly fraction: number;
  /** Its id, 16 bytes. */
  readonly id: Uint8Array;
}

function compareRanks<Owner>(left: RankedGateway<Owner>, right: RankedGateway<Owner>): number {
  return right.fraction - left.fraction || compareIds(left.id, 0, right.id, 0);
}

/** Orders ids of 16 bytes as unsigned numbers. */
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

/** Collects the best gateways of many partitions. What it holds is valid until the next apply. */
export class GatewayRanking<Owner> {
  readonly #best: BoundedBest<RankedGateway<Owner>>;

  /** @param limit how many gateways are wanted. */
  constructor(limit: number) {
    this.#best = new BoundedBest<RankedGateway<Owner>>(limit, compareRanks);
  }

  /** Offers a gateway, on which the view stands. */
  offer(owner: Owner, slot: number, gateway: GatewayView): void {
    const fraction = freeFraction(gateway);
    const worst = this.#best.worst;
    if (worst !== undefined && fraction < worst.fraction) return;
    this.#best.add({ owner, slot, fraction, id: gateway.id });
  }

  /** The best, the most free first. */
  ranked(): RankedGateway<Owner>[] {
    return this.#best.sorted();
  }
}
