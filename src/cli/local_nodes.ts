/**
 * Finds nodes on this machine by their data folders: one node's folder, or the folder of a development
 * cluster (`crs cluster start`), whose nodes have a folder each in it.
 */
import { LOCAL_NODES_MAX } from "../base/limits.ts";
import { type NodeFile, readNodeFile } from "../../identity/files/node_file.ts";
import { hasCa, trustOfDataFolder } from "../../identity/trust/credentials.ts";
import type { Trust } from "../../transport/transport.ts";

/** The data folder of a development cluster, if none is named. */
export const CLUSTER_FOLDER_DEFAULT = "./cluster";

/** Returns the data folder of a node of a development cluster, counted from 1. */
export function nodeFolderOf(clusterFolder: string, number: number): string {
  return `${clusterFolder}/node-${number}`;
}

/** A node by its data folder. */
export interface LocalNodeFile extends NodeFile {
  readonly folder: string;
  readonly isAlive: boolean;
}

/**
 * Returns the nodes of a folder, those whose processes are alive first.
 *
 * @throws RegistryError `corrupt` if a node's file is damaged.
 */
export function localNodesIn(
  folder: string,
  isAlive: (processId: number) => boolean,
): readonly LocalNodeFile[] {
  const folders = [folder];
  for (let number = 1; number <= LOCAL_NODES_MAX; number++) {
    folders.push(nodeFolderOf(folder, number));
  }
  const found = folders.flatMap((place): LocalNodeFile[] => {
    const file = readNodeFile(place);
    return file === undefined ? [] : [{ ...file, folder: place, isAlive: isAlive(file.processId) }];
  });
  return found.sort((left, right) => Number(right.isAlive) - Number(left.isAlive));
}

/** Returns trust in the certificates of nodes: by their CAs if all have one of their own. */
export function trustInNodes(nodes: readonly LocalNodeFile[], isByPin: boolean): Trust {
  if (isByPin || !nodes.every(({ folder }) => hasCa(folder))) {
    return { kind: "pins", sha256: nodes.flatMap((node) => [node.currentPin, node.nextPin]) };
  }
  const pem = nodes.flatMap(({ folder }) => {
    const trust = trustOfDataFolder(folder);
    return trust.kind === "ca" ? trust.pem : [];
  });
  return { kind: "ca", pem };
}
