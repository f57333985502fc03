/**
 * A server of others (Redis, etcd) for one test file: on a free loopback port, with a folder of its own,
 * that can be killed, stopped and started again.
 */
import { defined } from "../../src/base/assert.ts";
import { until, within } from "./until.ts";

/** Ports tried: another process may take a free one first. */
const PORTS_MAX = 5;
/** Time to start, ms, on a busy machine. */
const START_MS = 20_000;

/** The program to start, and how. */
export interface ServerPlan {
  readonly program: string;
  args(port: number, folder: string): readonly string[];
  /** Reports whether the server answers. */
  isReady(port: number): Promise<boolean>;
}

/** A running server. */
export class BackendServer {
  readonly port: number;
  readonly #plan: ServerPlan;
  readonly #folder: string;
  #process: Deno.ChildProcess | undefined;

  private constructor(plan: ServerPlan, port: number, folder: string) {
    this.#plan = plan;
    this.port = port;
    this.#folder = folder;
  }

  static async start(plan: ServerPlan): Promise<BackendServer> {
    for (let attempt = 1;; attempt++) {
      const server = new BackendServer(plan, freePort(), await Deno.makeTempDir());
      try {
        await server.start();
        return server;
      } catch (error) {
        await server.close();
        if (attempt === PORTS_MAX) throw error;
      }
    }
  }

  /** Uses a server until `use` ends. */
  static async with(
    plan: ServerPlan,
    use: (server: BackendServer) => Promise<void>,
  ): Promise<void> {
    const server = await BackendServer.start(plan);
    try {
      await use(server);
    } finally {
      await server.close();
    }
  }

  /** Starts it, also after it was killed. */
  async start(): Promise<void> {
    const { program, args, isReady } = this.#plan;
    const process = new Deno.Command(program, {
      args: [...args(this.port, this.#folder)],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    this.#process = process;
    let hasEnded = false;
    process.status.then(() => hasEnded = true);
    await until(`${program} answers`, async () => {
      if (hasEnded) throw new Error(`${program} ended at once`);
      return await isReady(this.port);
    }, START_MS);
  }

  /** Kills it; its data stays. */
  async kill(): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    if (process === undefined) return;
    process.kill("SIGKILL");
    await within("the server ends", process.status, START_MS);
  }

  /** Stops it, and waits until all its threads have: its connections stay open and it answers nothing. */
  async pause(): Promise<void> {
    const { pid } = defined(this.#process, "It runs");
    Deno.kill(pid, "SIGSTOP");
    await until("all threads are stopped", () => statesOf(pid).every((state) => state === "T"));
  }

  /** Lets it go on. */
  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  async close(): Promise<void> {
    await this.kill();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** Returns a port that was free a moment ago. */
export function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return port;
}

/** Reports whether a server accepts connections, as `isReady` of a plan. */
export async function isListening(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}

/** Returns the state of each thread of a process, as in `/proc`. */
function statesOf(pid: number): string[] {
  return Array.from(Deno.readDirSync(`/proc/${pid}/task`), ({ name }) => {
    const stat = Deno.readTextFileSync(`/proc/${pid}/task/${name}/stat`);
    return stat.slice(stat.lastIndexOf(")") + 2)[0]!;
  });
}
