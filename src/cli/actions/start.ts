/**
 * Runs a node in this process: prints its addresses, waits for a signal, drains and closes. The
 * first signal shuts it down gracefully, a second one exits at once; so does the node's removal from
 * its cluster. A log that accepts no more writes does not end the node, which keeps serving reads.
 */
import { resolve } from "node:path";
import { RegistryError } from "../../base/errors.ts";
import { VERSION } from "../../base/version.ts";
import { loadConfig } from "../../node/config_file.ts";
import type { NodeConfig } from "../../node/config.ts";
import { createLogger } from "../../node/logger.ts";
import type { Logger } from "../../base/logger.ts";
import { type RunningNode, startNode } from "../../node/node.ts";
import { releaseMemory } from "../../node/memory_release.ts";
import { processWorld } from "../../node/process_world.ts";
import { serviceVariables } from "../../node/service_variables.ts";
import { CONFIG_FLAG, SETTING_KEYS, SETTINGS } from "../../node/settings.ts";
import { endpointText } from "../endpoint_text.ts";
import { FRONT_SERVICE, frontService, type StartedFront } from "../front_service.ts";
import { checkInMemory, checkWipeable, wipeFolder } from "../compat/amnesia.ts";
import {
  SVC_REGISTRY,
  type SvcRegistryFlags,
  type SvcRegistrySettings,
  svcRegistrySettings,
} from "../compat/svc_registry.ts";
import { usageFailure } from "../failure.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { invocation, shellWord } from "../invocation.ts";
import { jsonDocument } from "../shell.ts";
import { StopRequest } from "../stop_request.ts";
import type { SupervisedService } from "../supervised_service.ts";
import type { Terminal } from "../terminal.ts";
import { recoverUnsafely } from "./unsafe_recovery.ts";

/** Starts a node, and the front beside it; resolves with the exit code when they have ended. */
export async function startAndWait(
  flags: Readonly<Record<string, unknown>>,
  terminal: Terminal,
): Promise<number> {
  if (flags["confirm"] !== undefined && flags["unsafeRecover"] !== true) {
    throw usageFailure("--confirm needs --unsafe-recover", "Pass both, or neither.", "confirm");
  }
  const { config, logger, compat } = prepared(flags, terminal);
  const stop = new StopRequest(terminal, (signal) => {
    logger.info("Stopping; another signal ends the process at once", { signal });
  });
  try {
    // A signal during the start is remembered: the node is closed as soon as it has started, and a
    // start that waits, for the disk or for a cluster, is aborted.
    const starting = new AbortController();
    void stop.requested.then(() => starting.abort());
    const world = processWorld();
    if (flags["unsafeRecover"] === true) await recoverUnsafely(config, flags, { terminal, world });
    let front: SupervisedService<StartedFront> | undefined;
    const node = await startNode({
      config,
      world,
      logger,
      acceptDataLoss: flags["acceptDataLoss"] === true,
      acceptClockSetBack: flags["acceptClockSetBack"] === true,
      signal: starting.signal,
      serviceRestarts: () => new Map(front === undefined ? [] : [[FRONT_SERVICE, front.restarts]]),
      onOpened: releaseMemory,
      onRemoved: (nodeId) => {
        logger.warn("This node was removed from the cluster: it stops, and starts no more", {
          nodeId,
        });
        stop.request("SIGTERM");
      },
    });
    if (flags["stopWithStdin"] === true) terminal.onInputEnd(() => stop.request("SIGTERM"));
    try {
      if (compat?.signers !== undefined) {
        await node.agreeOnSigners(compat.signers, starting.signal);
      }
      const http = config.http || compat?.http || "";
      if (http !== "" || config.grpc !== "") {
        front = frontService(node, { ...config, http }, { terminal, logger, world });
      }
      const started = await unlessStopped(front, stop);
      if (!stop.isRequested) {
        terminal.out(
          flags["json"] === true
            ? jsonDocument(startedJson(node, started))
            : startedText(node, config, { terminal, front: started }),
        );
      }
      await stop.requested;
    } finally {
      // The front finishes its requests while the node still answers them.
      await front?.stop();
      await node.stop();
      if (compat?.hasAmnesia === true) wipeFolder(config.data);
    }
    return EXIT_CODES.success;
  } catch (error) {
    const isStopped = error instanceof RegistryError && error.code === "shutting_down";
    if (!stop.isRequested || !isStopped) throw error;
    logger.info(error.message);
    return EXIT_CODES.success;
  } finally {
    stop.end();
  }
}

