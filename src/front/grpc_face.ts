/** The gRPC face of a front: its services, who may call them, and the listener. */
import { X509Certificate } from "node:crypto";
import { toHex } from "../base/bytes.ts";
import { RegistryError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { World } from "../base/world.ts";
import type { Client } from "../client/types.ts";
import { GrpcApp } from "../grpc/app.ts";
import { ERROR_DETAILS } from "../grpc/status.ts";
import type { CallContext, GrpcService } from "../grpc/service.ts";
import { mapsService } from "../grpc/maps/maps_service.ts";
import { aeroRegistryService } from "../grpc/services/aero_registry.ts";
import { NodeCondition } from "../faces/node_condition.ts";
import { registryService } from "../grpc/registry/registry_service.ts";
import { healthService } from "../grpc/services/health.ts";
import { reflectionServices } from "../grpc/services/reflection.ts";
import type { GovernedSource } from "../faces/governed_source.ts";
import type { HttpCallers } from "../http/callers.ts";
import { openRelayRegistry } from "../relay/open_relay_registry.ts";
import { addressFromText } from "../record/validation.ts";
import type { RelayRegistry } from "../relay/relay_registry.ts";
import type { RelayTimes } from "../relay/relay_times.ts";
import { certificatesOf } from "../../identity/pki/certificate.ts";
import { sha256 } from "../../identity/pki/sha256.ts";
import { isLoopbackHost } from "../../identity/trust/listen_rule.ts";
import type { Endpoint, TlsCertificate } from "../../transport/transport.ts";
import { ClusterRelays } from "./cluster_relays.ts";
import { FrontGrpcCallers } from "./grpc_callers.ts";
import { GrpcListener } from "./grpc_listener.ts";
import type { FrontTls } from "./tls_servers.ts";
import { SeederAnnouncement } from "./seeder_announcement.ts";
import { SharedRelays } from "./shared_relays.ts";
import { SharedTimers } from "../client/shared_timers.ts";

/** The settings of the gRPC face: its services, and who may call them. */
export interface GrpcFaceSettings {
  /** Where it listens; port 0 lets the system choose. */
  readonly endpoint: Endpoint;
  /** Whether plain text is served beyond loopback. */
  readonly allowsInsecure: boolean;
  /** Whether callers without an identity act as the front, and own what they register in its name. */
  readonly allowsLegacyClients: boolean;
  /** Whether heartbeats of agents may leave out their relay. */
  readonly allowsOlderRelays: boolean;
  /** Where relays and agents are kept: `cluster` or a URL, see `openRelayRegistry`. */
  readonly relayBackend: string;
  readonly relayTimes: Partial<RelayTimes>;
  /** How long records of the Maps protocol last after each registration, ms. */
  readonly mapsLeaseMs: number;
  /** Where clients reach gRPC, an address. Absent: where it listens, if others can reach that. */
  readonly advertised?: Endpoint;
}

/** Options of {@link startGrpcFace}. */
export interface GrpcFaceOptions {
  readonly settings: GrpcFaceSettings;
  readonly client: Client;
  readonly callers: HttpCallers;
  /** The governed plane, which the caller closes after the face. */
  readonly governed: GovernedSource;
  /** Whether the registry is one of development, where everybody may do everything. */
  readonly isDevelopment: boolean;
  /** Absent: plain text. */
  readonly tls?: FrontTls;
  /** The host name by which the front is reached; absent: none. */
  readonly hostName?: string;
  readonly world: World;
  readonly logger: Logger;
}

/** A running face. */
export interface GrpcFace {
  readonly endpoint: Endpoint;
  /** Returns its metrics in the Prometheus text format. */
  metrics(): Promise<string>;
  /** As `GrpcListener.useCertificate`; it is announced with its hash. */
  useCertificate(certificate: TlsCertificate): void;
  /** Stops serving. Idempotent. */
  close(): Promise<void>;
}

/**
 * Starts the face.
 *
 * @throws RegistryError `invalid_configuration` if it may not, or cannot, listen there.
 */
export async function startGrpcFace(options: GrpcFaceOptions): Promise<GrpcFace> {
  const { settings, client, callers, tls, world, logger } = options;
  const { endpoint, allowsInsecure, allowsLegacyClients, allowsOlderRelays } = settings;
  const isLocal = isLoopbackHost(endpoint.host);
  if (!isLocal && tls === undefined && !allowsInsecure) throw plainBeyondLoopback(endpoint.host);
  const { advertised } = settings;
  if (advertised !== undefined && !isReachable(advertised.host)) {
    throw notAdvertisable(advertised.host);
  }
  // Each call has a deadline, and one more at its backend.
  const deadlines = new SharedTimers(world);
  const calls: World = { ...world, scheduler: deadlines };
  const relays = await openRelays({ ...options, world: calls });
  const node = new NodeCondition(client, world.monotonic);
  let isStopping = false;
  const app = new GrpcApp({
    services: withCommonServices([
      aeroRegistryService({ relaysOf: relays.of, allowsOlderRelays }),
      mapsService({ leaseMs: settings.mapsLeaseMs, logger }),
      registryService({ region: () => node.region(), governed: options.governed }),
    ], {
      isServing: () => !isStopping && client.status.state === "connected",
      world,
    }),
    callers: new FrontGrpcCallers({ callers, own: client, allowsLegacyClients }),
    world: calls,
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
  const listened = { host: listener.host, port: listener.port };
  const seat = advertised ?? listened;
  let announcement = announce(seat, tls?.certificate, options);
  return {
    endpoint: listened,
    metrics: () => app.metrics.render(),
    useCertificate: (certificate) => {
      if (tls === undefined || isStopping) return;
      listener.useCertificate(certificate);
      announcement?.close();
      announcement = announce(seat, certificate, options);
    },
    close: async () => {
      isStopping = true;
      announcement?.close();
      await listener.close();
      await relays.close();
      deadlines.close();
    },
  };
}

/** Announces where clients of the Maps protocol begin; not an address that nobody else reaches. */
function announce(
  endpoint: Endpoint,
  certificate: TlsCertificate | undefined,
  { client, hostName = "", world, logger }: GrpcFaceOptions,
): SeederAnnouncement | undefined {
  if (!isReachable(endpoint.host)) return undefined;
  const pin = certificate === undefined ? "" : pinOfChain(certificate.chainPem);
  return new SeederAnnouncement({
    front: { endpoint, domain: hostName, pin },
    client,
    world,
    logger,
  });
}

function isReachable(host: string): boolean {
  try {
    addressFromText(host);
    return host !== "";
  } catch {
    return false;
  }
}

/** Returns the hash of the first certificate, by which clients know the server. */
function pinOfChain(chainPem: string): string {
  const [leaf] = certificatesOf(chainPem);
  return leaf === undefined ? "" : toHex(sha256(new X509Certificate(leaf).raw));
}

/** The relay registry, behind its door. */
interface OpenRelays {
  /** Returns it as a caller may use it. @throws RegistryError if it may not. */
  readonly of: (context: CallContext) => RelayRegistry | Promise<RelayRegistry>;
  close(): Promise<void>;
}

/** Opens the relay registry. @throws RegistryError `invalid_configuration`. */
async function openRelays(
  { settings, client, isDevelopment, world }: GrpcFaceOptions,
): Promise<OpenRelays> {
  const { relayBackend, relayTimes, allowsLegacyClients } = settings;
  if (relayBackend === "cluster") {
    const relays = new ClusterRelays(relayTimes, world);
    await relays.check(client);
    return { of: (context) => relays.for(context), close: () => Promise.resolve() };
  }
  const relays = await openRelayRegistry(relayBackend, { ...relayTimes, world });
  const close = () => relays.close();
  if (isDevelopment) return { of: () => relays, close };
  const { monotonic: clock } = world;
  const shared = new SharedRelays({ relays, allowsAnonymous: allowsLegacyClients, clock });
  return { of: (context) => shared.for(context), close };
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

function notAdvertisable(host: string): RegistryError {
  return new RegistryError(
    "invalid_configuration",
    `--grpc-advertise must have an IP address at which others reach this front: found ${host}`,
    { field: "grpc-advertise" },
  );
}
