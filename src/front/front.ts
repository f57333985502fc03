/**
 * The front: the process that serves the faces of the registry to programs that do not speak its own
 * protocol. It is a client of the registry like any other, keeps no state, and any number of them run
 * side by side.
 *
 * It acts for its callers: each has the rights that the nodes give to what it presents, and the front's
 * own identity has next to none. Without a TLS certificate it listens on loopback only, unless it is told in
 * so many words to serve plain text to anybody who can reach it.
 */
import type { Logger } from "../base/logger.ts";
import type { World } from "../base/world.ts";
import type { Client } from "../client/types.ts";
import { GovernedSource } from "../faces/governed_source.ts";
import { FrontCallers } from "./callers.ts";
import { isLoopbackHost } from "../../identity/trust/listen_rule.ts";
import type { Endpoint, TlsCertificate } from "../../transport/transport.ts";
import type { FrontTls } from "./tls_servers.ts";
import { type GrpcFaceSettings, startGrpcFace } from "./grpc_face.ts";
import { type HttpFaceSettings, startHttpFace } from "./http_face.ts";

/** The options of a front. */
export interface FrontOptions {
  /** A connected client, of an identity that may open delegations. It is closed afterwards by its owner. */
  readonly client: Client;
  /** Whether the registry is one of development, where everybody may do everything. */
  readonly isDevelopment: boolean;
  /** Absent: no HTTP. */
  readonly http?: HttpFaceSettings;
  /** Absent: no gRPC. */
  readonly grpc?: GrpcFaceSettings;
  /** Absent: plain text. */
  readonly tls?: FrontTls;
  readonly world: World;
  readonly logger: Logger;
}

/** A running front. */
export interface Front {
  /** Where it listens. */
  readonly http?: Endpoint;
  readonly grpc?: Endpoint;
  /** For people: whose rights callers have. */
  readonly notice: string;
  /**
   * Serves further connections with another certificate.
   *
   * @throws RegistryError `invalid_argument` if it cannot be used; the one before stays.
   */
  useCertificate(certificate: TlsCertificate): void;
  /** Stops serving. Idempotent. */
  close(): Promise<void>;
}

/**
 * Starts a front.
 *
 * @throws RegistryError `invalid_configuration` if it may not, or cannot, listen there.
 */
export async function startFront(options: FrontOptions): Promise<Front> {
  const { client, http, grpc, tls, world } = options;
  const callers = new FrontCallers({ client, clock: world.monotonic });
  // As an anonymous caller: what it may read, everybody may.
  const governedReader = client.delegate({ kind: "none" });
  const governed = new GovernedSource(governedReader, world);
  const closeShared = () => {
    governed.close();
    governedReader.close();
    callers.close();
  };
  const grpcFace = grpc === undefined ? undefined : await startGrpcFace({
    ...options,
    settings: grpc,
    callers,
    governed,
    ...(http?.hostNames[0] === undefined ? {} : { hostName: http.hostNames[0] }),
  }).catch((error) => {
    closeShared();
    throw error;
  });
  const httpFace = http === undefined ? undefined : await startHttpFace({
    ...options,
    settings: http,
    callers,
    governed,
    ...(grpcFace === undefined ? {} : { moreMetrics: () => grpcFace.metrics() }),
  }).catch(async (error) => {
    await grpcFace?.close();
    closeShared();
    throw error;
  });
  const hosts = [http, grpc].flatMap((face) => face === undefined ? [] : [face.endpoint.host]);
  const plainNotice = hosts.every(isLoopbackHost) ? LOCAL_NOTICE : OPEN_NOTICE;
  return {
    ...(httpFace === undefined ? {} : { http: httpFace.endpoint }),
    ...(grpcFace === undefined ? {} : { grpc: grpcFace.endpoint }),
    notice: RIGHTS + (tls === undefined ? plainNotice : TLS_NOTICE) +
      (grpc?.allowsLegacyClients === true ? LEGACY_NOTICE : ""),
    useCertificate: (certificate) => {
      httpFace?.useCertificate(certificate);
      grpcFace?.useCertificate(certificate);
    },
    close: async () => {
      await Promise.all([httpFace?.close(), grpcFace?.close()]);
      closeShared();
    },
  };
}

const RIGHTS = "Callers have their own rights, those without an identity what --anonymous of the " +
  "nodes says; ";
const LOCAL_NOTICE = "plain text, on loopback only.";
const OPEN_NOTICE = "plain text, for everybody who reaches the port.";
const TLS_NOTICE = "over TLS, with their certificates.";
const LEGACY_NOTICE =
  " Callers of gRPC without an identity act as this front itself (--legacy-clients).";
