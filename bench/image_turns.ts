/**
 * Measures for how long work on the image of one partition keeps a node from everything else: the longest
 * turn in which an image is made, read and installed, and what all turns take together.
 *
 * Run: `deno run -A bench/image_turns.ts [records …]`, by default 10,000 and 100,000. Each is repeated,
 * because the first image of a process is made by code that is not compiled yet; both are reported.
 */
import { processWorld } from "../src/node/process_world.ts";
import type { Scheduler } from "../src/base/world.ts";
import { IMAGE_CHUNK_BYTES } from "../src/base/limits.ts";
import { NO_POSITION } from "../src/base/position.ts";
import { agentCodec } from "../schemas/gen/record.ts";
import { encodePut } from "../src/record/command.ts";
import { KIND_AGENT } from "../src/record/key.ts";
import { ImageTurns } from "../src/replication/image_turns.ts";
import { wholeImage } from "../src/replication/whole_image.ts";
import type { ImageWork } from "../src/replication/state_machine.ts";
import { StoreShared } from "../src/store/shared.ts";
import { PartitionStore } from "../src/store/store.ts";
import { ResultFile } from "./harness.ts";

const COUNTS = Deno.args.length === 0 ? [10_000, 100_000] : Deno.args.map(Number);
const ROUNDS = 4;
const results = new ResultFile("image_turns", new Date().toISOString());

/** Returns the time of the main thread on a processor, ms (Linux): other programs do not count. */
function cpuMs(): number {
  return Number(Deno.readTextFileSync("/proc/self/schedstat").split(" ")[0]) / 1e6;
}

/** Times the turns of work. */
class Stopwatch {
  longestMs = 0;
  longestCpuMs = 0;
  sumMs = 0;
  turns = 0;

  time<T>(run: () => T): T {
    const startCpuMs = cpuMs();
    const startMs = performance.now();
    const result = run();
    const tookMs = performance.now() - startMs;
    this.longestCpuMs = Math.max(this.longestCpuMs, cpuMs() - startCpuMs);
    this.longestMs = Math.max(this.longestMs, tookMs);
    this.sumMs += tookMs;
    this.turns++;
    return result;
  }
}

/** Does work in turns, as a node does; `begin` belongs to the first turn. */
async function measured<T>(begin: () => ImageWork<T>): Promise<{ result: T; watch: Stopwatch }> {
  const watch = new Stopwatch();
  const { monotonic, scheduler } = processWorld();
  const timed: Scheduler = {
    after: (delayMs, run) => scheduler.after(delayMs, () => watch.time(run)),
    nextTurn: (run) => scheduler.nextTurn(run),
  };
  const turns = new ImageTurns(monotonic, timed);
  const result = await new Promise<T>((resolve) => {
    watch.time(() => {
      const work = begin();
      const whole = function* (): ImageWork {
        resolve(yield* work);
      };
      turns.run(whole());
    });
  });
  return { result, watch };
}

function report(what: string, records: number, round: number, { result, watch }: {
  readonly result: unknown;
  readonly watch: Stopwatch;
}): void {
  results.write({
    ...{ what, records, round, turns: watch.turns },
    longestMs: rounded(watch.longestMs),
    longestCpuMs: rounded(watch.longestCpuMs),
    sumMs: rounded(watch.sumMs),
    ...(result instanceof Uint8Array ? { bytes: result.length } : {}),
  });
}

const rounded = (ms: number) => Math.round(ms * 100) / 100;

/** Returns a store with that many records of 184 bytes. */
function filled(records: number): PartitionStore {
  const shared = new StoreShared({ bytesMax: 2 ** 32, hashSeed: new Uint8Array(16).fill(9) });
  const store = new PartitionStore({ shared });
  const id = new Uint8Array(16);
  const own = { id, process: 1, sequence: 1, ttlMs: 30_000, region: "region-1".padEnd(31, "x") };
  const agent = { ...agentCodec.empty(), ...own };
  for (let number = 0; number < records; number++) {
    new DataView(id.buffer).setUint32(12, number);
    const put = { record: agentCodec.encode(agent), kind: KIND_AGENT, expected: NO_POSITION };
    const data = encodePut({ timeMs: 0, unixS: 1_700_000_000, writer: 1 }, put);
    store.apply({ index: number + 1, term: 1, data });
  }
  return store;
}

for (const records of COUNTS) {
  const store = filled(records);
  const scratch = new Uint8Array(IMAGE_CHUNK_BYTES);
  for (let round = 1; round <= ROUNDS; round++) {
    const made = await measured(() => wholeImage(store.writeImage(scratch)));
    report("made", records, round, made);
    const read = await measured(() => store.readImage(made.result));
    report("read", records, round, read);
    report("installed", records, round, await measured(() => read.result.install()));
  }
}
