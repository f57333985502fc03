/**
 * Compares this checkout with another one in alternating turns, so that both run under the same
 * conditions of the machine:
 *
 *     deno task compare <folder of the other checkout> [rounds] [operation …]
 *
 * Both sides are started anew after a few rounds: the same program is up to 15 % faster or slower for
 * as long as its process lives, depending on the places of its code and its heap. The first rounds of
 * each pair do not count: they measure the compiler, which works longer for the larger program. Prints for each
 * operation the medians over all rounds, and the median ratio of neighbouring turns (this checkout / the
 * other): time per operation, p50, CPU time of the node. The quartiles of the time ratio tell how much of
 * it is noise; more rounds narrow it. Results go to `bench/results/compare.ndjson`.
 */
import type { Order, Turn } from "./compare_side.ts";
import { markdownTable, ResultFile } from "./harness.ts";

const ALL_ORDERS: readonly Order[] = ["get", "resolve", "register"].flatMap((operation) => [
  { operation, depth: 1, seconds: 1 },
  { operation, depth: 64, seconds: 1 },
]).concat([{ operation: "renew", depth: 4, seconds: 1 }]);
const ROUNDS_DEFAULT = 12;
/** Rounds of one pair of processes that count, after those in which both warm up. */
const ROUNDS_OF_PAIR = 4;
const ROUNDS_OF_WARM_UP = 2;

/** One side of the comparison, in its own process. */
class Side {
  readonly #child: Deno.ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  constructor(root: string) {
    const program = new URL("compare_side.ts", import.meta.url).pathname;
    this.#child = new Deno.Command(Deno.execPath(), {
      // Each checkout uses the packages of its own manifest.
      args: ["run", "-A", "--no-check", `--config=${root}/deno.json`, program, `--root=${root}`],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#lines = linesOf(this.#child.stdout);
    this.#writer = this.#child.stdin.getWriter();
  }

  /** Waits until the side's node holds the records. */
  async ready(): Promise<void> {
    await this.#next();
  }

  async turn(order: Order): Promise<Turn> {
    await this.#writer.write(new TextEncoder().encode(JSON.stringify(order) + "\n"));
    return JSON.parse(await this.#next()) as Turn;
  }

  async stop(): Promise<void> {
    await this.#writer.close();
    await this.#child.status;
  }

  async #next(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("A side ended");
    return value;
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Returns the lower and the upper quartile. */
function quartiles(values: readonly number[]): readonly [number, number] {
  const sorted = [...values].sort((left, right) => left - right);
  const quarter = sorted.length >> 2;
  return [sorted[quarter]!, sorted[sorted.length - 1 - quarter]!];
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}

function summary(order: Order, ours: readonly Turn[], theirs: readonly Turn[]) {
  const ratios = (field: keyof Turn) =>
    ours.map((turn, index) => turn[field] / theirs[index]![field]);
  const ratio = (field: keyof Turn) => round(median(ratios(field)));
  return {
    operation: order.operation,
    depth: order.depth,
    rounds: ours.length,
    microsecondsEach: round(median(ours.map((turn) => turn.microsecondsEach))),
    theirMicrosecondsEach: round(median(theirs.map((turn) => turn.microsecondsEach))),
    timeRatio: ratio("microsecondsEach"),
    timeRatioQuartiles: quartiles(ratios("microsecondsEach")).map(round),
    p50Ratio: ratio("p50Us"),
    nodeCpuRatio: ratio("nodeCpuUs"),
  };
}

const [other, rounds = ROUNDS_DEFAULT, ...operations] = Deno.args;
if (other === undefined) throw new RangeError("Name the folder of the other checkout");
const ORDERS = ALL_ORDERS.filter(({ operation }) =>
  operations.length === 0 || operations.includes(operation)
);
const here = new URL("../", import.meta.url).pathname;
const roots = [here, Deno.realPathSync(other)] as const;
const turns = ORDERS.map(() => [[], []] as [Turn[], Turn[]]);
for (let first = 0; first < Number(rounds); first += ROUNDS_OF_PAIR) {
  const sides = [new Side(roots[0]), new Side(roots[1])] as const;
  await Promise.all(sides.map((side) => side.ready()));
  const end = Math.min(first + ROUNDS_OF_PAIR, Number(rounds));
  for (let number = first - ROUNDS_OF_WARM_UP; number < end; number++) {
    for (const [index, order] of ORDERS.entries()) {
      // The side that goes first alternates.
      for (const side of number % 2 === 0 ? [0, 1] as const : [1, 0] as const) {
        const turn = await sides[side].turn(order);
        if (number >= first) turns[index]![side].push(turn);
      }
    }
  }
  await Promise.all(sides.map((side) => side.stop()));
}
const file = new ResultFile("compare", new Date().toISOString());
const rows = ORDERS.map((order, index) => summary(order, ...turns[index]!));
for (const row of rows) file.write(row);
console.log(markdownTable([
  ["", "in flight", "µs each", "time", "quartiles", "p50", "node's CPU"],
  ...rows.map((row) => [
    row.operation,
    row.depth,
    row.microsecondsEach,
    row.timeRatio,
    row.timeRatioQuartiles.join(" to "),
    row.p50Ratio,
    row.nodeCpuRatio,
  ]),
]));
