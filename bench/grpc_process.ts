/**
 * A load by gRPC, run by Node in a process of its own, because a gRPC client inside Deno can abort the
 * process. Each order is a line of its standard input, each result a line of its standard output.
 */
import { LineReader } from "./cluster/line_reader.ts";

/** The gRPC client of the loads, installed for them alone. */
const PACKAGE = "@grpc/grpc-js@1.14.7";
const FOLDER = new URL("../tmp/grpc_load", import.meta.url).pathname;
/** A Node that runs TypeScript files as they are. */
const NODE = ["npx", "-y", "node@24"];

/** Returns what is missing to run such a load, as one line; undefined if nothing is. */
export async function grpcProcessMissing(): Promise<string | undefined> {
  return await runs([...NODE, "--version"]) ? undefined : "npx cannot run Node 24";
}

/** Reports whether a command can be run. */
export async function runs([command = "", ...args]: readonly string[]): Promise<boolean> {
  try {
    const options = { args, stdin: "null", stdout: "null", stderr: "null" } as const;
    return (await new Deno.Command(command, options).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** A running load. */
export class GrpcProcess<Order, Result> {
  readonly #child: Deno.ChildProcess;
  readonly #lines: LineReader;
  readonly #orders: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#lines = new LineReader(child.stdout);
    this.#orders = child.stdin.getWriter();
  }

  /**
   * Starts a program, and waits for its first line.
   *
   * @param args its arguments after the first one, which is the folder of the gRPC client.
   */
  static async start<Order, Result>(
    program: URL,
    args: readonly string[],
  ): Promise<GrpcProcess<Order, Result>> {
    await installClient();
    const child = new Deno.Command(NODE[0]!, {
      args: [...NODE.slice(1), "--no-warnings", program.pathname, FOLDER, ...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const process = new GrpcProcess<Order, Result>(child);
    await process.#lines.next();
    return process;
  }

  async measure(order: Order): Promise<Result> {
    await this.#orders.write(new TextEncoder().encode(`${JSON.stringify(order)}\n`));
    return JSON.parse(await this.#lines.next()) as Result;
  }

  /** Ends the process, by the end of its input: a signal would reach npx alone. */
  async stop(): Promise<void> {
    await this.#orders.close();
    await this.#child.status;
  }
}

async function installClient(): Promise<void> {
  await Deno.mkdir(FOLDER, { recursive: true });
  const { success, stderr } = await new Deno.Command("npm", {
    args: ["install", "--prefix", FOLDER, "--no-audit", "--no-fund", PACKAGE],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}
