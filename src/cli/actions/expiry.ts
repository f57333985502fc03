/** Implements `crs expiry`: every node tells of the partitions that it leads, and group 0 takes decisions. */
import {
  EXPIRY_ACTIONS,
  type ExpiryStatusReply,
  type RegionExpiry,
} from "../../../schemas/gen/wire.ts";
import { EXPIRY_HOLD_MS_DEFAULT, EXPIRY_HOLD_MS_MAX } from "../../base/limits.ts";
import {
  askNodes,
  errorJson,
  noAnswerText,
  type NodeAnswer,
  type NodeAnswers,
} from "../cluster/ask_nodes.ts";
import { formatDuration, parseDuration } from "../duration.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { usageFailure } from "../failure.ts";
import { type Reply, type ServerOptions, type Shell, showReply, withClient } from "../shell.ts";
import { facts, indented, table } from "../table.ts";

/** Flags of commands about one region or all, as typed. */
export interface ReleaseFlags extends ServerOptions {
  readonly region?: string;
}

/** Flags of `hold`, as typed. */
export interface HoldFlags extends ReleaseFlags {
  readonly for?: string;
  readonly undo?: boolean;
}

const ALL_REGIONS = "";
const PERMILLE_PER_PERCENT = 10;

/** Shows what all nodes know of the expiry of records. */
export async function expiryStatus(flags: ServerOptions, shell: Shell): Promise<number> {
  const answers = await askNodes(flags, shell, (client) => client.call("expiryStatus", {}));
  return await showReply(statusReply(answers), flags, shell.terminal);
}

/** Holds expiry for a time, or ends that. */
export async function holdExpiry(flags: HoldFlags, shell: Shell): Promise<number> {
  if (flags.undo === true && flags.for !== undefined) {
    throw usageFailure("--for and --undo exclude each other", "Give one of them.", "undo");
  }
  const bounds = { min: 1_000, max: EXPIRY_HOLD_MS_MAX };
  const given = flags.for === undefined
    ? EXPIRY_HOLD_MS_DEFAULT
    : parseDuration(flags.for, "--for", bounds);
  const forMs = flags.undo === true ? 0 : given;
  const region = flags.region ?? ALL_REGIONS;
  const allHeldMs = await withClient(shell, flags, async ({ client }) => {
    await client.call("steerExpiry", { action: EXPIRY_ACTIONS.hold, region, forMs });
    if (forMs > 0 || region === ALL_REGIONS) return 0;
    const { regions } = await client.call("expiryStatus", {});
    return regions.find((one) => one.region === ALL_REGIONS)?.holdLeftMs ?? 0;
  });
  const reply: Reply = {
    json: { region: region === ALL_REGIONS ? null : region, holdMs: forMs, allHeldMs },
    text: () => holdText(region, forMs, allHeldMs),
  };
  return await showReply(reply, flags, shell.terminal);
}

/** Releases the records that are stale now. */
export async function releaseStale(flags: ReleaseFlags, shell: Shell): Promise<number> {
  const region = flags.region ?? ALL_REGIONS;
  await withClient(shell, flags, async ({ client }) => {
    await client.call("steerExpiry", { action: EXPIRY_ACTIONS.release, region, forMs: 0 });
  });
  const reply: Reply = {
    json: { region: region === ALL_REGIONS ? null : region, isReleased: true },
    text: () => `The stale records of ${regionText(region)} are being removed.\n`,
  };
  return await showReply(reply, flags, shell.terminal);
}

/** @param allHeldMs how long all regions are held although the hold of this one has ended, ms. */
function holdText(region: string, forMs: number, allHeldMs: number): string {
  const of = regionText(region);
  if (forMs > 0) return `Nothing of ${of} expires for ${formatDuration(forMs)}.\n`;
  if (allHeldMs === 0) return `The hold of ${of} has ended.\n`;
  return `No hold of ${of} alone is left, but all regions are held for another ${
    formatDuration(allHeldMs)
  }: nothing of it expires until then. To end that: crs expiry hold --undo\n`;
}

function regionText(region: string): string {
  return region === ALL_REGIONS ? "all regions" : `region ${region}`;
}

