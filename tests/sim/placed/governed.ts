/**
 * The checker of the governed plane: all nodes have one history, acknowledged entries stay, and nothing
 * is applied without its quorum.
 */
import type { ClusterGroups } from "../../../src/replication/assembly/cluster_groups.ts";
import { Finding } from "../history.ts";
import { hashBytes } from "../trace.ts";
import type { PlacedChecker } from "./checker.ts";
import type { PlacedCluster } from "./cluster.ts";
import { THRESHOLD } from "./governors.ts";

/** The governed plane has one history, nothing acknowledged is lost, and every entry has its quorum. */
class OnePlane implements PlacedChecker {
  readonly name = "one_plane";
  readonly #cluster: PlacedCluster;
  /** By applied index: the hash of the state. */
  readonly #states = new Map<number, number>();
  /** By version: the entry. */
  readonly #entries = new Map<number, Uint8Array>();
  readonly #compared = new WeakMap<object, number>();

  constructor(cluster: PlacedCluster) {
    this.#cluster = cluster;
  }

  looked(): void {
    for (const { address, groups } of this.#cluster.machines) {
      const store = groups?.plane?.store;
      if (store === undefined || this.#compared.get(store.state) === store.appliedIndex) continue;
      this.#compared.set(store.state, store.appliedIndex);
      this.#sameState(address, groups!);
      for (const { entry, leaf } of store.plane?.log.entries ?? []) {
        const known = this.#entries.get(entry.version);
        if (known === undefined) {
          this.#entries.set(entry.version, leaf);
          const signers = new Set(entry.approvals.map(({ signerId }) => signerId));
          if (signers.size < THRESHOLD) {
            throw this.#finding(`Entry ${entry.version} is signed by ${[...signers]} alone`);
          }
        } else if (hashBytes(known, 0) !== hashBytes(leaf, 0)) {
          throw this.#finding(`Entry ${entry.version} on machine ${address} is another one`);
        }
      }
    }
  }

  ended(): void {
    const { governors, machines } = this.#cluster;
    for (const { address, groups } of machines) {
      const log = groups?.plane?.store.plane?.log;
      if (groups?.plane === undefined) continue;
      for (const { version, proposal } of governors.acknowledged) {
        if (log?.at(version)?.entry.proposal === proposal) continue;
        throw this.#finding(`Version ${version}, acknowledged, is not on machine ${address}`);
      }
    }
  }

  #sameState(address: number, { plane }: ClusterGroups): void {
    const { store } = plane!;
    let hash = 0;
    for (const chunk of store.writeImage()) hash = hashBytes(chunk, hash);
    const before = this.#states.get(store.appliedIndex);
    if (before === undefined) this.#states.set(store.appliedIndex, hash);
    else if (before !== hash) {
      throw this.#finding(`At ${store.appliedIndex}, machine ${address} has another state`);
    }
  }

  #finding(message: string): Finding {
    return new Finding(this.name, message);
  }
}

/** Makers of the checkers of the governed plane. */
export const GOVERNED_CHECKERS: readonly ((cluster: PlacedCluster) => PlacedChecker)[] = [
  (cluster) => new OnePlane(cluster),
];
