/**
 * Which registry is meant: `--server`, else CRS_SERVER, else the node whose data folder this is. A
 * local node says in `node.json` where it listens, and its CA stands beside it; after a crash the
 * file stays, so a node that is named there need not be there.
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { defined } from "../base/assert.ts";
import { RegistryError } from "../base/errors.ts";
import {
  CLI_CONNECT_MS,
  REQUEST_TIMEOUT_MS_DEFAULT,
  REQUEST_TIMEOUT_MS_MAX,
} from "../base/limits.ts";
import {
  hasCa,
  trustOfCaFile,
  trustOfDataFolder,
  trustOfPins,
} from "../../identity/trust/credentials.ts";
import { IdentityFolder } from "../../identity/files/identity_folder.ts";
import { readNodeFile } from "../../identity/files/node_file.ts";
import { logFolderOf } from "../node/data_folder.ts";
import { SETTINGS } from "../node/settings.ts";
import { LOCK_FILE } from "../wal/segment.ts";
import type { Endpoint, Trust } from "../../transport/transport.ts";
import { formatDuration, parseDuration } from "./duration.ts";
import { CliFailure, usageFailure } from "./failure.ts";
import { invocation } from "./invocation.ts";
import type { ServerOptions } from "./shell.ts";

/** Where to connect to, and by what it is believed. */
export interface Target {
  readonly endpoints: readonly Endpoint[];
  readonly trust: Trust;
  /** True where trust was named, and not only found. */
  readonly isTrustNamed?: boolean;
  /** Time for a call, ms. */
  readonly timeoutMs: number;
  /** Time until there is a connection, ms. */
  readonly connectMs: number;
  /** What the local node's file says; absent where the server was named. */
  readonly local?: {
    readonly folder: string;
    readonly clusterId: string;
    readonly region: string;
    readonly processId: number;
    /** False where that process has ended, as after a crash. */
    readonly isAlive: boolean;
    /** A process that holds the folder and does not listen yet. */
    readonly starting?: StartingProcess;
  };
}

/** A process that has ended will not answer; its successor, just starting, may. */
const GONE_CONNECT_MS = 500;

/** Believes nobody. */
const NO_TRUST: Trust = { kind: "ca", pem: [] };

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The registry that the options and the environment mean.
 *
 * @throws RegistryError `invalid_argument` for a server, pin or time that cannot be used;
 * `connection_lost` where no local node is found.
 */
export function findTarget(
  options: ServerOptions,
  environment: Environment,
  isAlive: (processId: number) => boolean = isProcessAlive,
): Target {
  const timeoutMs = options.timeout === undefined
    ? REQUEST_TIMEOUT_MS_DEFAULT
    : parseDuration(options.timeout, "--timeout", { min: 1, max: REQUEST_TIMEOUT_MS_MAX });
  // A variable that is set to nothing is as good as none.
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
    // Whoever names a time wants to wait that long.
    const connectMs = options.timeout === undefined
      ? Math.min(timeoutMs, CLI_CONNECT_MS * endpoints.length)
      : timeoutMs;
    const times = { timeoutMs, connectMs };
    if (trust !== undefined) return { endpoints, trust, isTrustNamed: true, ...times };
    // The trust bundle of the identity may know the server.
    const isProven = proven !== undefined;
    return { endpoints, trust: isProven ? NO_TRUST : folderTrust(folder), ...times };
  }
  const node = readNodeFile(folder);
  const starting = startingProcess(folder, isAlive);
  if (node === undefined) throw starting?.failure ?? noNode(folder, environment);
  const { clusterId, region, processId } = node;
  // Whoever proves an identity must know which certificate was shown: its pins, not its CA.
  const pins = { kind: "pins", sha256: [node.currentPin, node.nextPin] } as const;
  const isProven = proven !== undefined;
  const way = options.tls === true ? "tls" : "quic";
  const endpoints = node.addresses.filter(({ transport }) => transport === way)
    .map(({ host, port }) => ({ host, port }));
  if (endpoints.length === 0 && way === "tls") {
    throw new CliFailure("connection_lost", `The node of ${folder} does not listen by TLS`, {
      advice: "Start it with --tls on.",
    });
  }
  const local = {
    folder,
    clusterId,
    region,
    processId,
    isAlive: isAlive(processId),
    ...(starting === undefined ? {} : { starting }),
  };
  return {
    endpoints,
    trust: trust ?? (isProven || !hasCa(folder) ? pins : trustOfDataFolder(folder)),
    ...(trust === undefined ? {} : { isTrustNamed: true }),
    timeoutMs,
    // A process that lives may be busy starting.
    connectMs: local.isAlive ? timeoutMs : Math.min(timeoutMs, GONE_CONNECT_MS),
    local,
  };
}

