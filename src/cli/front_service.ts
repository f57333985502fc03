/**
 * The front beside a node: `crs front` in a process of its own, with an identity that the node gives it,
 * kept running until the node stops.
 */
import { identityFolder } from "../../identity/trust/credentials.ts";
import type { Logger } from "../base/logger.ts";
import type { World } from "../base/world.ts";
import type { NodeConfig } from "../node/config.ts";
import type { RunningNode } from "../node/running_node.ts";
import type { Endpoint } from "../../transport/transport.ts";
import { ChildCommand, FRONT_V8_FLAGS } from "./child_command.ts";
import { endpointText } from "./endpoint_text.ts";
import { SupervisedService } from "./supervised_service.ts";
import type { Terminal } from "./terminal.ts";

/** The name of the service, in the log and the metrics. */
export const FRONT_SERVICE = "front";

/** The document that a front prints at its start. */
export interface StartedFront {
  readonly http?: Endpoint;
  readonly grpc?: Endpoint;
}

/** Returns the front beside a node, not yet started. */
export function frontService(
  node: RunningNode,
  config: NodeConfig,
  { terminal, logger, world }: {
    readonly terminal: Terminal;
    readonly logger: Logger;
    readonly world: World;
  },
): SupervisedService<StartedFront> {
  let { http, grpc } = config;
  const identity = `${identityFolder(node.dataFolder)}/front`;
  return new SupervisedService({
    name: FRONT_SERVICE,
    run: async () => {
      // Again before each run: a front that was down for long may have lost its certificate.
      await node.enrolFront?.(identity);
      const child = new ChildCommand({
        name: "The front",
        command: frontCommand(node, { ...config, http, grpc }, identity),
        environment: terminal.environment,
        v8Flags: FRONT_V8_FLAGS,
        variables: { CRS_RELAY_BACKEND: config.relayBackend },
        onLine: (line) => terminal.err(`${line}\n`),
      });
      return {
        ready: async () => {
          const started = await child.ready<StartedFront>();
          // A port that the system chose stays the same after a restart.
          if (started.http !== undefined) http = endpointText(started.http);
          if (started.grpc !== undefined) grpc = endpointText(started.grpc);
          return started;
        },
        ended: child.ended,
        stop: () => child.stop(),
      };
    },
    logger,
    scheduler: world.scheduler,
    clock: world.monotonic,
  });
}

/** Returns the command of the front. */
function frontCommand(
  { dataFolder, enrolFront }: RunningNode,
  config: NodeConfig,
  identity: string,
): string[] {
  const { http, httpNames, insecureHttp, readCache, logLevel } = config;
  const { grpc, tlsCertPath, tlsKeyPath } = config;
  const given = (flag: string, value: string) => value === "" ? [] : [flag, value];
  return [
    ...["front", "--data", dataFolder, "--log-level", logLevel],
    ...["--read-cache", `${readCache}`],
    ...(enrolFront === undefined ? [] : ["--identity", identity]),
    ...given("--http", http),
    ...httpNames.split(",").filter(Boolean).flatMap((name) => ["--http-name", name]),
    ...(insecureHttp ? ["--insecure-http"] : []),
    ...given("--tls-certificate", tlsCertPath),
    ...given("--tls-key", tlsKeyPath),
    ...(grpc === "" ? [] : grpcFlags(config)),
  ];
}

function grpcFlags(config: NodeConfig): string[] {
  const { grpc, insecureGrpc, legacyClients, olderRelays, relayTtl, agentTtl } = config;
  const { mapsLease, grpcAdvertise } = config;
  return [
    ...["--grpc", grpc, "--relay-ttl", `${relayTtl}ms`, "--agent-ttl", `${agentTtl}ms`],
    ...(insecureGrpc ? ["--insecure-grpc"] : []),
    ...(legacyClients ? ["--legacy-clients"] : []),
    ...(olderRelays ? ["--older-relays"] : []),
    ...["--maps-lease", `${mapsLease}ms`],
    ...(grpcAdvertise === "" ? [] : ["--grpc-advertise", grpcAdvertise]),
  ];
}
