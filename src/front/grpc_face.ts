/** The gRPC face of a front: its services, who may call them, and the listener. */
import { RegistryError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { World } from "../base/world.ts";
import type { Client } from "../client/types.ts";
import { GrpcApp } from "../grpc/app.ts";
import { ERROR_DETAILS } from "../grpc/status.ts";
import type { GrpcService } from "../grpc/service.ts";
import { aeroRegistryService } from "../grpc/services/aero_registry.ts";
import { healthService } from "../grpc/services/health.ts";
import { reflectionServices } from "../grpc/services/reflection.ts";
import type { HttpCallers } from "../http/callers.ts";
import { openRelayRegistry } from "../relay/open_relay_registry.ts";
import type { RelayTimes } from "../relay/relay_times.ts";
import { isLoopbackHost } from "../../identity/trust/listen_rule.ts";
import type { Endpoint } from "../../transport/transport.ts";
import { FrontGrpcCallers } from "./grpc_callers.ts";
import { GrpcListener } from "./grpc_listener.ts";
import type { FrontTls } from "./https_server.ts";
import { SharedRelays } from "./shared_relays.ts";

/** What is served over gRPC, and to whom. */
export interface GrpcFaceSettings {
  /** Where it listens; port 0 lets the system choose. */
  readonly endpoint: Endpoint;
  /** Whether plain text is served beyond loopback. */
  readonly allowsInsecure: boolean;
  /** Whether callers without an identity act as the front, and own what they register in its name. */
  readonly allowsLegacyClients: boolean;
  /** Whether heartbeats of agents may leave out their relay. */
  readonly allowsOlderRelays: boolean;
  /** Where relays and agents are kept: a URL, see `openRelayRegistry`. */
  readonly relayBackend: string;
  readonly relayTimes: Partial<RelayTimes>;
}

/** Options of {@link startGrpcFace}. */
export interface GrpcFaceOptions {
  readonly settings: GrpcFaceSettings;
  readonly client: Client;
  readonly callers: HttpCallers;
  /** Whether the registry is one of development, where everybody may do everything. */
  readonly isDevelopment: boolean;
  /** Absent: plain text. */
  readonly tls?: FrontTls;
  readonly world: World;
  readonly logger: Logger;
}

/** A running face. */
export interface GrpcFace {
  readonly endpoint: Endpoint;
  /** Returns its metrics in the Prometheus text format. */
  metrics(): Promise<string>;
  /** Stops serving. Idempotent. */
  close(): Promise<void>;
}

/**
 * Starts the face.
 *
 * @throws RegistryError `invalid_configuration` if it may not, or cannot, listen there.
 */
export async function startGrpcFace(options: GrpcFaceOptions): Promise<GrpcFace> {
  const { settings, client, callers, isDevelopment, tls, world, logger } = options;
  const { endpoint, allowsInsecure, allowsLegacyClients, allowsOlderRelays } = settings;
  const isLocal = isLoopbackHost(endpoint.host);
  if (!isLocal && tls === undefined && !allowsInsecure) throw plainBeyondLoopback(endpoint.host);
  const relays = await openRelayRegistry(settings.relayBackend, { ...settings.relayTimes, world });
  const shared = new SharedRelays({
    relays,
    allowsAnonymous: allowsLegacyClients,
    clock: world.monotonic,
  });
  let isStopping = false;
  const app = new GrpcApp({
    services: withCommonServices([
      aeroRegistryService({
        relaysOf: isDevelopment ? () => relays : (context) => shared.for(context),
        allowsOlderRelays,
      }),
    ], {
      isServing: () => !isStopping && client.status.state === "connected",
      world,
    }),
    callers: new FrontGrpcCallers({ callers, own: client, allowsLegacyClients }),
    world,
    logger,
  });
  const listener = await GrpcListener.open({
    ...endpoint,
    serve: (stream) => app.serve(stream),
    logger,
    world,
    ...(tls === undefined ? {} : { tls }),
  }).catch(async (error) => {
    await relays.close();
    throw error;
  });
  app.metrics.addGauge("grpc_connections", "Open connections of gRPC.", () => listener.count);
  if (tls === undefined && !isLocal) {
    logger.warn("Plain gRPC is served beyond loopback", { host: listener.host });
  }
  return {
    endpoint: { host: listener.host, port: listener.port },
    metrics: () => app.metrics.render(),
    close: async () => {
      isStopping = true;
      await listener.close();
      await relays.close();
    },
  };
}

/** Adds health and reflection, which describe all services. */
function withCommonServices(
  services: readonly GrpcService[],
  { isServing, world }: { readonly isServing: () => boolean; readonly world: World },
): GrpcService[] {
  const names = services.map(({ descriptor }) => descriptor.typeName);
  const health = healthService({ names, isServing, scheduler: world.scheduler });
  const all = [...services, health];
  const descriptors = all.map(({ descriptor }) => descriptor);
  return [...all, ...reflectionServices(descriptors, [ERROR_DETAILS])];
}

function plainBeyondLoopback(host: string): RegistryError {
  return new RegistryError(
    "invalid_configuration",
    `--grpc must be 127.0.0.1, ::1 or localhost: found ${host}. Beyond loopback anybody who reaches ` +
      "the port could read and change what callers send, as it is plain text; name a certificate " +
      "with --tls-certificate, or say --insecure-grpc",
    { field: "grpc" },
  );
}
