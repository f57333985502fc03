/**
 * The registry under load: a node in its own process, started as an operator starts it, and clients
 * in this process that use the SDK.
 */
import { trustOfDataFolder } from "../identity/trust/credentials.ts";
import { readNodeFile } from "../identity/files/node_file.ts";
import { QuicDialer } from "../transport/quic_dialer.ts";
import type { Dialer } from "../transport/transport.ts";
import { type Client, type ClientOptions, connect } from "../src/client/mod.ts";
import { processWorld } from "../src/node/process_world.ts";
import { ServerProcess } from "./harness.ts";
import { HELD_MEMORY_FILE } from "./held_memory.ts";

/** The root of the project. */
const ROOT = new URL("..", import.meta.url);
/** Interval of the readiness checks of a starting node, ms. */
const READY_POLL_MS = 5;
const READY_MS_MAX = 60_000;
/** Interval of the checks whether a node has told what memory it holds, ms, and their end. */
const HELD_POLL_MS = 20;
const HELD_MS_MAX = 20_000;

const world = processWorld();

/**
 * Ignores transport errors that no call reports; a bench that loses its server fails by its calls.
 */
const onError = (): void => {};

/** Creates a dialer for the bench's process. */
export function newDialer(): QuicDialer {
  return new QuicDialer({ scheduler: world.scheduler, onError });
}

/** Options of a node that differ from the defaults. */
export interface RegistryOptions {
  /** The data folder. Default: a temporary one, removed at the end. */
  readonly folder?: string;
  /** Flags of the command line, such as `--partitions`, each followed by its value. */
  readonly flags?: readonly string[];
}

/** A node in its own process. */
export class RegistryServer {
  readonly process: ServerProcess;
  readonly folder: string;
  /** Time from the start of the process to the first successful `/readyz`, ms. */
  readonly readyMs: number;
  readonly #isTemporary: boolean;
  readonly #heldFile: string;
  readonly #dialer = newDialer();

  private constructor(process: ServerProcess, folder: string, readyMs: number, temporary: boolean) {
    this.process = process;
    this.folder = folder;
    this.#heldFile = heldFileOf(folder);
    this.readyMs = readyMs;
    this.#isTemporary = temporary;
  }

  static async start(options: RegistryOptions = {}): Promise<RegistryServer> {
    const folder = options.folder ?? Deno.makeTempDirSync({ prefix: "crs-bench-" });
    const startMs = performance.now();
    const process = await ServerProcess.start({
      args: [
        ...startArguments(),
        ...[
          "--data",
          folder,
          "--port",
          "0",
          "--ops-port",
          "0",
          "--peer-port",
          "0",
          "--log-level",
          "warn",
          "--json",
        ],
        ...options.flags ?? [],
      ],
      env: { [HELD_MEMORY_FILE]: heldFileOf(folder) },
      readyMsMax: READY_MS_MAX,
    });
    const readyMs = await untilReady(folder, startMs);
    return new RegistryServer(process, folder, readyMs, options.folder === undefined);
  }

  /** Connects a client over its own connection. */
  connect(options: ClientOptions = {}, dialer: Dialer = this.#dialer): Promise<Client> {
    return connectTo(this.folder, dialer, options);
  }

  /** Returns the sum of a metric over all its labels. */
  async metric(name: string): Promise<number> {
    const { host, port } = readNodeFile(this.folder)!.ops;
    const text = await (await fetch(`http://${host}:${port}/metrics`)).text();
    return text.split("\n")
      .filter((line) => line.startsWith(name) && /^[ {]/.test(line.slice(name.length)))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  }

  /** Returns the memory that the node holds after it collected garbage: heap and buffers, bytes. */
  async heldBytes(): Promise<number> {
    await ifThere(Deno.remove(this.#heldFile));
    Deno.kill(this.process.pid, "SIGUSR2");
    const endMs = performance.now() + HELD_MS_MAX;
    for (;;) {
      const text = await ifThere(Deno.readTextFile(this.#heldFile));
      if (text !== undefined) return Number(text);
      if (performance.now() > endMs) throw new Error(`No memory was told within ${HELD_MS_MAX} ms`);
      await new Promise((resolve) => setTimeout(resolve, HELD_POLL_MS));
    }
  }

  /** Ends the node, with SIGKILL by default, and removes a temporary folder. */
  async stop(signal: Deno.Signal = "SIGKILL"): Promise<void> {
    await this.#dialer.close();
    await this.process.stop(signal);
    await ifThere(Deno.remove(this.#heldFile));
    if (this.#isTemporary) await Deno.remove(this.folder, { recursive: true });
  }
}

/** Returns the outcome of an operation on a file; undefined if the file is not there. */
async function ifThere<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Beside the data folder, in which a node expects no foreign file. */
function heldFileOf(folder: string): string {
  return `${folder}.held`;
}

/** Returns the arguments of `deno task start`, for a process in any folder. */
function startArguments(): string[] {
  const config = JSON.parse(Deno.readTextFileSync(new URL("deno.json", ROOT))) as {
    tasks: { start: string };
  };
  const [, run, ...words] = config.tasks.start.split(" ");
  const programs = words.map((word) => word.endsWith(".ts") ? new URL(word, ROOT).pathname : word);
  return [run!, `--preload=${new URL("held_memory.ts", import.meta.url).pathname}`, ...programs];
}

/** Connects a client to the node that serves `folder`. */
export async function connectTo(
  folder: string,
  dialer: Dialer,
  options: ClientOptions = {},
): Promise<Client> {
  const { addresses, clusterId } = readNodeFile(folder)!;
  return await connect({
    endpoints: addresses.filter(({ transport }) => transport === "quic"),
    dialer,
    trust: trustOfDataFolder(folder),
    world,
    credentials: { kind: "development" },
    options: { clusterId, timeoutMs: 20_000, ...options },
  });
}

/** Polls `/readyz`; returns the time from `startMs` to its first success, ms. */
async function untilReady(folder: string, startMs: number): Promise<number> {
  while (performance.now() - startMs < READY_MS_MAX) {
    const { host, port } = readNodeFile(folder)!.ops;
    const response = await fetch(`http://${host}:${port}/readyz`);
    await response.body?.cancel();
    if (response.ok) return performance.now() - startMs;
    await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS));
  }
  throw new Error(`The node was not ready within ${READY_MS_MAX} ms`);
}
