/**
 * The checker of backups: while a cluster runs, images of its groups are taken one after the other, at moments
 * of their own, as `crs backup` does; from time to time they are complete, and a cluster is rebuilt from them.
 * It must have everything that was committed before the first image, one agent for each domain and the domain
 * for each agent, no lease shorter than a full ttl, and the next generation. It only reads: no seed takes
 * another course by it.
 */
import { type AnyMachine, newMachine, offlineShared } from "../../../src/backup/backup_folder.ts";
import { rebuildCluster } from "../../../src/backup/rebuilt_cluster.ts";
import { concatBytes } from "../../../src/base/bytes.ts";
import {
  firstTermOf,
  type GroupId,
  groupOfPartition,
  partitionId,
  SYSTEM_GROUP,
} from "../../../src/base/ids.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { formatUuid } from "../../../src/base/uuid.ts";
import { encodePut } from "../../../src/record/command.ts";
import { keyOfDomain, KIND_AGENT, KIND_ALIAS } from "../../../src/record/key.ts";
import { RECORD_KINDS } from "../../../src/record/kinds.ts";
import { NO_POSITION, samePosition } from "../../../src/base/position.ts";
import {
  type PartitionMachine,
  recordCountOf,
  SystemMachine,
} from "../../../src/replication/machines.ts";
import { Partitioner } from "../../../src/ring/partition.ts";
import type { PartitionStore } from "../../../src/store/store.ts";
import { agentBytes } from "../../support/store.ts";
import { Finding } from "../history.ts";
import type { PlacedChecker } from "./checker.ts";
import type { PlacedCluster } from "./cluster.ts";

/** The share of the looks, one every 50 ms, at which the next image is tried. */
const TRIED = 0.4;
/** The pause between two backups, in looks. */
const PAUSE_LOOKS = 20;
const FOLDER_ID = new Uint8Array(16).fill(0xbb);

/** An image, and what it must contain at least. */
interface Taken {
  readonly bytes: Uint8Array;
  readonly index: number;
  readonly records: number;
}

/** Takes backups of a run, and rebuilds clusters from them. */
export class RestoredBackups implements PlacedChecker {
  readonly name = "restored";
  readonly #cluster: PlacedCluster;
  readonly #entropy: SeededEntropy;
  #images = new Map<GroupId, Taken>();
  /** By group: the index up to which it was committed when the backup began. */
  #committed = new Map<GroupId, number>();
  #pause = 0;

  constructor(cluster: PlacedCluster) {
    this.#cluster = cluster;
    this.#entropy = new SeededEntropy(cluster.plan.seed ^ 0xbac);
  }

