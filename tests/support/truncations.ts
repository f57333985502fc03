/**
 * Cuts a node's log at many places after the node ended, and counts the outcomes of starts with
 * real processes. Every cut is made in a copy of the data folder.
 */
import { agentInput, spreadId } from "../../bench/fleet.ts";
import { connectTo, newDialer } from "../../bench/registry.ts";
import { SeededEntropy } from "../../src/base/prng.ts";
import { crs, CrsProcess, startCrs } from "./crs_process.ts";

/** The signal that ended the node before its log was cut. */
export type Ending = "SIGTERM" | "SIGKILL";

const PARTITIONS = ["--partitions", "8"];
const TTL_MS = 3_600_000;
const READY = /"records":\{"agents":(\d+).*"msg":"Ready"/;

/** Outcomes of starts on the cuts. */
export interface Verdicts {
  /** Records that were acknowledged before the node ended. */
  readonly acknowledged: number;
  readonly cuts: number;
  /** Starts that were refused as `corrupt`. */
  refused: number;
  /** Starts with every acknowledged record. */
  whole: number;
  /** Starts that lack acknowledged records, and report that the log's end was cut. */
  cutAndSaid: number;
  /** Starts that lack acknowledged records and report nothing. */
  silent: number;
  /** Cuts on which `crs wal verify` and the start disagree. */
  disagreements: number;
  /** Bytes of the log that the worst of `cutAndSaid` and `silent` lacked. */
  lostBytesMax: number;
}

/** Registers `records` agents, one after another, ends the node, and returns its data folder. */
export async function writtenFolder(
  root: string,
  { records, ending }: { readonly records: number; readonly ending: Ending },
): Promise<string> {
  const data = `${root}/data`;
  const { process } = await startCrs(data, { flags: PARTITIONS });
  const dialer = newDialer();
  try {
    const client = await connectTo(data, dialer);
    for (let number = 0; number < records; number++) {
      const agent = { ...agentInput(number, TTL_MS, false), id: spreadId(1, number) };
      await client.registerAgent(agent);
    }
    // Killed immediately, so that the part that the mark does not cover is largest.
    process.kill(ending);
    await process.ended();
    await client.close();
  } finally {
    await dialer.close();
    process.kill("SIGKILL");
  }
  return data;
}

/** Cuts the newest segment at `cuts` places, spread by `seed`, and starts a node on each. */
export async function startsOnCuts(
  root: string,
  data: string,
  { cuts, records, seed }: {
    readonly cuts: number;
    readonly records: number;
    readonly seed: number;
  },
): Promise<Verdicts> {
  const random = new SeededEntropy(seed);
  const verdicts: Verdicts = {
    acknowledged: records,
    cuts,
    refused: 0,
    whole: 0,
    cutAndSaid: 0,
    silent: 0,
    disagreements: 0,
    lostBytesMax: 0,
  };
  const segment = newestSegment(data);
  const bytes = await Deno.readFile(`${data}/log/${segment}`);
  const end = bytes.findLastIndex((byte) => byte !== 0) + 1;
  for (let cut = 0; cut < cuts; cut++) {
    const copy = `${root}/copy`;
    await copyFolder(data, copy);
    const size = Math.floor(random.unit() * end);
    await Deno.truncate(`${copy}/log/${segment}`, size);
    const isSound = (await crs(["wal", "verify", copy])).code === 0;
    const start = await startOf(copy);
    if (isSound !== start.started) verdicts.disagreements++;
    if (!start.started) verdicts.refused++;
    else if (start.agents >= records) verdicts.whole++;
    else {
      if (start.saysCut) verdicts.cutAndSaid++;
      else verdicts.silent++;
      verdicts.lostBytesMax = Math.max(verdicts.lostBytesMax, end - size);
    }
    await Deno.remove(copy, { recursive: true });
  }
  return verdicts;
}

interface StartOutcome {
  readonly started: boolean;
  readonly agents: number;
  readonly saysCut: boolean;
}

/** Starts a node on `data`, waits until it is ready or has refused, and ends it. */
async function startOf(data: string): Promise<StartOutcome> {
  const args = ["start", "--data", data, "--port", "0", "--ops-port", "0", ...PARTITIONS];
  const process = new CrsProcess([...args, "--log-format", "json", "--json"]);
  // A document is printed in both cases: of the node, or of the error.
  const document = await process.printed(
    "a document",
    (stdout) => stdout.endsWith("}\n") || undefined,
  )
    .then(() => JSON.parse(process.stdout) as { readonly error?: { readonly code: string } });
  process.kill("SIGKILL");
  const { stderr } = await process.ended();
  if (document.error !== undefined) {
    if (document.error.code !== "corrupt") throw new Error(`Not started: ${process.stdout}`);
    return { started: false, agents: 0, saysCut: false };
  }
  const ready = READY.exec(stderr);
  if (ready === null) throw new Error(`The log must have a line like ${READY}: ${stderr}`);
  return {
    started: true,
    agents: Number(ready[1]),
    saysCut: stderr.includes("The log's end was cut"),
  };
}

/** Returns the newest segment of a data folder. */
export function newestSegment(data: string): string {
  return [...Deno.readDirSync(`${data}/log`)].map(({ name }) => name)
    .filter((name) => name.endsWith(".wal")).sort().at(-1)!;
}

async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const entry of Deno.readDir(from)) {
    const [source, target] = [`${from}/${entry.name}`, `${to}/${entry.name}`];
    if (entry.isDirectory) await copyFolder(source, target);
    else await Deno.copyFile(source, target);
  }
}
