/** The groups of a small cluster in memory, as sources of a backup. */
import { type GroupId, groupOfPartition, partitionId, SYSTEM_GROUP } from "../../src/base/ids.ts";
import { concatBytes } from "../../src/base/bytes.ts";
import type { ImageSource } from "../../src/backup/take_backup.ts";
import { keyOfDomain, keyOfId, KIND_AGENT } from "../../src/record/key.ts";
import { encodeAssignReplicas } from "../../src/system/replicas/replica_state.ts";
import { Partitioner } from "../../src/ring/partition.ts";
import { RECORD_KINDS, type RecordKind } from "../../src/record/kinds.ts";
import type { PartitionStore } from "../../src/store/store.ts";
import { idOf, newShared, StoreHarness } from "./store.ts";
import { HEADER, SystemHarness } from "./system_harness.ts";

const HASH_KEY = new Uint8Array(16).fill(2);

/** Partitions that agree on the domains of agents, or do not. */
export class BackedUpPartitions {
  readonly harnesses: readonly StoreHarness[];
  readonly hashKey = HASH_KEY;
  readonly #partitioner: Partitioner;

  constructor(count = 4) {
    const shared = newShared();
    this.harnesses = Array.from(
      { length: count },
      (_, partition) => new StoreHarness({ shared, partition }),
    );
    this.#partitioner = new Partitioner(HASH_KEY, count);
  }

  get stores(): PartitionStore[] {
    return this.harnesses.map(({ store }) => store);
  }

  /** The partition of an agent. */
  ofAgent(number: number): StoreHarness {
    const key = keyOfId(KIND_AGENT, idOf(number));
    return this.harnesses[this.#partitioner.partitionOfKey(key)]!;
  }

  /** The partition of a domain. */
  ofDomain(domain: string): StoreHarness {
    return this.harnesses[this.#partitioner.partitionOfKey(keyOfDomain(domain))]!;
  }

  /** Registers an agent with a domain, in the three steps. */
  register(number: number, domain: string) {
    const { claim } = this.ofDomain(domain).claim(domain, number);
    this.ofAgent(number).putAgent({ number, domain, claim });
    this.ofDomain(domain).confirm(domain, number, claim);
    return claim;
  }

  /** Returns the agent by which a domain resolves; 0 if by none. */
  resolves(domain: string, numbers: readonly number[]): number {
    const alias = this.ofDomain(domain).alias(domain);
    if (alias === undefined) return 0;
    const holder = numbers.find((number) => String(idOf(number)) === String(alias.agentId));
    const agent = holder === undefined ? undefined : this.ofAgent(holder).agent(holder);
    const isHeld = agent?.domain === domain && agent.claim.index === alias.claim.index &&
      agent.claim.generation === alias.claim.generation;
    return isHeld ? holder! : 0;
  }
}

/** A cluster of two nodes, of which the second one has replicas of all groups. */
export class BackedUpCluster {
  readonly system = new SystemHarness({ partitionCount: 4 });
  readonly partitions = new BackedUpPartitions(4);
  readonly clusterId = "01010101-0101-0101-0101-010101010101";

  constructor() {
    this.system.put(1);
    this.system.admit(7);
    this.system.apply(encodeAssignReplicas(HEADER, [{ groupId: SYSTEM_GROUP, nodeId: 2 }]));
    for (let number = 1; number <= 12; number++) {
      this.partitions.register(number, `a${number}.example`);
    }
  }

  get described() {
    return { clusterId: this.clusterId, generation: 2, partitionCount: 4, region: "eu" };
  }

  /** Returns a node that gives images in parts of at most `partBytes`. */
  source(nodeId: number, partBytes = 100): ImageSource {
    const images = new Map<number, Uint8Array>();
    return {
      nodeId,
      read: ({ groupId, imageId, offset }) => {
        const id = imageId || images.size + 1;
        const store = this.#store(groupId as GroupId);
        if (imageId === 0) {
          images.set(
            id,
            concatBytes([...store.writeImage()].map((c) => c.slice())),
          );
        }
        const bytes = images.get(id)!;
        const about = { imageId: id, nodeId, isLeader: nodeId === 1, index: store.appliedIndex };
        return Promise.resolve({
          ...about,
          ...{ term: 5, totalBytes: bytes.length, records: this.#records(groupId as GroupId) },
          part: bytes.slice(offset, offset + partBytes),
        });
      },
    };
  }

  #store(group: GroupId) {
    if (group === SYSTEM_GROUP) return this.system.store;
    return this.partitions.stores.find((_, number) =>
      groupOfPartition(partitionId(number)) === group
    )!;
  }

  #records(group: GroupId): number {
    if (group === SYSTEM_GROUP) return this.system.store.members.length;
    const store = this.#store(group) as PartitionStore;
    return RECORD_KINDS.rows.reduce(
      (sum, { number }) => sum + store.countOf(number as RecordKind),
      store.aliasCount,
    );
  }
}
