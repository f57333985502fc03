/**
 * Continues a cluster that has lost its majority from the data folder of one member: this node's replicas
 * become the only voters of their groups, under a higher generation. What only others had is lost, so an
 * operator must say that they are given up.
 *
 * The new log is written beside the former one, which stays in the folder under another name. The folder's
 * log is gone while the two change places, so that a start in between is refused; the next recovery
 * finishes that.
 */
import fs from "node:fs";
import { syncFolder } from "../../identity/files/private_file.ts";
import { RegistryError } from "../base/errors.ts";
import { GENERATION_MAX, SYSTEM_GROUP } from "../base/ids.ts";
import { PEER_DIAL_MS } from "../base/limits.ts";
import { formatUuid } from "../base/uuid.ts";
import type { World } from "../base/world.ts";
import type { Dialer } from "../../transport/transport.ts";
import { type Membership, writeClusterFile } from "../node/cluster_file.ts";
import { peerMembers } from "../node/cluster_peers.ts";
import { logFolderOf, markFolderOf, recoveredPathOf } from "../node/data_folder.ts";
import { openFileStorage } from "../storage/file_storage.ts";
import type { FoundGroup, MemberFolder } from "./member_folder.ts";
import { rebuildCluster, type RebuiltCluster } from "./rebuilt_cluster.ts";
import { writeRebuiltLog } from "./rebuilt_log.ts";

/** Effects that a recovery would have. */
export interface RecoveryPlan {
  readonly nodeId: number;
  readonly clusterId: string;
  readonly generation: number;
  /** The other members, which are given up. */
  readonly others: readonly number[];
  /** The groups that have lost their majority, and what this node has of them. */
  readonly lost: readonly FoundGroup[];
  /** The sentence by which an operator agrees. */
  readonly sentence: string;
}

/** Returns what a recovery of the folder would do. */
export function planRecovery(folder: MemberFolder): RecoveryPlan {
  const { membership: { nodeId, clusterId }, state, groups } = folder;
  const others = state.members.all.map((member) => member.nodeId).filter((id) => id !== nodeId);
  if (others.length === 0) {
    throw new RegistryError(
      "invalid_configuration",
      `Node ${nodeId} must be one of several members, whose majority is lost: it is the only one. Start ` +
        "it without --unsafe-recover",
      { field: "data" },
    );
  }
  const generation = folder.generation + 1;
  if (generation > GENERATION_MAX) {
    throw new RegistryError("too_large", `Generation must be at most ${GENERATION_MAX}`);
  }
  const cluster = formatUuid(clusterId);
  const names = others.length === 1 ? `node ${others[0]}` : `nodes ${others.join(", ")}`;
  return {
    ...{ nodeId, clusterId: cluster, generation, others },
    lost: groups.filter(({ voters }) =>
      voters.filter((node) => node !== nodeId).length * 2 >= voters.length
    ),
    sentence:
      `I give up ${names} for good: node ${nodeId} continues cluster ${cluster} alone, as ` +
      `generation ${generation}`,
  };
}

/**
 * Checks that no majority can be reached: neither of the voters of group 0, which would repair the cluster, nor
 * of the members, which may still serve partitions.
 *
 * @param dialer of the ports for other nodes.
 * @throws RegistryError `invalid_argument` if this node and those that answer are a majority.
 */
export async function checkMajorityLost(
  { membership, state, groups }: Pick<MemberFolder, "membership" | "state" | "groups">,
  dialer: Dialer,
): Promise<void> {
  const answering = new Set([membership.nodeId]);
  await Promise.all(
    peerMembers(knownMembers(membership, state)).map(async (member) => {
      if (member.nodeId !== membership.nodeId && await answers(member, dialer)) {
        answering.add(member.nodeId);
      }
    }),
  );
  const isMajority = (nodes: readonly number[]) =>
    nodes.filter((node) => answering.has(node)).length * 2 > nodes.length;
  const members = state.members.all.map(({ nodeId }) => nodeId);
  const voters = groups.find(({ group }) => group === SYSTEM_GROUP)?.voters ?? [];
  if (!isMajority(members) && !isMajority(voters)) return;
  const others = [...answering].filter((node) => node !== membership.nodeId).sort((a, b) => a - b);
  throw new RegistryError(
    "invalid_argument",
    `The majority of the cluster must be lost: node ${others.join(", node ")} ` +
      `${
        others.length === 1 ? "answers" : "answer"
      }, which with this node is a majority. Start this node ` +
      "without --unsafe-recover, and take out lost nodes with crs cluster remove; if the others cannot " +
      "go on, stop them first",
    { field: "unsafe-recover" },
  );
}

