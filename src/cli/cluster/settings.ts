/** The size and place of a development cluster: flags, defaults and bounds. */
import { resolve } from "node:path";
import { LOCAL_NODES_MAX } from "../../base/limits.ts";
import { SETTINGS } from "../../node/settings.ts";
import { integerFlag } from "../integer_flag.ts";
import { CLUSTER_FOLDER_DEFAULT, nodeFolderOf } from "../local_nodes.ts";
import type { LocalRunFlags } from "../local_run.ts";

/** Flags of `crs cluster start`, as typed. */
export interface ClusterFlags extends LocalRunFlags {
  readonly data?: string;
  readonly nodes?: string;
  readonly partitions?: string;
  readonly port?: string;
  readonly logLevel?: string;
}

/** One node of a development cluster. */
export interface LocalNode {
  readonly name: string;
  readonly folder: string;
  readonly zone: string;
  readonly port: number;
  readonly peerPort: number;
  readonly opsPort: number;
}

/** A development cluster on one machine. */
export interface ClusterSettings {
  readonly folder: string;
  readonly nodes: readonly LocalNode[];
  /** The folder of the CA by which the nodes recognize each other. */
  readonly nodeCa: string;
  readonly partitions: number;
  readonly logLevel: string;
}

/** Default and bounds of the integers. */
export const CLUSTER_BOUNDS = {
  nodes: { default: 3, min: 1, max: LOCAL_NODES_MAX },
  // Ports for clients, nodes and operators follow each other; those of a single node lie outside.
  port: { default: 4451, min: 1, max: 65_535 - 3 * LOCAL_NODES_MAX },
  partitions: SETTINGS.partitions,
} as const;

/** Returns the cluster that the flags describe. @throws CliFailure `invalid_argument`. */
export function clusterSettings(flags: ClusterFlags): ClusterSettings {
  const folder = flags.data ?? CLUSTER_FOLDER_DEFAULT;
  const count = integerFlag("nodes", flags.nodes, CLUSTER_BOUNDS.nodes);
  const port = integerFlag("port", flags.port, CLUSTER_BOUNDS.port);
  const nodes = Array.from({ length: count }, (_, at): LocalNode => ({
    name: `node-${at + 1}`,
    folder: nodeFolderOf(folder, at + 1),
    zone: `zone-${at + 1}`,
    port: port + at,
    peerPort: port + LOCAL_NODES_MAX + at,
    opsPort: port + 2 * LOCAL_NODES_MAX + at,
  }));
  const { logLevel = "warn" } = flags;
  const partitions = integerFlag("partitions", flags.partitions, CLUSTER_BOUNDS.partitions);
  return { folder, nodes, nodeCa: resolve(folder, "node-ca"), partitions, logLevel };
}

/** Returns the flags of `crs start` for a node; the same at every start. */
export function nodeFlags(node: LocalNode, settings: ClusterSettings): string[] {
  const { folder, zone, port, peerPort, opsPort } = node;
  const partitions = settings.partitions === SETTINGS.partitions.default
    ? []
    : ["--partitions", String(settings.partitions)];
  return [
    ...["--data", folder, "--zone", zone, "--node-ca", settings.nodeCa],
    ...["--port", String(port), "--peer-port", String(peerPort), "--ops-port", String(opsPort)],
    ...partitions,
  ];
}