/** The folder of the identity that is to be proven; `undefined`: none. */
export function identityOf(
  { identity }: ServerOptions,
  environment: Environment,
): string | undefined {
  return identity ?? (environment["CRS_IDENTITY"] || undefined);
}

/** Why no connection could be made, with what to do about it where that is known. */
export function unreachableFailure(
  { endpoints, local, connectMs }: Pick<Target, "endpoints" | "local" | "connectMs">,
  environment: Environment,
  cause: RegistryError,
): RegistryError {
  if (cause.code !== "deadline_exceeded" && cause.code !== "connection_lost") return cause;
  if (local?.isAlive === false) {
    if (local.starting !== undefined) return local.starting.failure;
    return new CliFailure(
      "connection_lost",
      `The node of ${local.folder} does not run: its process ${local.processId} has ended`,
      { advice: `Start it: ${startCommand(environment)}`, cause },
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
        "UDP reaches it (--tls goes by TCP); or give it more --timeout.",
      cause,
    },
  );
}

/** A node that reads its log: it holds the folder's lock, and node.json is not its own. */
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
    // Nobody ever started here, or another user did.
    return undefined;
  }
  if (!(processId > 0) || !isAlive(processId)) return undefined;
  const message = `The node of ${folder} is starting: its process ${processId} does not listen yet`;
  const advice = "Wait until it is ready; its own log says what it waits for.";
  return { failure: new CliFailure("connection_lost", message, { advice }) };
}

function noNode(folder: string, environment: Environment): CliFailure {
  return new CliFailure("connection_lost", `No node is found: ${folder}/node.json is not there`, {
    advice:
      `Start a node here (${startCommand(environment)}), name its data folder by --data, or ` +
      "name a node by --server.",
  });
}

function startCommand(environment: Environment): string {
  return `${invocation(environment).replace(/ crs$/, "")} start`;
}

/** What `--ca`, `--pin` or their variables say; flags win. */
function namedTrust({ ca, pin }: ServerOptions, environment: Environment): Trust | undefined {
  if (pin !== undefined) return trustOfPins(pin);
  if (ca !== undefined) return trustOfCaFile(ca);
  const { CRS_PIN: pins, CRS_CA: file } = environment;
  if (pins) return trustOfPins(pins.split(","));
  return file ? trustOfCaFile(file) : undefined;
}

/** TLS asks who comes for a certificate, and judges the server's by its CA alone. */
function checkTls({ pin }: ServerOptions, identity: string | undefined): void {
  if (identity === undefined) {
    throw usageFailure(
      "--tls needs an identity: TLS asks for its certificate",
      "Name the folder of yours by --identity or CRS_IDENTITY.",
      "identity",
    );
  }
  if (pin !== undefined) {
    throw usageFailure(
      "--pin says nothing by --tls: TLS judges the server's certificate by its CA",
      "Leave --pin away.",
      "pin",
    );
  }
}

/** The CA that was named by flag, else the roots of the identity. */
function tlsTrust({ ca }: ServerOptions, identity: string): Trust {
  return ca === undefined
    ? { kind: "ca", pem: [new IdentityFolder(identity).rootsPem] }
    : trustOfCaFile(ca);
}

/** A server that was named may be the local one, by another way: its CA is tried. */
function folderTrust(folder: string): Trust {
  try {
    return trustOfDataFolder(folder);
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code !== "not_found") throw error;
    throw usageFailure(
      "Cannot believe the server as neither a CA nor a pin is known",
      "Name the server's CA by --ca, or its certificate's hash by --pin (it stands in the " +
        "node.json of its data folder), or the data folder itself by --data.",
      "server",
    );
  }
}

/** `host`, `host:port`, `[::1]:port`; without a port the one that nodes have by default. */
function parseServer(text: string): Endpoint {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text);
  const port = Number(match?.[3] ?? SETTINGS.port.default);
  if (match === null || port < 1 || port > 65_535) {
    throw usageFailure(
      `--server must be host:port: found ${JSON.stringify(text)}`,
      "Give it as 127.0.0.1:4443 or [::1]:4443, several with commas.",
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
    // EPERM: it is there and belongs to somebody else.
    const isGone = typeof error === "object" && error !== null && "code" in error &&
      error.code === "ESRCH";
    return !isGone;
  }
}
