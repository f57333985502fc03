/** Implements `crs region status` and `crs region accept-generation`. */
import type { ListRegionsReply, PeerRegionEntry } from "../../../schemas/gen/wire.ts";
import { RegistryError } from "../../base/errors.ts";
import { MIRROR_FRESH_MS_MAX } from "../../base/limits.ts";
import { formatUuid, isNilUuid, parseUuid } from "../../base/uuid.ts";
import { SOURCE_AGE_UNKNOWN } from "../../wire/record_source.ts";
import { formatBytes } from "../byte_size.ts";
import { formatDuration } from "../duration.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { usageFailure } from "../failure.ts";
import { integerFlag } from "../integer_flag.ts";
import { type Reply, type ServerOptions, type Shell, showReply, withClient } from "../shell.ts";
import { facts, table } from "../table.ts";

/** Flags of `accept-generation`. */
export interface AcceptFlags extends ServerOptions {
  readonly cluster?: string;
  readonly generation?: string;
}

/** Implements `crs region status`: all regions in a table, or one with all that is known of it. */
export async function regionStatus(
  name: string | undefined,
  flags: ServerOptions,
  shell: Shell,
): Promise<number> {
  const reply = await withClient(shell, flags, ({ client }) => client.call("listRegions", {}));
  const regions = name === undefined ? reply.regions : [regionNamed(name, reply)];
  const isOld = regions.some((region) => !region.isPaused && isSuspended(region));
  const shown: Reply = {
    json: name === undefined
      ? { own: reply.own, regions: regions.map(regionJson) }
      : { own: reply.own, region: regionJson(regions[0]!) },
    text: (columns) => {
      if (name !== undefined) return regionText(regions[0]!, reply.own);
      return regions.length === 0
        ? `Region ${reply.own} has no peer regions.\n`
        : regionsText(regions, columns);
    },
    ...(isOld ? { exitCode: EXIT_CODES.unavailable } : {}),
  };
  return await showReply(shown, flags, shell.terminal);
}

/** Implements `crs region accept-generation`. */
export async function acceptGeneration(
  name: string,
  flags: AcceptFlags,
  shell: Shell,
): Promise<number> {
  const { cluster, generation } = flags;
  const accepted = await withClient(shell, flags, async ({ client }) => {
    if (cluster === undefined || generation === undefined) {
      throw nothingNamed(regionNamed(name, await client.call("listRegions", {})));
    }
    const request = {
      name,
      clusterId: parseUuid(cluster, "cluster"),
      generation: integerFlag("generation", generation, GENERATIONS),
    };
    await client.call("acceptGeneration", request);
    return request;
  });
  const json = { name, clusterId: cluster, generation: accepted.generation };
  const text =
    `Accepted cluster ${cluster} (${accepted.generation}) as region ${name}: its records ` +
    "replace all that were mirrored from it before.\n";
  return await showReply({ json, text: () => text }, flags, shell.terminal);
}

const GENERATIONS = { default: 0, min: 1, max: 0xffff_ffff };

/** Returns the refusal of a command that does not name what it accepts, which is to be looked at. */
function nothingNamed(region: PeerRegionEntry): RegistryError {
  const { name, seenClusterId, seenGeneration } = region;
  if (isNilUuid(seenClusterId)) {
    return usageFailure(
      `Region ${name} says nothing of another cluster or generation than ${acceptedText(region)}`,
      `Look at it with crs region status ${name}; to accept another one, pass --cluster and ` +
        "--generation.",
      "cluster",
    );
  }
  const seen = formatUuid(seenClusterId);
  return usageFailure(
    `Region ${name} was ${acceptedText(region)}, and says that it is cluster ${seen}, ` +
      `generation ${seenGeneration}`,
    "What was lost there ends here too. If that is right: crs region accept-generation " +
      `${name} --cluster ${seen} --generation ${seenGeneration}`,
    "cluster",
  );
}

function regionNamed(name: string, { regions, own }: ListRegionsReply): PeerRegionEntry {
  const region = regions.find((one) => one.name === name);
  if (region !== undefined) return region;
  throw new RegistryError("not_found", `${JSON.stringify(name)} is no peer region of ${own}`);
}

function isSuspended({ replicatedAgeMs }: PeerRegionEntry): boolean {
  return replicatedAgeMs > MIRROR_FRESH_MS_MAX;
}

/** Returns all that is known of a region, for scripts. */
export function regionJson(region: PeerRegionEntry): unknown {
  const { clusterId, generation, seenClusterId, seenGeneration, ...known } = region;
  return {
    ...known,
    replicatedAgeMs: known.replicatedAgeMs === SOURCE_AGE_UNKNOWN ? null : known.replicatedAgeMs,
    contactAgeMs: known.contactAgeMs === SOURCE_AGE_UNKNOWN ? null : known.contactAgeMs,
    isSuspended: isSuspended(region),
    accepted: clusterJson(clusterId, generation),
    seen: clusterJson(seenClusterId, seenGeneration),
    pullerNode: known.pullerNode === 0 ? null : known.pullerNode,
    error: known.error === "" ? null : known.error,
  };
}

function clusterJson(clusterId: Uint8Array, generation: number): unknown {
  return isNilUuid(clusterId) ? null : { clusterId: formatUuid(clusterId), generation };
}

function regionsText(regions: readonly PeerRegionEntry[], columns: number): string {
  const rows = regions.map((region) => [
    region.name,
    stateText(region),
    ageText(region.replicatedAgeMs),
    ageText(region.contactAgeMs),
    `${region.lagEntries} (${formatBytes(region.lagBytes)})`,
    region.mirrors,
    region.refused,
    region.resyncs,
  ]);
  const head = [
    ...["REGION", "STATE", "REPLICATED UP TO", "LAST CONTACT", "LAG", "MIRRORS", "REFUSED"],
    "RESYNCS",
  ];
  return table(head, rows, { columns, shrinks: [1] });
}

function regionText(region: PeerRegionEntry, own: string): string {
  const { name, lagEntries, lagBytes, mirrors, refused, resyncs, pullerNode, error } = region;
  const { seenClusterId, seenGeneration, servers } = region;
  const seen = isNilUuid(seenClusterId)
    ? []
    : [["is now", `cluster ${formatUuid(seenClusterId)}, generation ${seenGeneration}`] as const];
  const text = `Region ${name}, as ${own} follows it\n` + facts([
    ["state", stateText(region)],
    ["replicated up to", ageText(region.replicatedAgeMs)],
    ["last contact", ageText(region.contactAgeMs)],
    ["lag", `${lagEntries} changes received and not applied, ${formatBytes(lagBytes)}`],
    ["mirrors", `${mirrors} on this node`],
    ["refused", `${refused} changes`],
    ["resyncs", `${resyncs} partitions`],
    ["followed by", pullerNode === 0 ? "no node" : `node ${pullerNode}`],
    ["servers", servers.join(" ")],
    ["accepted", acceptedText(region)],
    ...seen,
    ...(error === "" ? [] : [["last error", error] as const]),
  ]);
  return seen.length === 0
    ? text
    : `${text}It is not followed until that is accepted: crs region accept-generation ${name}\n`;
}

function stateText(region: PeerRegionEntry): string {
  return isSuspended(region) ? `${region.state}, suspended` : region.state;
}

function ageText(ms: number): string {
  return ms === SOURCE_AGE_UNKNOWN ? "unknown" : `${formatDuration(ms)} ago`;
}

function acceptedText({ clusterId, generation }: PeerRegionEntry): string {
  return isNilUuid(clusterId)
    ? "none yet"
    : `cluster ${formatUuid(clusterId)}, generation ${generation}`;
}
