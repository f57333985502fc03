/** Joining a cluster as a node: what a start may do with its data folder, and the request to join. */
import type { JoinClusterReply, JoinClusterRequest } from "../../schemas/gen/wire.ts";
import { defined } from "../base/assert.ts";
import { RegistryError } from "../base/errors.ts";
import type { Credentials } from "../client/credentials.ts";
import { parsePin } from "../../identity/pki/certificate.ts";
import type { Dialer, Endpoint } from "../../transport/transport.ts";
import { callOnce } from "./call_once.ts";
import type { ClusterFile } from "./cluster_file.ts";
import { type NodeConfig, parseEndpoint } from "./config.ts";
import { type JoinAttempts, repeatJoin } from "./join_attempts.ts";

/**
 * Checks that a start may found, join or continue a cluster with its data folder.
 *
 * @param hasLog whether the data folder has a log.
 * @throws RegistryError `invalid_configuration`, also for the folder of a node that was removed from its
 * cluster; `corrupt` if the log of a member is gone.
 */
export function checkStart(
  { authority, data, found, join }: NodeConfig,
  file: ClusterFile | undefined,
  hasLog: boolean,
): void {
  const membership = file?.membership;
  if (membership?.isRemoved === true) throw wasRemoved(data, membership.nodeId);
  if (authority !== "" && !hasLog && membership === undefined && !found && join === "") {
    throw new RegistryError(
      "invalid_configuration",
      `The data folder ${data} is empty: start with --found to create a cluster there, or with ` +
        "--join, --pin and --token to make the node one of a cluster. A node that lost its data " +
        "joins again, as a new node",
      { field: "found" },
    );
  }
  if (membership?.isNew === false && !hasLog) {
    throw new RegistryError(
      "corrupt",
      `The log of ${data} is gone, which was that of node ${membership.nodeId}: remove that node ` +
        "from its cluster, and join again with an empty data folder",
      { field: data },
    );
  }
  if (join !== "" && hasLog && membership === undefined) {
    throw new RegistryError(
      "invalid_configuration",
      `To join a cluster, the data folder must be empty: ${data} holds a cluster of its own. ` +
        "Choose another folder, or start without --join",
      { field: "join" },
    );
  }
}

function wasRemoved(data: string, nodeId: number): RegistryError {
  return new RegistryError(
    "invalid_configuration",
    `The data folder ${data} must not be that of a removed node: node ${nodeId} was removed from its ` +
      "cluster, and all that it held is on other nodes. To join as a new node, start with an empty folder",
    { field: "data" },
  );
}

/** The dependencies of {@link joinCluster}. */
export interface JoinOptions extends JoinAttempts {
  readonly config: Pick<NodeConfig, "join" | "pin">;
  /** Creates a dialer of the ports for clients. */
  readonly clientDialer: () => Dialer;
  /** The node's identity; absent for the development identity. */
  readonly credentials?: Credentials;
}

/**
 * Asks the node that the configuration names to make this one a member; retries while it cannot.
 *
 * @throws RegistryError as {@link repeatJoin}.
 */
export async function joinCluster(
  request: JoinClusterRequest,
  options: JoinOptions,
): Promise<JoinClusterReply> {
  const endpoint = defined(parseEndpoint(options.config.join), "The setting was checked");
  return await repeatJoin(
    "The cluster cannot be joined yet",
    () => joinOnce(endpoint, request, options),
    options,
  );
}

async function joinOnce(
  endpoint: Endpoint,
  request: JoinClusterRequest,
  { config, world, clientDialer, credentials }: JoinOptions,
): Promise<JoinClusterReply> {
  return await callOnce(
    {
      endpoints: [endpoint],
      dialer: clientDialer(),
      trust: { kind: "pins", sha256: [parsePin(config.pin)] },
      world,
      ...(credentials === undefined ? {} : { credentials }),
    },
    "joinCluster",
    request,
  );
}
