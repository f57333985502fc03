/** The HTTP face of a front: the app of src/http and its listener. */
import { RegistryError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { World } from "../base/world.ts";
import type { Client } from "../client/types.ts";
import type { GovernedSource } from "../faces/governed_source.ts";
import { HttpApp } from "../http/app.ts";
import type { HttpCallers } from "../http/callers.ts";
import { isLoopbackHost } from "../../identity/trust/listen_rule.ts";
import type { Endpoint, TlsCertificate } from "../../transport/transport.ts";
import { openHttpListener } from "./http_listener.ts";
import type { FrontTls } from "./tls_servers.ts";

/** The settings of the HTTP face. */
export interface HttpFaceSettings {
  /** Where it listens; port 0 lets the system choose. */
  readonly endpoint: Endpoint;
  /** Host names by which it is reached, besides `localhost` and addresses. */
  readonly hostNames: readonly string[];
  /** Whether plain HTTP is served beyond loopback. */
  readonly allowsInsecure: boolean;
  /** Descriptors that are kept as they are answered. */
  readonly readCache: number;
}

/** Options of {@link startHttpFace}. */
export interface HttpFaceOptions {
  readonly settings: HttpFaceSettings;
  readonly client: Client;
  readonly callers: HttpCallers;
  /** The governed plane, which the caller closes after the face. */
  readonly governed: GovernedSource;
  /** Absent: plain HTTP. */
  readonly tls?: FrontTls;
  /** Returns metrics of other faces in the Prometheus text format, which are shown with its own. */
  readonly moreMetrics?: () => Promise<string>;
  readonly world: World;
  readonly logger: Logger;
}

/** A running face. */
export interface RunningHttpFace {
  readonly endpoint: Endpoint;
  /** As `HttpListener.useCertificate`. */
  useCertificate(certificate: TlsCertificate): void;
  /** Stops serving. Idempotent. */
  close(): Promise<void>;
}

/**
 * Starts the face.
 *
 * @throws RegistryError `invalid_configuration` if it may not, or cannot, listen there.
 */
export async function startHttpFace(options: HttpFaceOptions): Promise<RunningHttpFace> {
  const { settings, client, callers, governed, tls, moreMetrics, world, logger } = options;
  const { endpoint, hostNames, allowsInsecure, readCache } = settings;
  const isLocal = isLoopbackHost(endpoint.host);
  if (!isLocal && tls === undefined && !allowsInsecure) {
    throw new RegistryError(
      "invalid_configuration",
      `--http must be 127.0.0.1, ::1 or localhost: found ${endpoint.host}. Beyond loopback anybody ` +
        "who reaches the port could read and change what callers send, as it is plain text; name a " +
        "certificate with --tls-certificate, or say --insecure-http",
      { field: "http" },
    );
  }
  const app = new HttpApp({
    client,
    callers,
    governed,
    world,
    logger,
    hostNames,
    readCache,
    ...(moreMetrics === undefined ? {} : { moreMetrics }),
  });
  const listener = await openHttpListener({
    ...endpoint,
    handler: (request, peer) => app.answer(request, peer),
    quick: (request, peer) => app.quick(request, peer),
    headTooLarge: (peer) => app.refuseHead(peer),
    logger,
    scheduler: world.scheduler,
    ...(tls === undefined ? {} : { tls }),
  });
  if (tls === undefined && !isLocal) {
    logger.warn("Plain HTTP is served beyond loopback", { host: listener.host });
  }
  return {
    endpoint: { host: listener.host, port: listener.port },
    useCertificate: (certificate) => listener.useCertificate(certificate),
    close: async () => {
      await listener.close();
      app.close();
    },
  };
}
