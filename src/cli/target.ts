/**
 * Selects the registry: `--server`, else CRS_SERVER, else the local node of the data folder, or the
 * nodes of the development cluster in `./cluster` if no folder is named and none runs in `./data`. A
 * local node writes its addresses to `node.json`, next to its CA. The file remains after a crash,
 * so the node named there may not be running.
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { defined } from "../base/assert.ts";
import { RegistryError } from "../base/errors.ts";
import {
  CLI_CONNECT_MS,
  READ_STALENESS_MS_MAX,
  REQUEST_TIMEOUT_MS_DEFAULT,
  REQUEST_TIMEOUT_MS_MAX,
} from "../base/limits.ts";
import { trustOfCaFile, trustOfDataFolder, trustOfPins } from "../../identity/trust/credentials.ts";
import { IdentityFolder } from "../../identity/files/identity_folder.ts";
import { logFolderOf } from "../node/data_folder.ts";
import { SETTINGS } from "../node/settings.ts";
import { LOCK_FILE } from "../wal/segment.ts";
import type { Endpoint, Trust } from "../../transport/transport.ts";
import { formatDuration, parseDuration } from "./duration.ts";
import { CliFailure, usageFailure } from "./failure.ts";
import { startInvocation } from "./invocation.ts";
import {
  CLUSTER_FOLDER_DEFAULT,
  type LocalNodeFile,
  localNodesIn,
  trustInNodes,
} from "./local_nodes.ts";
import type { ServerOptions } from "./shell.ts";

/** The addresses to connect to, and how the server is verified. */
export interface Target {
  readonly endpoints: readonly Endpoint[];
  readonly trust: Trust;
  /** True if trust was given explicitly rather than found in a data folder. */
  readonly isTrustNamed?: boolean;
  /** Timeout of a call, ms. */
  readonly timeoutMs: number;
  /** Timeout of establishing a connection, ms. */
  readonly connectMs: number;
  /** Content of the local node's file; absent if the server was named. */
  readonly local?: {
    readonly folder: string;
    readonly clusterId: string;
    readonly region: string;
    readonly processId: number;
    /** False if that process has ended, for example after a crash. */
    readonly isAlive: boolean;
    /** A process that holds the folder but does not listen yet. */
    readonly starting?: StartingProcess;
  };
}

/**
 * Connect timeout for a process that has ended: only a successor that is just starting may answer.
 */
const GONE_CONNECT_MS = 500;

/** Trust in no server. */
const NO_TRUST: Trust = { kind: "ca", pem: [] };

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Returns the age that the reads of a command accept, ms; 0 for linearizable reads.
 *
 * @throws CliFailure `invalid_argument`.
 */
export function stalenessOf({ maxStaleness }: ServerOptions): number {
  if (maxStaleness === undefined) return 0;
  return parseDuration(maxStaleness, "--max-staleness", { min: 0, max: READ_STALENESS_MS_MAX });
}

/**
 * Returns the registry selected by options and environment.
 *
 * @throws RegistryError `invalid_argument` for an invalid server, pin or timeout; `connection_lost`
 * if no local node is found.
 */
