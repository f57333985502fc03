/** The checker of rights: a record ends with the right to it, and does not return. */
import { parseUuid } from "../../../src/base/uuid.ts";
import { KIND_AGENT } from "../../../src/record/key.ts";
import { Finding } from "../history.ts";
import type { PlacedChecker } from "./checker.ts";
import { leaderOf } from "./claims.ts";
import type { PlacedCluster } from "./cluster.ts";
import type { LeasePromise } from "./kept_lease.ts";

/**
 * Once the record of an owner whose right has ended is gone, at rest, it never returns, and no renewal of it
 * is answered. That it goes, with its domain, is awaited by `runner.ts`.
 */
export class RecordRights implements PlacedChecker {
  readonly name = "record_rights";
  readonly #cluster: PlacedCluster;

  constructor(cluster: PlacedCluster) {
    this.#cluster = cluster;
  }

  promised({ key }: LeasePromise): void {
    const owner = this.#cluster.owners.all.find(({ id, isOver }) => isOver && id === key);
    if (owner === undefined) return;
    throw new Finding(
      this.name,
      `${owner.domain} is promised to live: ${owner.plan.end} ended its right`,
    );
  }

  looked(): void {
    for (const { domain, id, isOver, plan } of this.#cluster.owners.all) {
      if (!isOver || !isRegistered(this.#cluster, id)) continue;
      throw new Finding(this.name, `${domain} has a record again: ${plan.end} ended its right`);
    }
  }
}

/** Returns an owner that has a record without a right, or a right without a record. */
export function unsettledRight(cluster: PlacedCluster): string | undefined {
  for (const owner of cluster.owners.all) {
    const { domain, id, plan: { end } } = owner;
    const mayLive = end === "never";
    if (mayLive && !cluster.owners.keeps(owner)) return `${domain} has no record`;
    if (!mayLive && isRegistered(cluster, id)) return `${domain} has a record after ${end}`;
  }
  return undefined;
}

/** Whether the leader of an agent's partition has its record. */
function isRegistered(cluster: PlacedCluster, id: string): boolean {
  const key = parseUuid(id);
  const { store } = leaderOf(cluster, KIND_AGENT, key)?.home ?? {};
  return store !== undefined && store.find(KIND_AGENT, key, 0, key.length) !== -1;
}
