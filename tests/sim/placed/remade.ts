/**
 * Data folders of simulated machines that are made anew, as `crs start --unsafe-recover` makes that of a
 * member whose cluster has lost its majority, and `crs restore` that of an empty one: by production's code,
 * on simulated disks.
 */
import { newMachine, offlineShared } from "../../../src/backup/backup_folder.ts";
import { type FoundGroup, MemberFolder } from "../../../src/backup/member_folder.ts";
import {
  type ImagedCluster,
  rebuildCluster,
  type RebuiltCluster,
} from "../../../src/backup/rebuilt_cluster.ts";
import { writeRebuiltLog } from "../../../src/backup/rebuilt_log.ts";
import { planRecovery, type RecoveryPlan } from "../../../src/backup/unsafe_recovery.ts";
import { concatBytes } from "../../../src/base/bytes.ts";
import {
  GOVERNED_GROUP,
  GOVERNED_PLACE,
  type GroupId,
  groupOfPartition,
  partitionId,
  SYSTEM_GROUP,
} from "../../../src/base/ids.ts";
import {
  GovernanceMachine,
  type PartitionMachine,
  SystemMachine,
} from "../../../src/replication/machines.ts";
import type { Process } from "../machine.ts";
import type { PlacedMachine, Remake } from "./machine.ts";

/** Name of every simulated data folder in messages. */
const FOLDER = "of the simulation";

/** A cluster as it was made anew. */
export interface RemadeCluster extends Pick<RebuiltCluster, "claims"> {
  readonly images: ImagedCluster;
  readonly clusterId: Uint8Array;
  readonly generation: number;
  /** The groups as the folder had them; empty for a cluster that was restored. */
  readonly found: readonly FoundGroup[];
  /** The plan that an operator is told before a recovery; undefined for a restore, and for a cluster of one. */
  readonly plan: RecoveryPlan | undefined;
}

/** Images of all groups of a cluster, of one moment or of several. */
export type GroupImages = ReadonlyMap<GroupId, Uint8Array>;

/** Recovers a member's folder alone, in the next generation. @param made called before it starts. */
export function recoveredAlone(
  machine: PlacedMachine,
  made: (cluster: RemadeCluster) => void,
): Remake {
  return async (process, into) => {
    const { disk, markDisk, file } = machine;
    const folder = await MemberFolder.read(FOLDER, {
      file,
      storages: () => ({ storage: disk.open(process), markStorage: markDisk.open(process) }),
      world: process,
    });
    const { folderId, images, groups: found, membership: { nodeId } } = folder;
    // A cluster of one has no majority to lose, and is not recovered otherwise.
    const plan = folder.state.members.count > 1 ? planRecovery(folder) : undefined;
    const generation = plan?.generation ?? folder.generation + 1;
    const { groups, membership, claims } = rebuildCluster(images, {
      ...{ generation, node: { nodeId, folderId } },
      ...{ unixS: unixS(process), reason: "a node was recovered alone" },
    });
    await writeRebuiltLog(groups, { ...into, generation, world: process });
    await folder.close();
    made({ images, clusterId: membership.clusterId, generation, found, plan, claims });
    return { folderId, membership };
  };
}

/** Restores a cluster from images. @param made called before it starts. */
export function restoredFrom(
  images: GroupImages,
  { generation, made }: {
    readonly generation: number;
    readonly made: (cluster: RemadeCluster) => void;
  },
): Remake {
  return async (process, into) => {
    const cluster = loadedImages(images);
    const folderId = new Uint8Array(16);
    process.entropy.fill(folderId);
    const { groups, membership, claims } = rebuildCluster(cluster, {
      ...{ generation, node: { folderId } },
      ...{ unixS: unixS(process), reason: "the cluster was restored from a backup" },
    });
    await writeRebuiltLog(groups, { ...into, generation, world: process });
    const { clusterId } = membership;
    made({ images: cluster, clusterId, generation, found: [], plan: undefined, claims });
    return { folderId, membership };
  };
}

/**
 * Takes images of all groups, each where a linearizable read is permitted now; undefined if that is nowhere.
 */
export function takeImages(
  machines: readonly PlacedMachine[],
  partitionCount: number,
): GroupImages | undefined {
  const images = new Map<GroupId, Uint8Array>();
  const groups = [...partitionGroups(partitionCount), SYSTEM_GROUP];
  for (let group = groups.shift(); group !== undefined; group = groups.shift()) {
    const hosted = machines.filter(({ isServing }) => isServing)
      .map((machine) => machine.groups?.nodes.hosted(group!))
      .find((one) => one?.raft.readPoint(0) !== undefined);
    if (hosted === undefined) return undefined;
    const { machine } = hosted;
    if (machine instanceof SystemMachine) {
      if (machine.store.genesis === undefined) return undefined;
      if (machine.store.state.placement.of(GOVERNED_PLACE) !== undefined) {
        groups.push(GOVERNED_GROUP);
      }
    }
    images.set(group, concatBytes(Array.from(machine.writeImage(), (chunk) => chunk.slice())));
  }
  return images;
}

/** Returns the groups of all partitions, by their numbers. */
export function partitionGroups(partitionCount: number): GroupId[] {
  return Array.from(
    { length: partitionCount },
    (_, number) => groupOfPartition(partitionId(number)),
  );
}

function loadedImages(images: GroupImages): ImagedCluster {
  const shared = offlineShared();
  const partitions: PartitionMachine[] = [];
  const load = (group: GroupId) => {
    const machine = newMachine(group, shared);
    const loader = machine.imageLoader();
    loader.push(images.get(group)!);
    loader.finish();
    return machine;
  };
  let system: SystemMachine | undefined;
  let plane: GovernanceMachine | undefined;
  // Partitions come first, by their numbers.
  for (const group of images.keys()) {
    const machine = load(group);
    if (machine instanceof SystemMachine) system = machine;
    else if (machine instanceof GovernanceMachine) plane = machine;
    else partitions.push(machine);
  }
  return { system: system!, partitions, plane };
}

function unixS(process: Process): number {
  return Math.floor(process.unixMs() / 1_000);
}
