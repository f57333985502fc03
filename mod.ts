/**
 * The central registry: who is alive, where, and under which identity.
 *
 * The client ({@link connect}) registers gateways and agents, keeps their leases, and resolves
 * domains; the node ({@link startNode}) serves them. Programs that run in a browser import
 * `src/client/mod.ts` and `transport/webtransport_dialer.ts`, which need nothing of a server.
 *
 * @example A node and a client in one program
 * ```ts
 * import {
 *   connect,
 *   createLogger,
 *   processWorld,
 *   QuicDialer,
 *   resolveConfig,
 *   startNode,
 *   trustOfDataFolder,
 * } from "@agnistack/registry";
 *
 * const world = processWorld();
 * const data = await Deno.makeTempDir();
 * const node = await startNode({
 *   config: resolveConfig({ flags: { data, port: 0, opsPort: 0 }, environment: {} }),
 *   logger: createLogger({ level: "warn", format: "text" }),
 *   world,
 * });
 *
 * const client = await connect({
 *   endpoints: node.addresses,
 *   dialer: new QuicDialer({ scheduler: world.scheduler, onError: console.warn }),
 *   trust: trustOfDataFolder(data),
 *   world,
 * });
 * const gateway = await client.keepGateway({
 *   region: "global",
 *   domain: "global.gateway.example",
 *   address: "192.0.2.10",
 *   port: 4000,
 * });
 * await client.keepAgent({ region: "global", domain: "a1.example", gatewayId: gateway.id });
 *
 * const answer = await client.resolveAgent("a1.example");
 * console.log(answer.gateway?.address, answer.receipts.length); // 192.0.2.10 3
 *
 * await client.close({ releaseLeases: true });
 * await node.stop();
 * ```
 *
 * @module
 */
export * from "./src/client/mod.ts";
export { ERROR_TABLE, RegistryError } from "./src/base/errors.ts";
export type { ErrorClass, ErrorCode, ErrorEntry, ErrorFields } from "./src/base/errors.ts";
export type { LogFacts, Logger, LogLevel } from "./src/base/logger.ts";
export type { World } from "./src/base/world.ts";
export type { RingMap } from "./src/ring/ring_map.ts";
export { agentFromJson, gatewayFromJson } from "./src/record/vocabulary.ts";
export {
  type AskRenewal,
  type KeptCredentials,
  KeptIdentity,
  type KeptIdentityOptions,
  type PinsOf,
  type RenewalRequest,
} from "./identity/files/kept_identity.ts";
export { trustOfCaFile, trustOfDataFolder, trustOfPins } from "./identity/trust/credentials.ts";
export {
  isSealedLabel,
  type LabelPlace,
  type Opened,
  openLabel,
  type SealedFault,
  sealLabel,
} from "./identity/tokens/sealed_label.ts";
export {
  generateOpeningKey,
  type OpeningKey,
  openingKeyOf,
  type SealingKey,
  sealingKeyOf,
} from "./identity/tokens/x25519.ts";
export type { Dialer, Endpoint, Listener, Session, Stream, Trust } from "./transport/transport.ts";
export { QuicDialer } from "./transport/quic_dialer.ts";
export { type ClientCertificate, TlsDialer, type TlsDialerOptions } from "./transport/tls.ts";
export { WebTransportDialer } from "./transport/webtransport_dialer.ts";
export {
  NodeWebTransportDialer,
  type NodeWebTransportDialerOptions,
} from "./transport/node/webtransport_dialer.ts";
export {
  listenNodeWebTransport,
  type NodeWebTransportListenOptions,
} from "./transport/node/webtransport_listener.ts";
export { createLogger } from "./src/node/logger.ts";
export { processWorld } from "./src/node/process_world.ts";
export { type NodeConfig, resolveConfig } from "./src/node/config.ts";
export { loadConfig } from "./src/node/config_file.ts";
export { type RunningNode, startNode, type StartNodeOptions } from "./src/node/node.ts";

// The relay registry.
export {
  ClusterRelayBackend,
  type ClusterRelayBackendOptions,
} from "./src/relay/cluster_backend.ts";
export type { BackendCall, RelayBackend } from "./src/relay/relay_backend.ts";
export {
  openRelayRegistry,
  type OpenRelayRegistryOptions,
} from "./src/relay/open_relay_registry.ts";
export type {
  AgentPlacement,
  Relay,
  RelayAddress,
  RelayAgent,
  RelayCallOptions,
  RelayRegistry,
} from "./src/relay/relay_registry.ts";

// Stand-ins for tests: a network, a disk and chance, all in memory and all from one seed.
export { SeededEntropy } from "./src/base/prng.ts";
export { MemoryDisk } from "./src/storage/memory_storage.ts";
export { MemoryNetwork } from "./transport/memory/network.ts";
