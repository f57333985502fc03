/**
 * A herd: thousands of agents that lose their sessions and are connected and registered again at once, while
 * others read: `deno task soak herd [agents] [agents of a client]`, by default 10,000, each with a client of its
 * own, from two processes. With 100 agents of a client it is a herd of gateways that hold many records.
 *
 * Holds if all are back within 10 s, and the 99th percentile of the others' reads is below 20 ms meanwhile.
 * The node, the herd and the readers share the machine's processors: the time of the node's own processor is
 * shown, and what the readers took while nothing else happened.
 */
import { LatencyHistogram } from "../../bench/latency.ts";
import { cpuMs } from "../../bench/cluster/servers.ts";
import { connectTo, newDialer, RegistryServer } from "../../bench/registry.ts";
import { agentInput, domainOf } from "../../bench/fleet.ts";
import type { HerdReturn } from "./herd_worker.ts";
import type { SoakResult } from "./soak.ts";

const AGENTS = 10_000;
const PROCESSES = 2;
const BACK_MS_MAX = 10_000;
const OTHERS_MS_MAX = 20;
/** Other clients, and the pause of each between two reads. */
const OTHERS = 4;
const PAUSE_MS = 5;
const QUIET_MS = 5_000;
/** Numbers of the herd's agents begin behind those of the agents that others read. */
const FIRST = 100;

/** Runs the herd. */
export async function run(args: readonly string[]): Promise<SoakResult> {
  const agents = Number(args[0] ?? AGENTS);
  const agentsOfClient = Number(args[1] ?? 1);
  const server = await RegistryServer.start();
  const herd = Array.from({ length: PROCESSES }, (_, at) => {
    const count = Math.floor(agents / PROCESSES);
    return new HerdProcess(server.folder, [FIRST + at * count, count, agentsOfClient]);
  });
  const others = await Others.start(server.folder);
  try {
    for (const process of herd) await process.line();
    others.next();
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    const quiet = others.next();
    const beforeMs = cpuMs(server.process.pid);
    const beganMs = performance.now();
    for (const process of herd) process.go();
    const returns = await Promise.all(
      herd.map(async (process) => JSON.parse(await process.line()) as HerdReturn),
    );
    const tookMs = performance.now() - beganMs;
    const meanwhile = others.next();
    const nodeCpuMs = cpuMs(server.process.pid) - beforeMs;
    const backMs = returns.flatMap((one) => one.backMs).sort((left, right) => left - right);
    const failed = agents - backMs.length;
    const figures = {
      agents,
      clients: agents / agentsOfClient,
      failed,
      failures: returns.flatMap((one) => one.failed).slice(0, 5),
      retries: returns.reduce((sum, one) => sum + one.retries, 0),
      backMsP50: Math.round(backMs[Math.floor(backMs.length / 2)] ?? Infinity),
      backMsMax: Math.round(backMs.at(-1) ?? Infinity),
      tookMs: Math.round(tookMs),
      nodeCpuMs: Math.round(nodeCpuMs),
      connectionsRefused: await server.metric("crs_connections_overdue_total"),
      othersQuietMsP99: quiet.p99Ms,
      othersReads: meanwhile.reads,
      othersFailed: others.failed,
      othersMsP50: meanwhile.p50Ms,
      othersMsP90: meanwhile.p90Ms,
      othersMsP99: meanwhile.p99Ms,
      othersMsMax: meanwhile.maxMs,
    };
    const holds = failed === 0 && others.failed === 0 && figures.backMsMax < BACK_MS_MAX &&
      figures.othersMsP99 < OTHERS_MS_MAX;
    return { figures, holds };
  } finally {
    await others.end();
    for (const process of herd) process.end();
    await server.stop();
  }
}

/** A process of clients of the herd. */
class HerdProcess {
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #commands: WritableStreamDefaultWriter<Uint8Array>;
  #text = "";

  /** @param numbers the arguments of herd_worker.ts behind the folder. */
  constructor(folder: string, numbers: readonly number[]) {
    const script = new URL("herd_worker.ts", import.meta.url).pathname;
    // It takes what the node and the others leave of the processors, as if it ran elsewhere.
    this.#child = new Deno.Command("nice", {
      args: [
        ...["-n", "19", Deno.execPath(), "run", "-A", "--no-check"],
        ...[script, folder, ...numbers.map(String)],
      ],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#lines = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#commands = this.#child.stdin.getWriter();
  }

  /** Returns the next line that it prints. */
  async line(): Promise<string> {
    for (;;) {
      const end = this.#text.indexOf("\n");
      if (end !== -1) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        return line;
      }
      const { value, done } = await this.#lines.read();
      if (done) throw new Error("A process of the herd ended");
      this.#text += value;
    }
  }

  /** Lets its clients return. */
  go(): void {
    void this.#commands.write(new Uint8Array(1));
  }

  end(): void {
    this.#child.kill("SIGKILL");
  }
}

/** Clients that read, one after another, with a pause. */
class Others {
  failed = 0;
  #latencies = new LatencyHistogram();
  #isOver = false;
  #loops: Promise<void>[] = [];
  readonly #dialer = newDialer();

  private constructor() {}

  static async start(folder: string): Promise<Others> {
    const others = new Others();
    for (let number = 1; number <= OTHERS; number++) {
      const client = await connectTo(folder, others.#dialer);
      await client.registerAgent(agentInput(number, 3_600_000, true));
      const read = async () => {
        const beganMs = performance.now();
        await client.resolveAgent(domainOf(number)).catch(() => others.failed++);
        others.#latencies.record((performance.now() - beganMs) * 1_000);
      };
      others.#loops.push(others.#repeat(read).then(() => client.close()));
    }
    return others;
  }

  /** Returns the figures since the last call, and begins anew. */
  next() {
    const latencies = this.#latencies;
    this.#latencies = new LatencyHistogram();
    return {
      reads: latencies.count,
      p50Ms: Math.round(latencies.percentileUs(50)) / 1_000,
      p90Ms: Math.round(latencies.percentileUs(90)) / 1_000,
      p99Ms: Math.round(latencies.percentileUs(99)) / 1_000,
      maxMs: Math.round(latencies.maxUs) / 1_000,
    };
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#loops);
    await this.#dialer.close();
  }

  async #repeat(read: () => Promise<void>): Promise<void> {
    while (!this.#isOver) {
      await read();
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}