/** The nodes' answers about one region, summed. */
type RegionSum = Omit<RegionExpiry, "region">;

/** Returns the regions of all nodes: each leads other partitions, and knows the decisions of group 0. */
function summed(answers: readonly ExpiryStatusReply[]): Map<string, RegionSum> {
  const sums = new Map<string, RegionSum>();
  for (const { region, ...one } of answers.flatMap(({ regions }) => regions)) {
    const sum = sums.get(region);
    sums.set(
      region,
      sum === undefined ? one : {
        live: sum.live + one.live,
        stale: sum.stale + one.stale,
        granted: sum.granted + one.granted,
        denied: sum.denied + one.denied,
        oldestStaleMs: Math.max(sum.oldestStaleMs, one.oldestStaleMs),
        holdLeftMs: Math.max(sum.holdLeftMs, one.holdLeftMs),
        releaseLeftMs: Math.max(sum.releaseLeftMs, one.releaseLeftMs),
      },
    );
  }
  return sums;
}

function statusReply({ nodes }: NodeAnswers<ExpiryStatusReply>): Reply {
  const answers = nodes.flatMap(({ answer }) => answer === undefined ? [] : [answer]);
  const failed = nodes.filter(({ answer }) => answer === undefined);
  const sums = summed(answers);
  return {
    exitCode: failed.length === 0 ? EXIT_CODES.success : EXIT_CODES.unavailable,
    json: {
      regions: [...sums].map(([region, sum]) => ({ region, ...sum })),
      nodes: nodes.map((node) => ({
        nodeId: node.member.nodeId,
        settings: settingsOf(node),
        error: errorJson(node),
      })),
    },
    text: () => statusText(sums, nodes, answers[0]),
  };
}

function settingsOf({ answer }: NodeAnswer<ExpiryStatusReply>): unknown {
  if (answer === undefined) return null;
  const { sharePermille, floor, confirmMs, isGuarding } = answer;
  return { sharePermille, floor, confirmMs, isGuarding };
}

function statusText(
  sums: ReadonlyMap<string, RegionSum>,
  nodes: readonly NodeAnswer<ExpiryStatusReply>[],
  first: ExpiryStatusReply | undefined,
): string {
  const all = sums.get(ALL_REGIONS);
  const rows = [...sums].filter(([region]) => region !== ALL_REGIONS).map(([region, sum]) => [
    region,
    sum.live,
    sum.stale,
    sum.stale === 0 ? "-" : formatDuration(sum.oldestStaleMs),
    decisionText(sum, all),
    `${sum.granted} given, ${sum.denied} not`,
  ]);
  const list = rows.length === 0
    ? "  No records have leases.\n"
    : `${indented(table(["region", "records", "stale", "oldest", "decided", "permits"], rows))}\n`;
  const silent = nodes.filter(({ answer }) => answer === undefined)
    .map((node) => `  node ${node.member.nodeId}: ${noAnswerText(node)}\n`).join("");
  return `Records whose leases are over\n${list}${silent}${settingsText(first)}`;
}

function decisionText(own: RegionSum, all: RegionSum | undefined): string {
  // A release of one region counts during a hold of all.
  if (own.releaseLeftMs > 0 && own.holdLeftMs === 0) return "released";
  const holdMs = Math.max(own.holdLeftMs, all?.holdLeftMs ?? 0);
  if (holdMs > 0) return `held for ${formatDuration(holdMs)}`;
  return (all?.releaseLeftMs ?? 0) > 0 ? "released" : "-";
}

function settingsText(answer: ExpiryStatusReply | undefined): string {
  if (answer === undefined) return "";
  const { sharePermille, floor, confirmMs, isGuarding } = answer;
  if (!isGuarding) {
    return "  Records expire unguarded, until all nodes run a program that knows the guard.\n";
  }
  const percent = sharePermille / PERMILLE_PER_PERCENT;
  return facts([
    ["may expire per minute", `${percent} % of a region's records, and at least ${floor}`],
    ["a loss is confirmed after", formatDuration(confirmMs)],
  ]);
}