/** Returns the members as group 0 here and the folder know them. */
function knownMembers(membership: Membership, state: MemberFolder["state"]): Membership {
  const members = state.members.all.map(({ nodeId, addresses, pin, nextPin }) => {
    const folderId = state.members.admission(nodeId)?.folderId ?? new Uint8Array(16);
    return { nodeId, folderId, addresses: [...addresses], pin, nextPin };
  });
  const known = new Set(members.map(({ nodeId }) => nodeId));
  const others = membership.members.filter(({ nodeId }) => !known.has(nodeId));
  return { ...membership, members: [...members, ...others] };
}

/** Reports whether anything answers at one of a node's addresses: it counts, whatever it presents. */
async function answers(
  { addresses, trusts }: ReturnType<typeof peerMembers>[number],
  dialer: Dialer,
): Promise<boolean> {
  const [trust] = trusts;
  if (trust === undefined) return false;
  const found = await Promise.all(addresses.map(async (address) => {
    try {
      const session = await dialer.dial(address, { trust, timeoutMs: PEER_DIAL_MS });
      session.abort("Only asked whether the node answers");
      return true;
    } catch (error) {
      return error instanceof RegistryError && error.code === "tls_failed";
    }
  }));
  return found.includes(true);
}

/**
 * Makes this node's replicas the only voters, as `plan` says. The folder is closed then.
 *
 * @returns where the former log is kept, and what became of domains.
 * @throws RegistryError `storage_unavailable`; the folder is as before, or the next recovery finishes.
 */
export async function recoverAlone(
  folder: MemberFolder,
  { generation, nodeId }: RecoveryPlan,
  { data, world }: { readonly data: string; readonly world: World },
): Promise<Pick<RebuiltCluster, "claims"> & { readonly kept: string }> {
  const { folderId } = folder;
  const { groups, membership, claims } = rebuildCluster(folder.images, {
    ...{ generation, node: { nodeId, folderId } },
    unixS: Math.floor(world.wall.unixMs() / 1_000),
    reason: `node ${nodeId} was recovered alone`,
  });
  const [log, mark] = [recoveredPathOf(logFolderOf(data)), recoveredPathOf(markFolderOf(data))];
  for (const path of [log, mark]) fs.rmSync(path, { recursive: true, force: true });
  const storages = { storage: openFileStorage(log), markStorage: openFileStorage(mark) };
  await writeRebuiltLog(groups, { ...storages, generation, world });
  await folder.close();
  // Before the logs change places: a recovery that was interrupted ends with that.
  writeClusterFile(data, { folderId, membership });
  swapLogs(data);
  return { claims, kept: formerName(logFolderOf(data)) };
}

/**
 * Finishes the exchange of logs that a crash interrupted, if there was one.
 *
 * @returns whether there was.
 * @throws RegistryError `storage_unavailable`.
 */
export function finishInterruptedRecovery(data: string): boolean {
  const log = logFolderOf(data);
  if (fs.existsSync(log) || !fs.existsSync(recoveredPathOf(log))) return false;
  swapLogs(data);
  return true;
}

/** Puts the new log in the place of the former one. The folder has no log until the last step. */
function swapLogs(data: string): void {
  const [log, mark] = [logFolderOf(data), markFolderOf(data)];
  try {
    if (fs.existsSync(log)) putAside(log);
    syncFolder(data);
    if (fs.existsSync(recoveredPathOf(mark))) {
      if (fs.existsSync(mark)) putAside(mark);
      fs.renameSync(recoveredPathOf(mark), mark);
    }
    syncFolder(data);
    fs.renameSync(recoveredPathOf(log), log);
    syncFolder(data);
  } catch (error) {
    throw new RegistryError(
      "storage_unavailable",
      `Cannot exchange the logs in ${data}: run the recovery again to finish it`,
      { field: data },
      error,
    );
  }
}

function putAside(path: string): void {
  fs.rmSync(formerName(path), { recursive: true, force: true });
  fs.renameSync(path, formerName(path));
}

function formerName(path: string): string {
  return `${path}.before-recovery`;
}
