/**
 * Runs development regions on this machine until it is told to stop: each is a cluster of one node with
 * a folder of its own, and each is told of the others.
 */
import { resolve } from "node:path";
import { REGION_PAUSES } from "../../../schemas/gen/wire.ts";
import { type RegistryError, toRegistryError } from "../../base/errors.ts";
import { VERSION } from "../../base/version.ts";
import { trustOfDataFolder } from "../../../identity/trust/credentials.ts";
import { processWorld } from "../../node/process_world.ts";
import { SOURCE_AGE_UNKNOWN } from "../../wire/record_source.ts";
import { endpointText } from "../endpoint_text.ts";
import { invocation, shellWord } from "../invocation.ts";
import { LocalProcesses, type StartedProcess } from "../local_processes.ts";
import { type LocalRun, reportsTo, runLocally, tryNextText } from "../local_run.ts";
import { withProgress } from "../progress.ts";
import { type Connected, type Shell, withClient } from "../shell.ts";
import { indented, table } from "../table.ts";
import type { Terminal } from "../terminal.ts";
import {
  type LocalRegion,
  regionFlags,
  type RegionsFlags,
  type RegionsSettings,
  regionsSettings,
} from "./settings.ts";

/** The time limit for a new cluster to know regions, ms. */
const INTRODUCTION_MS_MAX = 60_000;
/** The interval between two attempts, ms. */
const INTRODUCTION_RETRY_MS = 250;
/** The time limit for the regions to follow each other, ms, and the interval between two looks. */
const FOLLOWED_MS_MAX = 15_000;
const FOLLOWED_LOOK_MS = 500;

/** A region whose node serves. */
interface RunningRegion extends StartedProcess {
  readonly region: LocalRegion;
}

/**
 * Implements `crs region start`.
 *
 * @throws RegistryError as {@link runLocally}.
 */
export async function runRegions(flags: RegionsFlags, shell: Shell): Promise<number> {
  const { terminal } = shell;
  const settings = regionsSettings(flags);
  const { regions, folder, logLevel } = settings;
  const reports = reportsTo(terminal, (region: LocalRegion) => regionFlags(region, settings));
  const processes = new LocalProcesses(terminal, reports);
  const start = async (region: LocalRegion): Promise<RunningRegion> => {
    const own = [...regionFlags(region, settings), "--log-level", logLevel];
    return { region, ...await processes.start(region, own) };
  };
  const run: LocalRun<readonly RunningRegion[]> = {
    starting: `Starting ${regions.length} regions`,
    folder,
    start: async () => {
      try {
        const begun = await Promise.all(regions.map(start));
        await Promise.all(regions.map((region) => introduce(region, regions, shell)));
        return begun;
      } catch (error) {
        await processes.stop();
        throw error;
      }
    },
    stop: () => processes.stop(),
    allEnded: processes.allEnded,
    json: (begun) => startedJson(begun, settings),
    tell: async (begun, over) => {
      terminal.out(startedText(begun));
      await withProgress(
        terminal,
        "Reading what the other region has",
        () => untilFollowed(settings, shell, over),
      );
      if (!over.aborted) terminal.out(nextText(begun, settings, terminal));
    },
  };
  return await runLocally(run, flags, terminal);
}

/** Tells a region of the others, of which it may know from before. */
async function introduce(
  region: LocalRegion,
  all: readonly LocalRegion[],
  shell: Shell,
): Promise<void> {
  await withClient(shell, { data: region.folder }, async ({ client }) => {
    for (const other of all) if (other !== region) await addRegion(client, other);
  });
}

