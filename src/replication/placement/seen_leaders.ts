/**
 * The leaders of all partitions and the nodes that may lead them, as one node sees them. They are kept from
 * look to look, because a node holds thousands of partitions, of which few change in a second.
 */
import { partitionId } from "../../base/ids.ts";
import type { Configuration } from "../../raft/mod.ts";
import type { SystemState } from "../../system/system_state.ts";
import type { ClusterGroups } from "../assembly/cluster_groups.ts";
import { nodeOfReplica } from "../assembly/placed_here.ts";

/** The dependencies of what is seen. */
export interface SeenLeadersOptions {
  readonly groups: ClusterGroups;
  /** Reports whether a node is fit to lead now. */
  readonly mayLead: (node: number) => boolean;
}

/** The leaders that a node sees. */
export class SeenLeaders {
  /** The fit nodes among each partition's voters; none if the partition is not on this node. */
  readonly placements: (readonly number[])[] = [];
  /** The node that leads each partition; 0 if it is not known here. */
  readonly leaders: number[] = [];
  readonly #options: SeenLeadersOptions;
  /** The configurations from which the placements come. */
  readonly #configurations: (Configuration | undefined)[] = [];
  /** Whether each node that was asked about is fit. */
  readonly #fitness = new Map<number, boolean>();
  /** The state of group 0 that was seen last. */
  #state: SystemState | undefined;
  #appliedIndex = 0;

  constructor(options: SeenLeadersOptions) {
    this.#options = options;
  }

  /** Looks again; returns whether anything differs from the last look, group 0's state included. */
  look(): boolean {
    const { groups } = this.#options;
    let hasChanged = this.#isOutdated();
    if (hasChanged) this.#reset();
    for (let number = 0; number < this.placements.length; number++) {
      const group = groups.partition(partitionId(number))?.group;
      const configuration = group?.configuration;
      if (configuration !== this.#configurations[number]) {
        this.#configurations[number] = configuration;
        this.placements[number] = this.#fitVoters(configuration);
        hasChanged = true;
      }
      const leader = group?.status().leader ?? 0;
      if (leader === this.leaders[number]) continue;
      this.leaders[number] = leader;
      hasChanged = true;
    }
    return hasChanged;
  }

  /** Reports whether a node is fit to lead; each is asked once a look. */
  mayLead(node: number): boolean {
    let isFit = this.#fitness.get(node);
    if (isFit === undefined) this.#fitness.set(node, isFit = this.#options.mayLead(node));
    return isFit;
  }

  /** Reports whether the state of group 0 or the fitness of a node differs from the last look. */
  #isOutdated(): boolean {
    const { groups: { system: { store } }, mayLead } = this.#options;
    return store.state !== this.#state || store.appliedIndex !== this.#appliedIndex ||
      [...this.#fitness].some(([node, isFit]) => mayLead(node) !== isFit);
  }

  #reset(): void {
    const { state, appliedIndex, genesis } = this.#options.groups.system.store;
    this.#state = state;
    this.#appliedIndex = appliedIndex;
    this.#fitness.clear();
    this.#configurations.length = 0;
    this.placements.length = this.leaders.length = genesis?.partitionCount ?? 0;
    this.placements.fill([]);
    this.leaders.fill(0);
  }

  #fitVoters(configuration: Configuration | undefined): number[] {
    if (configuration === undefined) return [];
    return votersOf(this.#options.groups.system.store.state, configuration)
      .filter((node) => this.mayLead(node));
  }
}

/** Returns the nodes of a configuration's voters. */
export function votersOf(state: SystemState, { voters }: Configuration): number[] {
  return voters.map((replica) => nodeOfReplica(state, replica))
    .filter((node) => node !== undefined);
}
