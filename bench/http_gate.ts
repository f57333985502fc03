/**
 * Compares the p95 of reads of a descriptor over HTTP with that of a bare server in the same run, and
 * fails if their ratio has grown by more than a tenth since it was recorded:
 *
 *     deno task gate                  fails if the ratio is above the bound
 *     deno task gate --renew          records the ratio as the new one of this CPU: the middle of three
 *     deno task gate --slower 15      adds 15 % to the work of each answer, and must fail
 *
 * A change that is worth its time renews the record, in the same commit, and says so in its message. The
 * record is that of a machine with nothing else to do: other programs empty the caches, which slows the
 * front down more than the bare server. Therefore a ratio above the bound is measured again, twice at
 * most, and the lowest one counts; a front that does more work stays above it each time.
 *
 * CPUs differ by more than a tenth in how much slower a front is than a bare server, so each has a record.
 * On one that has none, the largest of the others counts, and half of it more: that still tells a change
 * which takes the front's time again.
 *
 * The time of a batch is measured: 64 connections ask at once, as in the bench `http`, and the
 * answer that comes last has waited for the others. It is the CPU time that the server's main thread takes
 * for them, because all time that passes would be that of other programs as well. Both servers are asked in
 * short turns, one after the other, so that what slows the machine down falls on both, and are started
 * anew a few times, because a process is some percent faster or slower for as long as it lives.
 */
import { govern, idOf, publish } from "./governed_fleet.ts";
import { describeMachine, machineSentence } from "./harness.ts";
import { HttpBatches } from "./http_batches.ts";
import { type HttpServer, startBareServer, startFront } from "./http_servers.ts";
import { RegistryServer } from "./registry.ts";

const BOUND_FILE = new URL("bounds/http_gate.json", import.meta.url);
/** The ratio may grow to this much of the recorded one; of another CPU's, to that much. */
const GROWTH_MAX = 1.1;
const GROWTH_MAX_OTHER_CPU = 1.5;
const PERCENTILE = 0.95;
const TRIES = 3;

const DESCRIPTORS = 256;
const CONNECTIONS = 64;
/** Pairs of processes, and the turns of each of the two. */
const PAIRS = 5;
const TURNS = 8;
const TURN_SECONDS = 0.2;
/** Time of a new process that only its compiler needs. */
const WARM_UP_SECONDS = 1.2;

/** A recorded ratio. */
interface Recorded {
  readonly p95Ratio: number;
  readonly recorded: string;
  readonly machine: string;
}

/** The records by the name of the CPU. */
type Records = Readonly<Record<string, Recorded>>;

/** CPU times of batches, ms. */
interface Times {
  readonly front: number[];
  readonly bare: number[];
}

/** Measures a front and a bare server, both started anew. @param extraUs further work of an answer. */
async function addPair(times: Times, folder: string, extraUs: number): Promise<void> {
  const paths = Array.from(
    { length: DESCRIPTORS },
    (_, at) => `/v1/registry/descriptors/${idOf(at)}`,
  );
  const front = await startFront(folder, extraUs);
  try {
    const url = `http://127.0.0.1:${front.port}${paths[0]}`;
    const bare = await startBareServer((await (await fetch(url)).arrayBuffer()).byteLength);
    try {
      const open = ({ port, process: { pid } }: HttpServer) =>
        HttpBatches.open({ port, pid, paths, connections: CONNECTIONS });
      const sides = [[await open(front), times.front], [await open(bare), times.bare]] as const;
      for (const [side] of sides) await side.turn(WARM_UP_SECONDS);
      for (let turn = 0; turn < TURNS; turn++) {
        for (const [side, to] of sides) to.push(...await side.turn(TURN_SECONDS));
      }
      for (const [side] of sides) side.close();
    } finally {
      await bare.process.stop("SIGKILL");
    }
  } finally {
    await front.process.stop("SIGKILL");
  }
}

/** Returns the ratio of the percentiles. @param slower further work of an answer, percent. */
async function measure(slower: number): Promise<number> {
  const server = await RegistryServer.start({ flags: ["--partitions", "8"] });
  try {
    const client = await server.connect();
    await govern(client);
    await publish(client, DESCRIPTORS);
    await client.close();
    let extraUs = 0;
    if (slower > 0) {
      const times: Times = { front: [], bare: [] };
      await addPair(times, server.folder, 0);
      extraUs = slower / 100 * percentile(times.front, 0.5) / CONNECTIONS * 1_000;
      console.log(`Each answer takes ${extraUs.toFixed(1)} µs more`);
    }
    const times: Times = { front: [], bare: [] };
    for (let pair = 0; pair < PAIRS; pair++) await addPair(times, server.folder, extraUs);
    return percentile(times.front, PERCENTILE) / percentile(times.bare, PERCENTILE);
  } finally {
    await server.stop();
  }
}

function percentile(values: readonly number[], part: number): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length * part)]!;
}

function readRecords(): Records {
  return JSON.parse(Deno.readTextFileSync(BOUND_FILE)) as Records;
}

function record(p95Ratio: number): void {
  const machine = describeMachine();
  const records: Records = {
    ...readRecords(),
    [machine.cpu]: {
      p95Ratio: Math.round(p95Ratio * 1_000) / 1_000,
      recorded: new Date().toISOString().slice(0, 10),
      machine: machineSentence(machine),
    },
  };
  Deno.writeTextFileSync(BOUND_FILE, JSON.stringify(records, null, 2) + "\n");
  console.log(`Recorded ${records[machine.cpu]!.p95Ratio}`);
}

/** Returns the largest ratio that passes on this machine, and where it is from. */
function boundHere(): { readonly bound: number; readonly source: string } {
  const records = readRecords();
  const { cpu } = describeMachine();
  const here = records[cpu]?.p95Ratio;
  if (here !== undefined) return { bound: here * GROWTH_MAX, source: `recorded: ${here}` };
  const largest = Math.max(...Object.values(records).map(({ p95Ratio }) => p95Ratio));
  const source =
    `recorded on other CPUs: ${largest}; on ${cpu}, which has no record, --renew makes one`;
  return { bound: largest * GROWTH_MAX_OTHER_CPU, source };
}

/** Reports whether the ratio is within the bound in one of some tries. */
async function isWithinBound(slower: number): Promise<boolean> {
  const { bound, source } = boundHere();
  for (let tries = 1; tries <= TRIES; tries++) {
    const p95Ratio = await measure(slower);
    const isWithin = p95Ratio <= bound;
    const verdict = isWithin ? "ok  " : "FAIL";
    const ratio = `${p95Ratio.toFixed(3)} times that of a bare server`;
    console.log(
      `${verdict} p95 of a descriptor's read: ${ratio}, at most ${bound.toFixed(3)} (${source})`,
    );
    if (isWithin) return true;
  }
  return false;
}

/** Returns the middle of three measurements. */
async function measureThrice(): Promise<number> {
  const ratios: number[] = [];
  for (let times = 0; times < 3; times++) {
    ratios.push(await measure(0));
    console.log(`Measured ${ratios.at(-1)!.toFixed(3)}`);
  }
  return percentile(ratios, 0.5);
}

if (import.meta.main) {
  const [option, value] = Deno.args;
  const slower = option === "--slower" ? Number(value) : 0;
  if (![undefined, "--renew", "--slower"].includes(option) || !(slower >= 0)) {
    console.error("Usage: deno task gate [--renew | --slower <percent>]");
    Deno.exit(2);
  }
  if (option === "--renew") record(await measureThrice());
  else if (!await isWithinBound(slower)) Deno.exit(1);
  Deno.exit(0);
}
