/** Commands of controllers on peer regions. */
import { REGION_PAUSES, type RegionPause } from "../../../schemas/gen/wire.ts";
import {
  REGION_BYTES_PER_SECOND_DEFAULT,
  REGION_LOG_PERCENT_DEFAULT,
  REGION_PREFERENCE_DEFAULT,
} from "../../base/limits.ts";
import { formatUuid, isNilUuid } from "../../base/uuid.ts";
import { usageFailure } from "../failure.ts";
import { type IntegerBounds, integerFlag } from "../integer_flag.ts";
import { type Reply, type ServerOptions, type Shell, showReply, withClient } from "../shell.ts";
import { table } from "../table.ts";
import { regionJson } from "./region_status.ts";

/** Flags of `add` and `set`. */
export interface RegionFlags extends ServerOptions {
  readonly servers?: string;
  /** Path of the trust bundle. */
  readonly bundle?: string;
  readonly preference?: string;
  readonly bytesPerSecond?: string;
  readonly logPercent?: string;
}

/** Adds a region. */
export async function add(name: string, flags: RegionFlags, shell: Shell): Promise<number> {
  const settings = settingsOf(flags, shell);
  if (settings.servers.length === 0) {
    throw usageFailure(
      "--servers must name at least one node of the region: it is missing",
      "Pass them as clients dial them, for example --servers 192.0.2.7:4443.",
      "servers",
    );
  }
  await withClient(shell, flags, ({ client }) => client.call("addRegion", { name, ...settings }));
  return await told(`Added region ${name}.`, { name, added: true }, flags, shell);
}

/** Changes a region. */
export async function set(name: string, flags: RegionFlags, shell: Shell): Promise<number> {
  const request = { name, ...settingsOf(flags, shell), pause: REGION_PAUSES.unchanged };
  await withClient(shell, flags, ({ client }) => client.call("setRegion", request));
  return await told(`Changed region ${name}.`, { name, changed: true }, flags, shell);
}

/** Pauses a region. */
export async function pause(name: string, flags: ServerOptions, shell: Shell): Promise<number> {
  await setPause(name, "pause", flags, shell);
  const text = `Paused region ${name}: its mirrors stay as they are, and grow old.`;
  return await told(text, { name, paused: true }, flags, shell);
}

/** Resumes a region. */
export async function resume(name: string, flags: ServerOptions, shell: Shell): Promise<number> {
  await setPause(name, "resume", flags, shell);
  return await told(`Resumed region ${name}.`, { name, paused: false }, flags, shell);
}

/** Removes a region. */
export async function remove(name: string, flags: ServerOptions, shell: Shell): Promise<number> {
  await withClient(shell, flags, ({ client }) => client.call("removeRegion", { name }));
  const text = `Removed region ${name}: its mirrors here are removed too.`;
  return await told(text, { name, removed: true }, flags, shell);
}

/** Lists the regions. */
export async function list(flags: ServerOptions, shell: Shell): Promise<number> {
  const { own, regions } = await withClient(
    shell,
    flags,
    ({ client }) => client.call("listRegions", {}),
  );
  const reply: Reply = {
    json: { own, regions: regions.map(regionJson) },
    text: (columns) =>
      regions.length === 0 ? `Region ${own} has no peer regions.\n` : table(
        ["REGION", "STATE", "PREFERENCE", "MIRRORS", "SERVERS", "CLUSTER"],
        regions.map(({ name, isPaused, preference, mirrors, servers, clusterId, generation }) => [
          name,
          isPaused ? "paused" : "active",
          preference,
          mirrors,
          servers.join(" "),
          isNilUuid(clusterId) ? "not met yet" : `${formatUuid(clusterId)} (${generation})`,
        ]),
        { columns, shrinks: [4, 5] },
      ),
  };
  return await showReply(reply, flags, shell.terminal);
}

async function setPause(
  name: string,
  wanted: Exclude<RegionPause, "unchanged">,
  flags: ServerOptions,
  shell: Shell,
): Promise<void> {
  const request = { name, ...UNCHANGED, pause: REGION_PAUSES[wanted] };
  await withClient(shell, flags, ({ client }) => client.call("setRegion", request));
}

async function told(
  text: string,
  json: unknown,
  flags: ServerOptions,
  { terminal }: Shell,
): Promise<number> {
  return await showReply({ json, text: () => `${text}\n` }, flags, terminal);
}

/** Settings of which none is named. */
const UNCHANGED = {
  servers: [] as string[],
  bundle: "",
  preference: 0,
  bytesPerSecondMax: 0,
  logPercentMax: 0,
};

const BOUNDS = {
  preference: { default: REGION_PREFERENCE_DEFAULT, min: 1, max: 1_000_000 },
  bytesPerSecond: { default: REGION_BYTES_PER_SECOND_DEFAULT, min: 1, max: 999_999_999 },
  logPercent: { default: REGION_LOG_PERCENT_DEFAULT, min: 1, max: 100 },
};

function settingsOf(flags: RegionFlags, { terminal }: Shell) {
  const { servers, bundle, preference, bytesPerSecond, logPercent } = flags;
  return {
    servers: servers === undefined ? [] : servers.split(",").map((server) => serverOf(server)),
    bundle: bundle === undefined ? "" : terminal.readText(bundle),
    preference: numberOf("preference", preference, BOUNDS.preference),
    bytesPerSecondMax: numberOf("bytes-per-second", bytesPerSecond, BOUNDS.bytesPerSecond),
    logPercentMax: numberOf("log-percent", logPercent, BOUNDS.logPercent),
  };
}

function serverOf(text: string): string {
  if (/^(\[[0-9a-f:.]+\]|[^\s:\[\]]+):\d{1,5}$/i.test(text)) return text;
  throw usageFailure(
    `--servers must be host:port, several separated by commas: found ${JSON.stringify(text)}`,
    "For example: --servers 192.0.2.7:4443,[2001:db8::7]:4443.",
    "servers",
  );
}

/** Returns the number of a flag; 0 if it is absent. */
function numberOf(flag: string, text: string | undefined, bounds: IntegerBounds): number {
  return text === undefined ? 0 : integerFlag(flag, text, bounds);
}
