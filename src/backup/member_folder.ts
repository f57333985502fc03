/**
 * The data folder of a member whose cluster has lost its majority, read as a whole: the state of every group
 * that it holds, with all entries of its log, committed or not. A majority of one has decided them all.
 */
import { RegistryError } from "../base/errors.ts";
import {
  GOVERNED_GROUP,
  GOVERNED_PLACE,
  type GroupId,
  groupOfPartition,
  type LogIndex,
  type PartitionId,
  partitionId,
  SYSTEM_GROUP,
  type Term,
} from "../base/ids.ts";
import type { World } from "../base/world.ts";
import { type ClusterFile, type Membership, readClusterFile } from "../node/cluster_file.ts";
import { type LogStorages, openLogStorages } from "../node/data_folder.ts";
import { nodeOfReplica, nodesOf } from "../replication/assembly/placed_here.ts";
import {
  GovernanceMachine,
  type PartitionMachine,
  SystemMachine,
} from "../replication/machines.ts";
import { type RecoveredGroup, Recovery } from "../replication/recovery.ts";
import { openSharedLog } from "../storage/open_shared_log.ts";
import type { SharedLog } from "../storage/shared_log.ts";
import type { StoreShared } from "../store/shared.ts";
import type { SystemState } from "../system/system_state.ts";
import { type AnyMachine, newMachine, offlineShared } from "./backup_folder.ts";
import type { ImagedCluster } from "./rebuilt_cluster.ts";

/** A group as the folder has it. */
export interface FoundGroup {
  readonly group: GroupId;
  /** The nodes that vote in it, as far as the folder tells, in ascending order. */
  readonly voters: readonly number[];
  /** Index of its last entry here, and up to which it is known to be committed; undefined: nothing is here. */
  readonly last:
    | { readonly index: number; readonly term: number; readonly committed: number }
    | undefined;
}

/** Parts of a member's folder. */
export interface MemberFolderParts {
  /** Its `cluster.json`; undefined if there is none. */
  readonly file: ClusterFile | undefined;
  /** Opens its log, which is then locked. */
  readonly storages: () => LogStorages;
  readonly world: World;
}

/** The contents of a member's folder. Its log stays locked until {@link MemberFolder.close}. */
export class MemberFolder {
  readonly membership: Membership;
  readonly folderId: Uint8Array;
  readonly images: ImagedCluster;
  readonly groups: readonly FoundGroup[];
  /** The greatest generation that anything in the folder is of. */
  readonly generation: number;
  readonly #log: SharedLog;
  #closed: Promise<void> | undefined;

  private constructor(
    { folderId }: ClusterFile,
    membership: Membership,
    { log, images, groups }: ReadLog,
  ) {
    this.folderId = folderId;
    this.membership = membership;
    this.images = images;
    this.groups = groups;
    this.#log = log;
    const { generation } = images.system.store.state.versions;
    this.generation = Math.max(log.generation, generation, membership.generation);
  }

  /**
   * Reads the data folder of a member.
   *
   * @throws RegistryError `invalid_configuration` if it is not that of a member of a cluster; `locked` while
   * its node runs; `corrupt`, `storage_unavailable`.
   */
  static open(data: string, world: World): Promise<MemberFolder> {
    const file = readClusterFile(data);
    const storages = () => openLogStorages(data, false, world.scheduler);
    return MemberFolder.read(data, { file, storages, world });
  }

  /**
   * Reads the contents of a member's folder, wherever they are stored, as {@link MemberFolder.open} does.
   *
   * @param data names the folder in messages.
   */
  static async read(
    data: string,
    { file, storages, world }: MemberFolderParts,
  ): Promise<MemberFolder> {
    const membership = file?.membership;
    if (file === undefined || membership === undefined || membership.isNew) {
      throw unfit(data, "it must hold what a member of a cluster had: it holds no cluster's data");
    }
    if (membership.isRemoved === true) {
      throw unfit(
        data,
        `node ${membership.nodeId} was removed from its cluster: its data is outdated`,
      );
    }
    return new MemberFolder(file, membership, await readLog(data, storages(), world));
  }

  /** The state of group 0. */
  get state(): SystemState {
    return this.images.system.store.state;
  }