/** Reads the settings, and empties the data folder of a node that is to remember nothing. */
function prepared(flags: Readonly<Record<string, unknown>>, terminal: Terminal) {
  const keys: readonly string[] = [CONFIG_FLAG, ...SETTING_KEYS];
  const own = Object.entries(flags).filter(([key]) => keys.includes(key));
  const compat = compatOf(flags, terminal);
  const settings = { ...compat?.settings, ...Object.fromEntries(own) };
  const config = loadConfig({ flags: settings, environment: terminal.environment });
  const logger = createLogger({ level: config.logLevel, format: logFormat(config, terminal) });
  warnOfServiceVariables(terminal, logger);
  if (compat?.hasAmnesia === true) {
    checkInMemory(config.data);
    checkWipeable(config.data);
    wipeFolder(config.data);
  }
  return { config, logger, compat };
}

/** Returns the settings of the other program whose settings are taken too. */
function compatOf(
  flags: SvcRegistryFlags & { readonly compat?: string },
  { environment }: Terminal,
): SvcRegistrySettings | undefined {
  if (flags.compat === SVC_REGISTRY) return svcRegistrySettings(flags, environment);
  const stray = (["bind", "db", "sigThreshold", "allowSigner"] as const)
    .find((name) => flags[name] !== undefined);
  if (stray === undefined) return undefined;
  throw usageFailure(
    "--bind, --db, --sig-threshold and --allow-signer need --compat",
    `Add --compat ${SVC_REGISTRY}, or use --http, --data and crs governance init.`,
    stray,
  );
}

/** Starts the front, unless the command is told to stop meanwhile. @throws why it did not start. */
async function unlessStopped(
  front: SupervisedService<StartedFront> | undefined,
  stop: StopRequest,
): Promise<StartedFront | undefined> {
  const starting = front?.start();
  // If the command is told to stop, the start fails, and nobody waits for it any more; else the race has its error.
  starting?.catch(() => {});
  return await Promise.race([starting, stop.requested]);
}

/** Warns once about such variables: a setting with one of these names would have no effect. */
function warnOfServiceVariables({ environment }: Terminal, logger: Logger): void {
  const variables = serviceVariables(environment);
  if (variables.length === 0) return;
  logger.warn(
    "Ignoring variables that Kubernetes sets for a service whose name begins with crs; set " +
      "enableServiceLinks: false in the pod's spec to avoid them",
    { variables: variables.join(" ") },
  );
}

function logFormat({ logFormat }: NodeConfig, { isErrTty }: Terminal): "json" | "text" {
  if (logFormat === "json" || logFormat === "text") return logFormat;
  return isErrTty ? "text" : "json";
}

function startedJson(node: RunningNode, front: StartedFront | undefined): unknown {
  const { nodeId, clusterId, addresses, tlsAddresses, ops, created } = node;
  return {
    version: VERSION,
    nodeId,
    clusterId,
    addresses,
    tlsAddresses,
    ops,
    dataFolder: resolve(node.dataFolder),
    created,
    http: front?.http,
    grpc: front?.grpc,
  };
}

/** Returns the text shown at the start: addresses, data folder, identity, and commands to try. */
function startedText(
  node: RunningNode,
  config: NodeConfig,
  { terminal, front }: { readonly terminal: Terminal; readonly front: StartedFront | undefined },
): string {
  const addresses = node.addresses.map(endpointText).join(", ");
  const udp = config.webtransport === "on" ? "QUIC and WebTransport" : "QUIC";
  const tls = node.tlsAddresses.length === 0
    ? ""
    : `               ${node.tlsAddresses.map(endpointText).join(", ")}  TLS, TCP\n`;
  const scheme = config.tlsCertPath === "" ? "http" : "https";
  const http = front?.http === undefined
    ? ""
    : `  HTTP         ${scheme}://${endpointText(front.http)}  /docs /openapi.json /metrics\n`;
  const grpc = front?.grpc === undefined ? "" : `  gRPC         ${endpointText(front.grpc)}\n`;
  const made = node.created ? "new" : "existing";
  const isDefaultFolder = resolve(node.dataFolder) === resolve(SETTINGS.data.default);
  const crs = invocation(terminal.environment);
  const where = isDefaultFolder ? "" : ` --data ${shellWord(node.dataFolder)}`;
  const next = config.authority === ""
    ? [
      `gateway register --file examples/gateway.json${where}`,
      `gateway list --region global${where}`,
      "demo",
    ]
    // Nothing can be done without an identity, so the administrator's certificate comes first.
    : [
      `identity issue --identity <the administrator's folder>${where}`,
      `identity join-token gateway --identity <the administrator's folder>${where}`,
    ];
  return `Central registry ${VERSION}: node ${node.nodeId}, region ${config.region}

  listens on   ${addresses}  ${udp}, UDP
${tls}${http}${grpc}  operations   http://${endpointText(node.ops)}  /healthz /readyz /metrics
  data         ${resolve(node.dataFolder)}  (${made}, cluster ${node.clusterId})
  identity     ${node.notice}

Try next, in a second terminal:

${next.map((command) => `  ${crs} ${command}\n`).join("")}
Stop it with ^C.
`;
}