export function findTarget(
  options: ServerOptions,
  environment: Environment,
  isAlive: (processId: number) => boolean = isProcessAlive,
): Target {
  const timeoutMs = options.timeout === undefined
    ? REQUEST_TIMEOUT_MS_DEFAULT
    : parseDuration(options.timeout, "--timeout", { min: 1, max: REQUEST_TIMEOUT_MS_MAX });
  // An empty variable counts as unset.
  const folder = options.data ?? (environment["CRS_DATA"] || SETTINGS.data.default);
  const proven = identityOf(options, environment);
  if (options.tls === true) checkTls(options, proven);
  const named = options.server ??
    (options.data === undefined ? environment["CRS_SERVER"] || undefined : undefined);
  const trust = options.tls === true
    ? tlsTrust(options, defined(proven, "TLS was checked to have an identity"))
    : namedTrust(options, environment);
  if (named !== undefined) {
    const endpoints = named.split(",").map((text) => parseServer(text.trim()));
    // An explicit timeout applies to connecting too.
    const connectMs = options.timeout === undefined
      ? Math.min(timeoutMs, CLI_CONNECT_MS * endpoints.length)
      : timeoutMs;
    const times = { timeoutMs, connectMs };
    if (trust !== undefined) return { endpoints, trust, isTrustNamed: true, ...times };
    // The trust bundle of the identity may contain the server.
    const isProven = proven !== undefined;
    return { endpoints, trust: isProven ? NO_TRUST : folderTrust(folder), ...times };
  }
  const isFolderNamed = options.data !== undefined || Boolean(environment["CRS_DATA"]);
  const nodes = runningNodes(isFolderNamed ? [folder] : [folder, CLUSTER_FOLDER_DEFAULT], isAlive);
  const [node] = nodes;
  const starting = startingProcess(folder, isAlive);
  if (node === undefined) throw starting?.failure ?? noNode(folder, environment);
  const { clusterId, region, processId } = node;
  // A client that proves an identity must know which certificate the server presented, so it uses
  // the nodes' pins instead of their CAs.
  const isProven = proven !== undefined;
  const wanted = options.tls === true ? "tls" : "quic";
  const endpoints = nodes.flatMap(({ addresses }) => addresses)
    .filter(({ transport }) => transport === wanted)
    .map(({ host, port }) => ({ host, port }));
  if (endpoints.length === 0 && wanted === "tls") {
    throw new CliFailure("connection_lost", `The node of ${node.folder} does not listen for TLS`, {
      advice: "Start it with --tls on.",
    });
  }
  const local = {
    folder: node.folder,
    clusterId,
    region,
    processId,
    isAlive: node.isAlive,
    ...(starting === undefined ? {} : { starting }),
  };
  return {
    endpoints,
    trust: trust ?? trustInNodes(nodes, isProven),
    ...(trust === undefined ? {} : { isTrustNamed: true }),
    timeoutMs,
    // A live process may be busy starting.
    connectMs: local.isAlive ? timeoutMs : Math.min(timeoutMs, GONE_CONNECT_MS),
    local,
  };
}

/**
 * Returns the nodes of the first folder in which one is alive, and of them those that are alive; if
 * none is, one that has ended; empty if there is none at all.
 */
function runningNodes(
  folders: readonly string[],
  isAlive: (processId: number) => boolean,
): readonly LocalNodeFile[] {
  const found = folders.map((folder) => localNodesIn(folder, isAlive));
  const running = found.map((nodes) => nodes.filter((node) => node.isAlive))
    .find((nodes) => nodes.length > 0);
  return running ?? found.flat().slice(0, 1);
}

/** Returns the folder of the identity to use; `undefined` for none. */
export function identityOf(
  { identity }: ServerOptions,
  environment: Environment,
): string | undefined {
  return identity ?? (environment["CRS_IDENTITY"] || undefined);
}

/** Returns the error of a failed connection, with specific advice where possible. */
export function unreachableFailure(
  { endpoints, local, connectMs, isTrustNamed }: Pick<
    Target,
    "endpoints" | "local" | "connectMs" | "isTrustNamed"
  >,
  environment: Environment,
  cause: RegistryError,
): RegistryError {
  if (cause.code === "tls_failed" && local?.isAlive === true && isTrustNamed !== true) {
    return new CliFailure(
      "tls_failed",
      `The certificate of the node in ${local.folder} is not the one that its data folder names: ` +
        cause.message,
      {
        advice:
          "If the node was started with --authority meanwhile, pass an identity with --identity " +
          "(crs identity issue gets one); else pass the pin that the node prints when it starts, " +
          "with --pin.",
        cause,
      },
    );
  }
  if (cause.code !== "deadline_exceeded" && cause.code !== "connection_lost") return cause;
  if (local?.isAlive === false) {
    if (local.starting !== undefined) return local.starting.failure;
    return new CliFailure(
      "connection_lost",
      `The node of ${local.folder} is not running: its process ${local.processId} has ended`,
      { advice: `Start it: ${startInvocation(environment)}`, cause },
    );
  }
  const where = endpoints.map(({ host, port }) => `${host} port ${port}`).join(", ");
  const within = formatDuration(connectMs);
  return new CliFailure(
    cause.code,
    `No node answers at ${where} within ${within}: ${cause.message}`,
    {
      advice:
        "Check host and port, that a node listens there (crs status on its machine), and that " +
        "UDP reaches it (--tls uses TCP); or pass a longer --timeout.",
      cause,
    },
  );
}

