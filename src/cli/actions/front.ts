/**
 * Runs a front in this process: connects to the registry, serves HTTP and gRPC, and ends on a signal: it
 * stops listening, then closes its session.
 */
import {
  HTTP_WRITTEN_COUNT_DEFAULT,
  HTTP_WRITTEN_COUNT_MAX,
  MAPS_LEASE_MS_DEFAULT,
  RELAY_TTL_MS_MAX,
  RELAY_TTL_MS_MIN,
  TTL_MS_MAX,
  TTL_MS_MIN,
} from "../../base/limits.ts";
import type { LogLevel } from "../../base/logger.ts";
import type { Role } from "../../base/peer.ts";
import { VERSION } from "../../base/version.ts";
import { CertificateRenewal } from "../../front/certificate_renewal.ts";
import { type Front, type FrontOptions, startFront } from "../../front/front.ts";
import type { GrpcFaceSettings } from "../../front/grpc_face.ts";
import type { FrontTls } from "../../front/tls_servers.ts";
import { parseEndpoint } from "../../node/config.ts";
import { createLogger, logFormatOf } from "../../node/logger.ts";
import { processWorld } from "../../node/process_world.ts";
import { IdentityFolder } from "../../../identity/files/identity_folder.ts";
import { readFile, readKeyFile } from "../../../identity/files/private_file.ts";
import type { Endpoint, TlsCertificate } from "../../../transport/transport.ts";
import { parseDuration } from "../duration.ts";
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
  readonly http?: string;
  readonly httpName?: readonly string[];
  readonly grpc?: string;
  readonly tlsCertificate?: string;
  readonly tlsKey?: string;
  readonly tlsCertPath?: string;
  readonly tlsKeyPath?: string;
  readonly readCache?: string;
  readonly insecureHttp?: boolean;
  readonly insecureGrpc?: boolean;
  readonly legacyClients?: boolean;
  readonly olderRelays?: boolean;
  readonly relayBackend?: string;
  readonly relayTtl?: string;
  readonly agentTtl?: string;
  readonly mapsLease?: string;
  readonly grpcAdvertise?: string;
  readonly logLevel?: LogLevel;
  readonly stopWithStdin?: boolean;
}

const READ_CACHE = { default: HTTP_WRITTEN_COUNT_DEFAULT, min: 0, max: HTTP_WRITTEN_COUNT_MAX };