async function addRegion(
  client: Connected["client"],
  { name, folder, port }: LocalRegion,
): Promise<void> {
  const { monotonic, scheduler } = processWorld();
  const trust = trustOfDataFolder(folder);
  const limits = { preference: 0, bytesPerSecondMax: 0, logPercentMax: 0 };
  const bundle = trust.kind === "ca" ? trust.pem.join("\n") : "";
  const request = { name, servers: [`127.0.0.1:${port}`], bundle, ...limits };
  const untilMs = monotonic.nowMs() + INTRODUCTION_MS_MAX;
  for (;;) {
    try {
      await client.call("addRegion", request);
      return;
    } catch (cause) {
      const error = toRegistryError(cause);
      // It was added at an earlier start; the ports may be other ones.
      if (error.code === "incarnation_mismatch") {
        await client.call("setRegion", { ...request, pause: REGION_PAUSES.unchanged });
        return;
      }
      if (!isEarly(error) || monotonic.nowMs() > untilMs) throw error;
      await new Promise<void>((go) => void scheduler.after(INTRODUCTION_RETRY_MS, go));
    }
  }
}

/** Reports whether a new cluster does not know regions yet. */
function isEarly({ code }: RegistryError): boolean {
  return code === "overloaded" || code === "not_leader";
}

/**
 * Waits until each region knows how old its mirrors are, for a limited time: before that they are
 * suspended. Never rejects.
 */
async function untilFollowed(
  { regions }: RegionsSettings,
  shell: Shell,
  over: AbortSignal,
): Promise<void> {
  const { monotonic, scheduler } = processWorld();
  const untilMs = monotonic.nowMs() + FOLLOWED_MS_MAX;
  while (!over.aborted && monotonic.nowMs() < untilMs) {
    const all = await Promise.all(regions.map((region) => isFollowing(region, shell)));
    if (all.every((isFollowed) => isFollowed)) return;
    await new Promise<void>((go) => void scheduler.after(FOLLOWED_LOOK_MS, go));
  }
}

async function isFollowing({ folder }: LocalRegion, shell: Shell): Promise<boolean> {
  try {
    const { regions } = await withClient(
      shell,
      { data: folder },
      ({ client }) => client.call("listRegions", {}),
    );
    return regions.every(({ replicatedAgeMs }) => replicatedAgeMs < SOURCE_AGE_UNKNOWN);
  } catch {
    // A node that does not answer now is asked again.
    return false;
  }
}

function startedJson(running: readonly RunningRegion[], { folder }: RegionsSettings): unknown {
  return {
    version: VERSION,
    dataFolder: resolve(folder),
    regions: running.map(({ region, processId, started }) => ({
      name: region.name,
      clusterId: started.clusterId,
      processId,
      addresses: started.addresses,
      ops: started.ops,
      dataFolder: resolve(region.folder),
    })),
  };
}

/** Returns the text shown once the regions serve. */
function startedText(running: readonly RunningRegion[]): string {
  const rows = running.map(({ region, processId, started: { addresses, ops } }) => [
    region.name,
    processId,
    addresses.map(endpointText).join(", "),
    `http://${endpointText(ops)}`,
    region.folder,
  ]);
  const list = table(["region", "process", "clients", "operators", "data"], rows);
  return `Central registry ${VERSION}: ${running.length} regions of one node each, following each other

${indented(list)}
`;
}

/** Returns the text that names commands to try. */
function nextText(
  [first, second]: readonly RunningRegion[],
  { folder }: RegionsSettings,
  terminal: Terminal,
): string {
  const crs = invocation(terminal.environment);
  const here = `--data ${shellWord(first!.region.folder)}`;
  const there = `--data ${shellWord(second!.region.folder)}`;
  const lost = first!.region.name;
  return tryNextText([
    `${crs} agent register --domain r1.example --ttl 600 ${here}`,
    `${crs} agent resolve r1.example ${there}           # its mirror, with home and age`,
    `${crs} agent resolve r1.example --home ${there}    # ${lost} itself answers`,
    `${crs} region status ${there}`,
    `kill -9 ${first!.processId}    # ${lost}`,
    `${crs} agent resolve r1.example ${there}           # still answered, its age grows`,
  ], folder);
}
