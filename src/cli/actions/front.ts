/**
 * Runs a front in this process: connects to the registry, serves HTTP, and ends on a signal: it stops
 * listening, then closes its session.
 */
import { HTTP_WRITTEN_COUNT_DEFAULT, HTTP_WRITTEN_COUNT_MAX } from "../../base/limits.ts";
import type { LogLevel } from "../../base/logger.ts";
import type { Role } from "../../base/peer.ts";
import { VERSION } from "../../base/version.ts";
import { type Front, startFront } from "../../front/front.ts";
import type { FrontTls } from "../../front/https_server.ts";
import { parseEndpoint } from "../../node/config.ts";
import { createLogger, logFormatOf } from "../../node/logger.ts";
import { processWorld } from "../../node/process_world.ts";
import { IdentityFolder } from "../../../identity/files/identity_folder.ts";
import { readFile, readKeyFile } from "../../../identity/files/private_file.ts";
import type { Endpoint } from "../../../transport/transport.ts";
import { endpointText } from "../endpoint_text.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { usageFailure } from "../failure.ts";
import { integerFlag } from "../integer_flag.ts";
import { jsonDocument, type ServerOptions, type Shell, withClient } from "../shell.ts";
import { identityOf } from "../target.ts";
import type { Terminal } from "../terminal.ts";
import { StopRequest } from "../stop_request.ts";

/** Flags of `crs front`. */
export interface FrontFlags extends ServerOptions {
  readonly http: string;
  readonly httpName?: readonly string[];
  readonly tlsCertificate?: string;
  readonly tlsKey?: string;
  readonly readCache?: string;
  readonly insecureHttp?: boolean;
  readonly logLevel?: LogLevel;
  readonly stopWithStdin?: boolean;
}

const READ_CACHE = { default: HTTP_WRITTEN_COUNT_DEFAULT, min: 0, max: HTTP_WRITTEN_COUNT_MAX };

/** Starts a front and resolves with the exit code when it has ended. */
export async function frontAndWait(flags: FrontFlags, shell: Shell): Promise<number> {
  const { terminal } = shell;
  const http = listenOf(flags.http);
  const tls = tlsOf(flags, terminal);
  const readCache = integerFlag("read-cache", flags.readCache, READ_CACHE);
  const logger = createLogger({
    level: flags.logLevel ?? "info",
    format: logFormatOf("auto", terminal.isErrTty),
  });
  const stop = new StopRequest(terminal, (signal) => {
    logger.info("Stopping; another signal ends the process at once", { signal });
  });
  if (flags.stopWithStdin === true) terminal.onInputEnd(() => stop.request("SIGTERM"));
  try {
    await withClient(shell, flags, async ({ client, endpoints, identity }) => {
      checkRole(identity?.own.identity.role);
      const front = await startFront({
        client,
        http,
        hostNames: flags.httpName ?? [],
        ...(tls === undefined ? {} : { tls }),
        allowsInsecureHttp: flags.insecureHttp === true,
        readCache,
        world: processWorld(),
        logger,
      });
      try {
        const started = { version: VERSION, http: front.http, servers: endpoints };
        terminal.out(
          flags.json === true
            ? jsonDocument(started)
            : startedText(`http${tls === undefined ? "" : "s"}://`, endpoints, front),
        );
        await stop.requested;
      } finally {
        await front.close();
      }
    }, (event) => {
      if (event.kind === "connected") return logger.debug("Connected", event);
      if (event.kind === "lost") logger.warn("A connection was lost", event);
    });
    return EXIT_CODES.success;
  } finally {
    stop.end();
  }
}

/** Returns what HTTPS needs; undefined: plain HTTP. Callers prove certificates of the front's own domain. */
function tlsOf(flags: FrontFlags, terminal: Terminal): FrontTls | undefined {
  const { tlsCertificate, tlsKey } = flags;
  if (tlsCertificate === undefined && tlsKey === undefined) return undefined;
  const chainPem = tlsCertificate === undefined ? undefined : readFile(tlsCertificate);
  const keyPem = tlsKey === undefined ? undefined : readKeyFile(tlsKey);
  if (chainPem === undefined || keyPem === undefined) {
    throw usageFailure(
      "--tls-certificate and --tls-key must both name a PEM file that exists",
      "Name the certificate of the front's host, and its key.",
      chainPem === undefined ? "tlsCertificate" : "tlsKey",
    );
  }
  const identity = identityOf(flags, terminal.environment);
  const clientAuthorities = identity === undefined ? [] : [new IdentityFolder(identity).rootsPem];
  return { certificate: { chainPem, keyPem }, clientAuthorities };
}

/** Checks that an identity may open delegations; undefined: the development identity. */
function checkRole(role: Role | undefined): void {
  if (role === undefined || role === "front") return;
  throw usageFailure(
    `--identity must be of the role front: it is of the role ${role}, and callers would be refused`,
    "Create one: crs identity join-token front prints the next command.",
    "identity",
  );
}

/** Returns the address on which HTTP is served; port 0 is a free one. */
function listenOf(text: string): Endpoint {
  const endpoint = parseEndpoint(text, 0);
  if (endpoint !== undefined) return endpoint;
  throw usageFailure(
    `--http must be host:port: found ${JSON.stringify(text)}`,
    "For example --http 127.0.0.1:9402 or --http [::1]:9402.",
    "http",
  );
}

function startedText(
  scheme: string,
  servers: readonly Endpoint[],
  { http, notice }: Front,
): string {
  const url = scheme + endpointText(http);
  return `Central registry ${VERSION}: front

  serves       ${url}  /docs /openapi.json /healthz /readyz /metrics
  asks         ${servers.map(endpointText).join(", ")}
  identity     ${notice}

Try next, in a second terminal:

  curl -s ${url}/v1/gateways
  curl -sN ${url}/v1/watch

Stop it with ^C.
`;
}
