/** The checkers of watches and views over a whole cluster. */
import type { PlacedChecker } from "./checker.ts";
import type { PlacedCluster } from "./cluster.ts";

/** Views show everything that is older than they say. */
export class ViewAges implements PlacedChecker {
  readonly name = "view_age";
  readonly #cluster: PlacedCluster;

  constructor(cluster: PlacedCluster) {
    this.#cluster = cluster;
  }

  looked(): void {
    for (const { watches } of this.#cluster.load.clients) watches?.reader.checkView();
  }
}

/** Returns what some client has not been told; undefined if all have been told everything. */
export function untoldWatch({ load }: PlacedCluster): string | undefined {
  for (const { watches } of load.clients) {
    const unmet = watches?.reader.unmet;
    if (unmet !== undefined) return unmet;
  }
  return undefined;
}
