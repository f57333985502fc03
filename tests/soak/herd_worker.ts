/**
 * Clients of a herd, in a process of their own: each registers its agents once, and, when told to by a byte on
 * standard input, loses its session and connects and registers all of them again. So many dial at once as the
 * process can: the time limits of more would run out while they wait for each other here, not for the node.
 *
 *     deno run -A tests/soak/herd_worker.ts <data folder> <first number> <agents> <agents of a client>
 *
 * Prints one line when all are registered, and then one with the figures of the return.
 */
import { agentInput } from "../../bench/fleet.ts";
import { connectTo, newDialer } from "../../bench/registry.ts";
import { toRegistryError } from "../../src/base/errors.ts";
import type { Client } from "../../src/client/mod.ts";

const TTL_MS = 3_600_000;
/**
 * Clients that register at the same time at first, when nobody measures; and those that return together: of
 * 256 each needs more than the second of a first attempt of one process's time, and dials four times.
 */
const FIRST_AT_ONCE = 32;
const AGAIN_AT_ONCE = 32;
/** The time limits of a client that returns, for its session and its registration, ms. */
const BACK_MS_MAX = 60_000;

/** The report of one process about the return of its clients. */
export interface HerdReturn {
  /** The time until each agent was registered again, ms. */
  readonly backMs: readonly number[];
  readonly failed: readonly string[];
  /** Attempts of requests beyond the first. */
  readonly retries: number;
}

/** Calls `use` for each number, for so many at the same time. */
async function inTurns(
  numbers: readonly number[],
  atOnce: number,
  use: (number: number) => Promise<void>,
): Promise<void> {
  const left = [...numbers];
  const turn = async () => {
    for (let number = left.pop(); number !== undefined; number = left.pop()) await use(number);
  };
  await Promise.all(Array.from({ length: atOnce }, turn));
}

if (import.meta.main) {
  const [folder = "", first = "0", count = "0", ofClient = "1"] = Deno.args;
  const agentsOfClient = Number(ofClient);
  const numbers = Array.from(
    { length: Math.floor(Number(count) / agentsOfClient) },
    (_, at) => Number(first) + at * agentsOfClient,
  );
  let dialer = newDialer();
  const clients = new Map<number, Client>();
  const options = {
    timeoutMs: BACK_MS_MAX,
    connectTimeoutMs: BACK_MS_MAX,
    inFlightMax: agentsOfClient,
  };
  /** Connects the client whose agents begin with that number. */
  const register = async (number: number, onBack: () => void) => {
    const client = await connectTo(folder, dialer, options);
    clients.set(number, client);
    const agents = Array.from({ length: agentsOfClient }, (_, at) => number + at);
    await Promise.all(agents.map(async (agent) => {
      await client.registerAgent(agentInput(agent, TTL_MS, false), { takeOver: true });
      onBack();
    }));
  };
  await inTurns(numbers, FIRST_AT_ONCE, (number) => register(number, () => {}));
  console.log("registered");
  await Deno.stdin.read(new Uint8Array(1));
  const before = [...clients.values()];
  clients.clear();
  // Ends all sessions at once, as a network that fails.
  await dialer.close();
  await Promise.all(before.map((client) => client.close()));
  dialer = newDialer();
  const beganMs = performance.now();
  const backMs: number[] = [];
  const failed: string[] = [];
  await inTurns(numbers, AGAIN_AT_ONCE, async (number) => {
    try {
      await register(number, () => backMs.push(performance.now() - beganMs));
    } catch (error) {
      const { code, message } = toRegistryError(error);
      failed.push(`${code}: ${message}`);
    }
  });
  const retries = [...clients.values()].reduce((sum, { status }) => sum + status.retries, 0);
  console.log(JSON.stringify({ backMs, failed: failed.slice(0, 10), retries }));
  await Deno.stdin.read(new Uint8Array(1));
  Deno.exit(0);
}