  /** Closes the log; resolves when the folder is free. Idempotent. */
  close(): Promise<void> {
    return this.#closed ??= new Promise((resolve) => this.#log.close(() => resolve()));
  }
}

interface ReadLog {
  readonly log: SharedLog;
  readonly images: ImagedCluster;
  readonly groups: readonly FoundGroup[];
}

async function readLog(
  data: string,
  storages: LogStorages,
  world: World,
): Promise<ReadLog> {
  const shared = offlineShared();
  const recovery = new Recovery<AnyMachine>((group) => newMachine(group, shared), NO_EVENTS);
  const log = await new Promise<SharedLog>((ready, failed) => {
    openSharedLog({
      ...storages,
      clock: world.monotonic,
      ...{ scheduler: world.scheduler, entropy: world.entropy },
      handlers: { ...recovery.handlers, ready, failed },
    });
  });
  try {
    recovery.finish(log.generation);
    return { log, ...collected(data, recovery, shared) };
  } catch (error) {
    await new Promise<void>((resolve) => log.close(() => resolve()));
    throw error;
  }
}

const NO_EVENTS = { cut: () => {}, poisoned: () => {}, writable: () => {}, synced: () => {} };

function collected(
  data: string,
  recovery: Recovery<AnyMachine>,
  shared: StoreShared,
): Pick<ReadLog, "images" | "groups"> {
  const found = new Map<GroupId, FoundGroup["last"]>();
  const take = (group: GroupId): RecoveredGroup<AnyMachine> | undefined => {
    const recovered = recovery.groups.get(group);
    if (recovered === undefined || !recovered.isInLog || recovery.retired.has(group)) {
      return undefined;
    }
    found.set(group, applyAll(recovered));
    return recovered;
  };
  const system = take(SYSTEM_GROUP)?.machine;
  if (!(system instanceof SystemMachine) || system.store.genesis === undefined) {
    throw unfit(data, "its node had nothing of group 0 yet, which says what the cluster is");
  }
  const { store: { genesis: { partitionCount }, state } } = system;
  const isPlaced = state.placement.of(GOVERNED_PLACE) !== undefined;
  const plane = take(GOVERNED_GROUP)?.machine ??
    (isPlaced ? newMachine(GOVERNED_GROUP, shared) : undefined);
  const partitions = Array.from({ length: partitionCount }, (_, number) => {
    const group = groupOfPartition(partitionId(number));
    const machine = take(group)?.machine ?? newMachine(group, shared);
    return machine as PartitionMachine;
  });
  const places: PartitionId[] = partitions.map((_, number) => partitionId(number));
  if (isPlaced) places.push(GOVERNED_PLACE);
  const groups = places.map((place): FoundGroup => {
    const group = groupOfPartition(place);
    return { group, voters: sorted(nodesOf(state, place)), last: found.get(group) };
  });
  const { voters = [] } = recovery.groups.get(SYSTEM_GROUP)?.log.configuration ?? {};
  const systemVoters = sorted(voters.map((replica) => nodeOfReplica(state, replica) ?? 0));
  return {
    images: { system, partitions, plane: plane instanceof GovernanceMachine ? plane : undefined },
    groups: [
      { group: SYSTEM_GROUP, voters: systemVoters, last: found.get(SYSTEM_GROUP) },
      ...groups,
    ],
  };
}

function sorted(nodes: readonly number[]): number[] {
  return [...nodes].sort((left, right) => left - right);
}

/** Applies the entries of a group that recovery left undecided. */
function applyAll(recovered: RecoveredGroup<AnyMachine>): NonNullable<FoundGroup["last"]> {
  const { machine, appliedIndex, appliedTerm, log: { entries } } = recovered;
  let [index, lastTerm]: [number, number] = [appliedIndex, appliedTerm];
  for (const { kind, data, ...at } of entries) {
    if (at.index <= appliedIndex) continue;
    [index, lastTerm] = [at.index, at.term];
    if (kind !== "normal" || data.length === 0) continue;
    machine.apply(at.index as LogIndex, at.term as Term, data, 0);
  }
  return { index, term: lastTerm, committed: appliedIndex };
}

function unfit(data: string, why: string): RegistryError {
  return new RegistryError(
    "invalid_configuration",
    `The data folder ${data} cannot be recovered from: ${why}`,
    { field: "data" },
  );
}