/** A node that is reading its log: it holds the folder's lock, and node.json is not its own. */
interface StartingProcess {
  readonly failure: CliFailure;
}

function startingProcess(
  folder: string,
  isAlive: (processId: number) => boolean,
): StartingProcess | undefined {
  let processId: number;
  try {
    processId = Number.parseInt(readFileSync(`${logFolderOf(folder)}/${LOCK_FILE}`, "utf8"), 10);
  } catch {
    // No node was ever started here, or it belongs to another user.
    return undefined;
  }
  if (!(processId > 0) || !isAlive(processId)) return undefined;
  const message = `The node of ${folder} is starting: its process ${processId} does not listen yet`;
  const advice = "Wait until it is ready; its own log shows what it is waiting for.";
  return { failure: new CliFailure("connection_lost", message, { advice }) };
}

function noNode(folder: string, environment: Environment): CliFailure {
  return new CliFailure("connection_lost", `No node found: ${folder}/node.json does not exist`, {
    advice:
      `Start a node here (${startInvocation(environment)}), pass its data folder with --data, or ` +
      "pass a node's address with --server.",
  });
}

/** Returns the trust given by `--ca`, `--pin` or their variables; flags take precedence. */
function namedTrust({ ca, pin }: ServerOptions, environment: Environment): Trust | undefined {
  if (pin !== undefined) return trustOfPins(pin);
  if (ca !== undefined) return namedCa(ca);
  const { CRS_PIN: pins, CRS_CA: file } = environment;
  if (pins) return trustOfPins(pins.split(","));
  return file ? namedCa(file) : undefined;
}

/** Returns trust in the CAs of a file that the options name. */
function namedCa(path: string): Trust {
  return foundTrust(
    () => trustOfCaFile(path),
    usageFailure(`No CA found: ${path} does not exist`, "Pass the CA's file, or a pin.", "ca"),
  );
}

/** Returns the trust that `load` finds, or throws the failure if it finds none. */
function foundTrust(load: () => Trust, failure: RegistryError): Trust {
  try {
    return load();
  } catch (error) {
    if (error instanceof RegistryError && error.code === "not_found") throw failure;
    throw error;
  }
}

/**
 * Checks the options of `--tls`: TLS requires a client certificate and verifies the server by its
 * CA alone.
 */
function checkTls({ pin }: ServerOptions, identity: string | undefined): void {
  if (identity === undefined) {
    throw usageFailure(
      "--tls needs an identity: TLS requires its certificate",
      "Pass your identity folder with --identity or CRS_IDENTITY.",
      "identity",
    );
  }
  if (pin !== undefined) {
    throw usageFailure(
      "--pin cannot be used with --tls: TLS verifies the server's certificate by its CA",
      "Omit --pin.",
      "pin",
    );
  }
}

/** Returns the CA given by flag, else the roots of the identity. */
function tlsTrust({ ca }: ServerOptions, identity: string): Trust {
  return ca === undefined
    ? { kind: "ca", pem: [new IdentityFolder(identity).rootsPem] }
    : namedCa(ca);
}

/** A named server may be the local one under another address, so the local CA is tried. */
function folderTrust(folder: string): Trust {
  return foundTrust(
    () => trustOfDataFolder(folder),
    usageFailure(
      "Cannot verify the server as neither a CA nor a pin is known",
      "Pass the server's CA with --ca, its certificate's hash with --pin (see node.json in its " +
        "data folder), or the data folder itself with --data.",
      "server",
    ),
  );
}

/** Parses `host`, `host:port` or `[::1]:port`; the port defaults to that of nodes. */
function parseServer(text: string): Endpoint {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text);
  const port = Number(match?.[3] ?? SETTINGS.port.default);
  if (match === null || port < 1 || port > 65_535) {
    throw usageFailure(
      `--server must be host:port: found ${JSON.stringify(text)}`,
      "For example 127.0.0.1:4443 or [::1]:4443; separate several with commas.",
      "server",
    );
  }
  return { host: match[1] ?? match[2]!, port };
}

function isProcessAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    // EPERM: the process exists and belongs to another user.
    const isGone = typeof error === "object" && error !== null && "code" in error &&
      error.code === "ESRCH";
    return !isGone;
  }
}
