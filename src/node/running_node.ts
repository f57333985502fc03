/** The options of a node's start, and the interface of a node that runs. */
import type { Logger } from "../base/logger.ts";
import type { World } from "../base/world.ts";
import type { ConfiguredSigners } from "../serving/governance/agreed_signers.ts";
import type { Endpoint } from "../../transport/transport.ts";
import type { NodeConfig } from "./config.ts";

/** The options of `startNode`. */
export interface StartNodeOptions {
  readonly config: NodeConfig;
  readonly world: World;
  readonly logger: Logger;
  /** Whether to start although acknowledged data is lost, under a higher generation. */
  readonly acceptDataLoss?: boolean;
  /** Whether to replace a trust bundle that was issued while the clock was ahead. Default false. */
  readonly acceptClockSetBack?: boolean;
  /** Aborts a start that waits for the disk. */
  readonly signal?: AbortSignal;
  /** Returns the restarts of services beside the node by name, for the metrics. Default: none. */
  readonly serviceRestarts?: () => ReadonlyMap<string, number>;
  /** Called when everything is open, before the node reports that it is ready. */
  readonly onOpened?: () => void;
  /** Called when the node has learned that it was removed from its cluster; the caller then stops it. */
  readonly onRemoved?: (nodeId: number) => void;
}

/** A running node. */
export interface RunningNode {
  readonly nodeId: number;
  /** The cluster's UUID as text. */
  readonly clusterId: string;
  /** The addresses of QUIC and WebTransport. */
  readonly addresses: readonly Endpoint[];
  /** The addresses of TLS; empty if TLS is off. */
  readonly tlsAddresses: readonly Endpoint[];
  /** The address of `/healthz`, `/readyz` and `/metrics`. */
  readonly ops: { readonly host: string; readonly port: number };
  readonly dataFolder: string;
  /** Whether this start created the cluster. */
  readonly created: boolean;
  /** A notice for the operator about who may connect. */
  readonly notice: string;
  /**
   * Ensures that a folder has the certificate of a front beside this node; undefined if it needs none, on a
   * development node.
   *
   * @throws RegistryError `invalid_configuration` if this node cannot issue certificates.
   */
  readonly enrolFront: ((folder: string) => Promise<void>) | undefined;
  /**
   * Begins the governed plane with these signers, or compares them with those that it has.
   *
   * @throws RegistryError `invalid_configuration` if they do not agree.
   */
  readonly agreeOnSigners: (signers: ConfiguredSigners, signal: AbortSignal) => Promise<void>;
  /** Drains and closes; resolves when the folder is free. A second call waits for the first. */
  stop(): Promise<void>;
}
