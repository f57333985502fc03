/**
 * Services of the runtime that a node needs in its cluster: a file, sockets, and keys. Production has
 * one implementation, {@link processClusterRuntime}; a simulation has its own.
 */
import type { World } from "../base/world.ts";
import { PEER_PING_MS, PEER_SILENCE_MS, PEER_STREAMS_MAX } from "../base/limits.ts";
import { ALPN_PEER } from "../../transport/alpn.ts";
import { QuicDialer } from "../../transport/quic_dialer.ts";
import type { Dialer, Listener } from "../../transport/transport.ts";
import {
  type ClusterFile,
  type Membership,
  readClusterFile,
  writeClusterFile,
} from "./cluster_file.ts";
import { DevelopmentPeers, listenForPeers } from "./cluster_peers.ts";
import type { NodeConfig } from "./config.ts";
import type { NodeIdentity, PeerIdentity } from "./node_identity.ts";

/** The identity for other nodes of a node without an authority. */
export interface OwnPeerIdentity {
  readonly identity: PeerIdentity;
  /** Renews the certificate when it is due. */
  check(): Promise<void>;
}

/** The runtime, as a node's part in its cluster needs it. */
export interface ClusterRuntime {
  /** Creates a dialer of the ports for other nodes, which the caller closes. */
  peerDialer(): Dialer;
  /** Creates a dialer of the ports for clients, which the caller closes. */
  clientDialer(): Dialer;
  /** Opens the port for other nodes. */
  listen(identity: NodeIdentity): Listener;
  /** Reads what the data folder belongs to. @throws RegistryError `corrupt`, `storage_unavailable`. */
  readFile(): ClusterFile | undefined;
  /** Writes the same, durably and atomically. @throws RegistryError `storage_unavailable`. */
  writeFile(file: ClusterFile): void;
  /** Opens the development identity. @throws RegistryError `corrupt`, `storage_unavailable`. */
  developmentPeers(membership: Membership): Promise<OwnPeerIdentity>;
}

/** Returns the runtime of a process. */
export function processClusterRuntime(
  { config, world, onError }: {
    readonly config: NodeConfig;
    readonly world: World;
    readonly onError: (stage: string, error: unknown) => void;
  },
): ClusterRuntime {
  const { scheduler } = world;
  return {
    peerDialer: () =>
      new QuicDialer({
        scheduler,
        onError,
        alpn: ALPN_PEER,
        keepAliveMs: PEER_PING_MS,
        idleMs: PEER_SILENCE_MS,
        streamsPerSessionMax: PEER_STREAMS_MAX,
      }),
    clientDialer: () => new QuicDialer({ scheduler, onError }),
    listen: (identity) => listenForPeers(config, identity, { scheduler, onError }),
    readFile: () => readClusterFile(config.data),
    writeFile: (file) => writeClusterFile(config.data, file),
    developmentPeers: (membership) => DevelopmentPeers.open(config, world, membership),
  };
}
