/**
 * The front: the process that serves the faces of the registry to programs that do not speak its own
 * protocol. It is a client of the registry like any other, keeps no state, and any number of them run
 * side by side.
 *
 * Its own identity answers for all callers. So it listens on loopback, unless it is told in so many
 * words to serve anybody who can reach it.
 */
import { RegistryError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { World } from "../base/world.ts";
import { HttpApp } from "../http/app.ts";
import type { CallerClient } from "../http/route.ts";
import { isLoopbackHost } from "../../identity/trust/listen_rule.ts";
import type { Endpoint } from "../../transport/transport.ts";
import { openHttpListener } from "./http_listener.ts";

/** The options of a front. */
export interface FrontOptions {
  /** A connected client, whose identity answers for all callers. The caller closes it afterwards. */
  readonly client: CallerClient;
  /** Where HTTP is served; port 0 lets the system choose. */
  readonly http: Endpoint;
  /** Host names by which it is reached, besides `localhost` and addresses. */
  readonly hostNames: readonly string[];
  /** Whether plain HTTP is served beyond loopback. */
  readonly allowsInsecureHttp: boolean;
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
  const { client, http, hostNames, allowsInsecureHttp, world, logger } = options;
  const isLocal = isLoopbackHost(http.host);
  if (!isLocal && !allowsInsecureHttp) {
    throw new RegistryError(
      "invalid_configuration",
      `--http must be 127.0.0.1, ::1 or localhost: found ${http.host}. Beyond loopback anybody who ` +
        "reaches the port would read and write with the front's identity, in plain text; put a " +
        "proxy before it that authenticates, or say --insecure-http",
      { field: "http" },
    );
  }
  const app = new HttpApp({ client, world, logger, hostNames });
  const listener = await openHttpListener({
    ...http,
    handler: (request, peer) => app.fetch(request, peer),
    logger,
    scheduler: world.scheduler,
  });
  if (!isLocal) logger.warn("Plain HTTP is served beyond loopback", { host: listener.host });
  return {
    http: { host: listener.host, port: listener.port },
    notice: isLocal ? LOCAL_NOTICE : OPEN_NOTICE,
    close: () => listener.close(),
  };
}

const LOCAL_NOTICE =
  "Every local program may do what the front's own identity may, so it listens on loopback only.";
const OPEN_NOTICE =
  "Everybody who reaches this port may do what the front's own identity may, in plain text.";
