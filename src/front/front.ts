/**
 * The front: the process that serves the faces of the registry to programs that do not speak its own
 * protocol. It is a client of the registry like any other, keeps no state, and any number of them run
 * side by side.
 *
 * It acts for its callers: each has the rights that the nodes give to what it presents, and the front's
 * own identity has next to none. Without a TLS certificate it listens on loopback only, unless it is told in
 * so many words to serve plain text to anybody who can reach it.
 */
import { RegistryError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { World } from "../base/world.ts";
import { HttpApp } from "../http/app.ts";
import type { Client } from "../client/types.ts";
import { FrontCallers } from "./callers.ts";
import { isLoopbackHost } from "../../identity/trust/listen_rule.ts";
import type { Endpoint } from "../../transport/transport.ts";
import type { FrontTls } from "./https_server.ts";
import { openHttpListener } from "./http_listener.ts";

/** The options of a front. */
export interface FrontOptions {
  /** A connected client, of an identity that may open delegations. It is closed afterwards by its owner. */
  readonly client: Client;
  /** Where HTTP is served; port 0 lets the system choose. */
  readonly http: Endpoint;
  /** Host names by which it is reached, besides `localhost` and addresses. */
  readonly hostNames: readonly string[];
  /** Absent: plain HTTP. */
  readonly tls?: FrontTls;
  /** Whether plain HTTP is served beyond loopback. */
  readonly allowsInsecureHttp: boolean;
  /** Descriptors that are kept as they are answered. */
  readonly readCache: number;
  readonly world: World;
  readonly logger: Logger;
}

/** A running front. */
export interface Front {
  /** Where it listens. */
  readonly http: Endpoint;
  /** For people: whose rights callers have. */
  readonly notice: string;
  /** Stops serving. Idempotent. */
  close(): Promise<void>;
}

/**
 * Starts a front.
 *
 * @throws RegistryError `invalid_configuration` if it may not, or cannot, listen there.
 */
export async function startFront(options: FrontOptions): Promise<Front> {
  const { client, http, hostNames, tls, allowsInsecureHttp, readCache, world, logger } = options;
  const isLocal = isLoopbackHost(http.host);
  if (!isLocal && tls === undefined && !allowsInsecureHttp) {
    throw new RegistryError(
      "invalid_configuration",
      `--http must be 127.0.0.1, ::1 or localhost: found ${http.host}. Beyond loopback anybody who ` +
        "reaches the port could read and change what callers send, as it is plain text; name a " +
        "certificate with --tls-certificate, or say --insecure-http",
      { field: "http" },
    );
  }
  const callers = new FrontCallers({ client, clock: world.monotonic });
  // As an anonymous caller: what it may read, everybody may.
  const governedReader = client.delegate({ kind: "none" });
  const app = new HttpApp({ client, callers, governedReader, world, logger, hostNames, readCache });
  const listener = await openHttpListener({
    ...http,
    handler: (request, peer) => app.answer(request, peer),
    quick: (request, peer) => app.quick(request, peer),
    logger,
    scheduler: world.scheduler,
    ...(tls === undefined ? {} : { tls }),
  });
  const isPlain = tls === undefined;
  if (isPlain && !isLocal) {
    logger.warn("Plain HTTP is served beyond loopback", { host: listener.host });
  }
  return {
    http: { host: listener.host, port: listener.port },
    notice: RIGHTS + (isPlain ? (isLocal ? LOCAL_NOTICE : OPEN_NOTICE) : TLS_NOTICE),
    close: async () => {
      await listener.close();
      app.close();
      governedReader.close();
      callers.close();
    },
  };
}

const RIGHTS = "Callers have their own rights, those without an identity what --anonymous of the " +
  "nodes says; ";
const LOCAL_NOTICE = "plain text, on loopback only.";
const OPEN_NOTICE = "plain text, for everybody who reaches the port.";
const TLS_NOTICE = "over TLS, with their certificates.";