/** Starts a front and resolves with the exit code when it has ended. */
export async function frontAndWait(flags: FrontFlags, shell: Shell): Promise<number> {
  const { terminal } = shell;
  const faces = facesOf(flags, terminal);
  const tls = tlsOf(flags, terminal);
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
        isDevelopment: identity === undefined,
        ...faces,
        ...(tls === undefined ? {} : { tls }),
        world: processWorld(),
        logger,
      });
      const renewal = tls === undefined ? undefined : new CertificateRenewal({
        read: () => certificateOf(flags),
        inUse: tls.certificate,
        use: (certificate) => front.useCertificate(certificate),
        scheduler: processWorld().scheduler,
        logger,
      });
      try {
        const { http, grpc } = front;
        const started = { version: VERSION, http, grpc, servers: endpoints };
        terminal.out(
          flags.json === true
            ? jsonDocument(started)
            : startedText(front, { isTls: tls !== undefined, servers: endpoints }),
        );
        await stop.requested;
      } finally {
        renewal?.close();
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

/** Returns what is served, and where. */
function facesOf(
  flags: FrontFlags,
  { environment }: Terminal,
): Pick<FrontOptions, "http" | "grpc"> {
  if (flags.http === undefined && flags.grpc === undefined) {
    throw usageFailure(
      "--http or --grpc must be given: a front serves one of them, or both",
      "For example --http 127.0.0.1:9402 or --grpc 127.0.0.1:50051.",
      "http",
    );
  }
  return {
    ...(flags.http === undefined ? {} : {
      http: {
        endpoint: listenOf("http", flags.http, 9402),
        hostNames: flags.httpName ?? [],
        allowsInsecure: flags.insecureHttp === true,
        readCache: integerFlag("read-cache", flags.readCache, READ_CACHE),
      },
    }),
    ...(flags.grpc === undefined ? {} : { grpc: grpcOf(flags, flags.grpc, environment) }),
  };
}

function grpcOf(
  flags: FrontFlags,
  listen: string,
  environment: Terminal["environment"],
): GrpcFaceSettings {
  const ttl = (field: string, text: string | undefined) =>
    text === undefined ? undefined : parseDuration(text, `--${field}`, RELAY_TTL_BOUNDS);
  const relayTtlMs = ttl("relay-ttl", flags.relayTtl);
  const agentTtlMs = ttl("agent-ttl", flags.agentTtl);
  const { mapsLease, grpcAdvertise } = flags;
  return {
    endpoint: listenOf("grpc", listen, 50051),
    allowsInsecure: flags.insecureGrpc === true,
    allowsLegacyClients: flags.legacyClients === true,
    allowsOlderRelays: flags.olderRelays === true,
    relayBackend: flags.relayBackend ?? environment["CRS_RELAY_BACKEND"] ?? "cluster",
    relayTimes: {
      ...(relayTtlMs === undefined ? {} : { relayTtlMs }),
      ...(agentTtlMs === undefined ? {} : { agentTtlMs }),
    },
    mapsLeaseMs: mapsLease === undefined
      ? MAPS_LEASE_MS_DEFAULT
      : parseDuration(mapsLease, "--maps-lease", { min: TTL_MS_MIN, max: TTL_MS_MAX }),
    ...(grpcAdvertise === undefined
      ? {}
      : { advertised: listenOf("grpc-advertise", grpcAdvertise, 50051) }),
  };
}

const RELAY_TTL_BOUNDS = { min: RELAY_TTL_MS_MIN, max: RELAY_TTL_MS_MAX };

/** Returns what TLS needs; undefined: plain text. Callers prove certificates of the front's own domain. */
function tlsOf(flags: FrontFlags, terminal: Terminal): FrontTls | undefined {
  const { tlsCertificate = flags.tlsCertPath, tlsKey = flags.tlsKeyPath } = flags;
  if (tlsCertificate === undefined && tlsKey === undefined) return undefined;
  const identity = identityOf(flags, terminal.environment);
  const clientAuthorities = identity === undefined ? [] : [new IdentityFolder(identity).rootsPem];
  return { certificate: certificateOf(flags), clientAuthorities };
}

/** Returns the certificate that the files have now. @throws CliFailure; RegistryError. */
function certificateOf(flags: FrontFlags): TlsCertificate {
  const { tlsCertificate = flags.tlsCertPath, tlsKey = flags.tlsKeyPath } = flags;
  const chainPem = tlsCertificate === undefined ? undefined : readFile(tlsCertificate);
  const keyPem = tlsKey === undefined ? undefined : readKeyFile(tlsKey);
  if (chainPem === undefined || keyPem === undefined) {
    throw usageFailure(
      "--tls-certificate and --tls-key must both name a PEM file that exists",
      "Name the certificate of the front's host, and its key.",
      chainPem === undefined ? "tlsCertificate" : "tlsKey",
    );
  }
  return { chainPem, keyPem };
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

/** Returns the address of `--<flag>`; port 0 is a free one. */
function listenOf(flag: "http" | "grpc" | "grpc-advertise", text: string, port: number): Endpoint {
  const endpoint = parseEndpoint(text, 0);
  if (endpoint !== undefined) return endpoint;
  throw usageFailure(
    `--${flag} must be host:port: found ${JSON.stringify(text)}`,
    `For example --${flag} 127.0.0.1:${port} or --${flag} [::1]:${port}.`,
    flag,
  );
}

function startedText(
  { http, grpc, notice }: Front,
  { isTls, servers }: { readonly isTls: boolean; readonly servers: readonly Endpoint[] },
): string {
  const url = http === undefined ? "" : `http${isTls ? "s" : ""}://${endpointText(http)}`;
  const lines = [
    ...(http === undefined ? [] : [`  HTTP         ${url}  /docs /openapi.json /healthz /metrics`]),
    ...(grpc === undefined
      ? []
      : [`  gRPC         ${endpointText(grpc)}${isTls ? "  (TLS)" : ""}`]),
    `  asks         ${servers.map(endpointText).join(", ")}`,
    `  identity     ${notice}`,
  ];
  const plaintext = isTls ? "" : "-plaintext ";
  const trials = [
    ...(http === undefined ? [] : [`  curl -s ${url}/v1/gateways`, `  curl -sN ${url}/v1/watch`]),
    ...(grpc === undefined ? [] : [`  grpcurl ${plaintext}${endpointText(grpc)} list`]),
  ];
  return `Central registry ${VERSION}: front

${lines.join("\n")}

Try next, in a second terminal:

${trials.join("\n")}

Stop it with ^C.
`;
}
