/**
 * One side of a comparison (compare.ts): a node and a client of one checkout, which run an
 * operation for some time for each line of standard input. All measured code comes from that
 * checkout; only this file is shared by both sides.
 */
import type { Client } from "../src/client/mod.ts";
import type { RenewItem } from "../src/client/types.ts";
import type * as Fleet from "./fleet.ts";
import { parseFlags } from "./harness.ts";
import type * as Latency from "./latency.ts";
import type * as Load from "./load.ts";
import type * as Servers from "./registry.ts";

/** An order: a line of standard input. */
export interface Order {
  readonly operation: string;
  /** Requests in flight. */
  readonly depth: number;
  readonly seconds: number;
}

/** The result of an order: a line of standard output. */
export interface Turn {
  readonly microsecondsEach: number;
  readonly p50Us: number;
  /** CPU time of the node, user and system, per operation, µs. */
  readonly nodeCpuUs: number;
}

const RECORDS = 10_000;
const TTL_MS = 3_600_000;
const RENEW_ITEMS = 1_000;

const { root } = parseFlags(Deno.args, { root: "" });
const load = <T>(file: string): Promise<T> => import(`${root}/bench/${file}`);
const { agentInput, domainOf, identityOf, RECORDS_PER_GATEWAY, registerFleet, spreadId } =
  await load<typeof Fleet>("fleet.ts");
const { closedLoop } = await load<typeof Load>("load.ts");
const { LatencyHistogram } = await load<typeof Latency>("latency.ts");
const { RegistryServer } = await load<typeof Servers>("registry.ts");

const server = await RegistryServer.start();
const client: Client = await server.connect();
const renewals: RenewItem[] = [];
await registerFleet(
  client,
  { start: 0, end: RECORDS, ttlMs: TTL_MS, withDomain: true },
  (number, incarnation) => renewals.push({ ...identityOf(number), incarnation }),
);
const agents = Array.from({ length: RECORDS }, (_, number) => number)
  .filter((number) => number % RECORDS_PER_GATEWAY !== 0);
const agentAt = (call: number) => agents[(call * 7_919) % agents.length]!;
let next = 0;

/** Every operation creates, reads or renews one record; `renew` a thousand at once. */
const OPERATIONS: Record<string, { readonly items: number; ask(call: number): Promise<unknown> }> =
  {
    get: { items: 1, ask: (call) => client.getAgent(spreadId(1, agentAt(call))) },
    resolve: { items: 1, ask: (call) => client.resolveAgent(domainOf(agentAt(call))) },
    register: {
      items: 1,
      ask: () =>
        client.registerAgent({ ...agentInput(next, TTL_MS, false), id: spreadId(3, next++) }),
    },
    renew: {
      items: RENEW_ITEMS,
      ask: async (call) => {
        const first = (call * RENEW_ITEMS) % RECORDS;
        const { failures } = await client.renew(renewals.slice(first, first + RENEW_ITEMS));
        if (failures.length > 0) throw failures[0]!.error;
      },
    },
  };

/** Returns the CPU time of the node's threads (proc(5), schedstat), µs. */
function nodeCpuUs(): number {
  const tasks = `/proc/${server.process.pid}/task`;
  let ns = 0;
  for (const { name } of Deno.readDirSync(tasks)) {
    try {
      ns += Number(Deno.readTextFileSync(`${tasks}/${name}/schedstat`).split(" ")[0]);
    } catch {
      // The thread has just ended.
    }
  }
  return ns / 1_000;
}

async function run({ operation, depth, seconds }: Order): Promise<Turn> {
  const { items, ask } = OPERATIONS[operation]!;
  const histogram = new LatencyHistogram();
  let calls = 0;
  const counted = (call: number) => {
    calls++;
    return ask(call);
  };
  const cpuBeforeUs = nodeCpuUs();
  const measured = await closedLoop(counted, { depth, seconds }, histogram);
  const cpuUs = nodeCpuUs() - cpuBeforeUs;
  return {
    microsecondsEach: measured.seconds * 1e6 / (measured.operations * items),
    p50Us: histogram.summary().p50Us,
    nodeCpuUs: cpuUs / (calls * items),
  };
}

console.log("ready");
const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
let rest = "";
for await (const text of lines) {
  const whole = (rest + text).split("\n");
  rest = whole.pop()!;
  for (const line of whole) console.log(JSON.stringify(await run(JSON.parse(line) as Order)));
}
await client.close();
await server.stop();
Deno.exit(0);