  looked(): void {
    if (this.#pause > 0) return void this.#pause--;
    if (this.#entropy.unit() > TRIED) return;
    if (this.#images.size === 0) this.#begin();
    const next = this.#groups.find((group) => !this.#images.has(group));
    if (next !== undefined) return this.#take(next);
    this.#restore();
    this.#images = new Map();
    this.#pause = PAUSE_LOOKS;
  }

  /** The groups in the order of a backup: partitions, then group 0. */
  get #groups(): GroupId[] {
    const { partitionCount } = this.#cluster.plan;
    const partitions = Array.from(
      { length: partitionCount },
      (_, number) => groupOfPartition(partitionId(number)),
    );
    return [...partitions, SYSTEM_GROUP];
  }

  #begin(): void {
    this.#committed = new Map(this.#groups.map((group) => {
      const indexes = this.#cluster.machines.map(({ groups }) =>
        groups?.nodes.hosted(group)?.raft.commitIndex ?? 0
      );
      return [group, Math.max(...indexes)];
    }));
  }

  /** Takes an image where a linearizable read is permitted now; tries again later if that is nowhere. */
  #take(group: GroupId): void {
    for (const { groups, isServing } of this.#cluster.machines) {
      const hosted = isServing ? groups?.nodes.hosted(group) : undefined;
      if (hosted === undefined || hosted.raft.readPoint(0) === undefined) continue;
      const { machine, raft } = hosted;
      if (machine instanceof SystemMachine && machine.store.genesis === undefined) return;
      const bytes = concatBytes(Array.from(machine.writeImage(), (chunk) => chunk.slice()));
      const index = raft.status().appliedIndex;
      const committed = this.#committed.get(group) ?? 0;
      if (index < committed) {
        throw this.#finding(
          `Group ${group} was committed up to ${committed}: its image ends at ${index}`,
        );
      }
      this.#images.set(group, { bytes, index, records: recordCountOf(machine) });
      return;
    }
  }

  #restore(): void {
    const shared = offlineShared();
    const load = (group: GroupId): AnyMachine => {
      const machine = newMachine(group, shared);
      const image = this.#images.get(group)!;
      const loader = machine.imageLoader();
      loader.push(image.bytes);
      loader.finish();
      if (recordCountOf(machine) !== image.records) {
        throw this.#finding(`Group ${group} has another number of records in its image`);
      }
      return machine;
    };
    const [system, ...partitions] = [SYSTEM_GROUP, ...this.#groups.slice(0, -1)].map(load);
    const { store } = system as SystemMachine;
    const generation = store.state.versions.generation + 1;
    const stores = partitions.map((machine) => (machine as PartitionMachine).store);
    rebuildCluster(
      {
        system: system as SystemMachine,
        partitions: partitions as PartitionMachine[],
        plane: undefined,
      },
      { generation, node: { folderId: FOLDER_ID }, unixS: 1, reason: "restored" },
    );
    this.#checkClaims(stores, new Partitioner(store.genesis!.hashKey, stores.length));
    for (const one of stores) this.#checkLeases(one);
    this.#checkGeneration(stores, generation);
    for (const one of stores) one.release();
  }

  /** Every domain has one agent, and every agent its domain. */
  #checkClaims(stores: readonly PartitionStore[], partitioner: Partitioner): void {
    let held = 0;
    for (const store of stores) {
      store.forEachSlot(KIND_AGENT, (slot) => {
        const { id, domain, claim } = store.agentView(slot).toPlain();
        if (domain === "") return;
        held++;
        const key = keyOfDomain(domain);
        const home = stores[partitioner.partitionOfKey(key)]!;
        const at = home.find(KIND_ALIAS, key, 1, key.length);
        const alias = at === -1 ? undefined : home.aliasView(at).toPlain();
        const isOwn = alias !== undefined && samePosition(alias.claim, claim) &&
          formatUuid(alias.agentId) === formatUuid(id);
        if (!isOwn) throw this.#finding(`${domain} is not that of agent ${formatUuid(id)}`);
      });
    }
    const aliases = stores.reduce((sum, { aliasCount }) => sum + aliasCount, 0);
    if (aliases !== held) throw this.#finding(`${aliases} domains are held by ${held} agents`);
  }

  #checkLeases(store: PartitionStore): void {
    for (const { number: kind, hasLease } of RECORD_KINDS.rows) {
      if (!hasLease) continue;
      store.forEachSlot(kind, (slot) => {
        const { leaseExpiryMs, ttlMs } = store.recordView(slot);
        if (leaseExpiryMs - store.timeMs >= ttlMs) return;
        throw this.#finding(`A record of kind ${kind} has less than its ttl of ${ttlMs} ms`);
      });
    }
  }

  /** A new record is of a later incarnation than everything that the cluster has assigned. */
  #checkGeneration(stores: readonly PartitionStore[], generation: number): void {
    const store = stores[this.#entropy.uint32() % stores.length]!;
    const record = agentBytes({ number: 1 << 20 });
    const from = { timeMs: store.timeMs, unixS: 1, writer: 0 };
    const { code, incarnation } = store.apply({
      index: store.appliedIndex + 1,
      term: firstTermOf(generation),
      data: encodePut(from, { record, kind: KIND_AGENT, expected: NO_POSITION }),
    });
    const highest = Math.max(
      ...this.#cluster.machines.map(({ groups }) => groups?.nodes.log.generation ?? 0),
    );
    if (code === "ok" && incarnation.generation > highest) return;
    throw this.#finding(
      `An incarnation of ${incarnation.generation} follows generation ${highest}`,
    );
  }

  #finding(message: string): Finding {
    return new Finding(this.name, message);
  }
}
