/** Implements `crs restore`: makes a data folder of a backup. */
import { resolve } from "node:path";
import { BackupFolder } from "../../backup/backup_folder.ts";
import { restoreBackup, type Restored } from "../../backup/restore.ts";
import { GENERATION_MAX } from "../../base/ids.ts";
import { formatUuid } from "../../base/uuid.ts";
import { processWorld } from "../../node/process_world.ts";
import { SETTINGS } from "../../node/settings.ts";
import { usageFailure } from "../failure.ts";
import { requiredInteger } from "../integer_flag.ts";
import { shellWord } from "../invocation.ts";
import { withProgress } from "../progress.ts";
import { type CommonOptions, type Reply, showReply } from "../shell.ts";
import { facts } from "../table.ts";
import type { Terminal } from "../terminal.ts";

/** Flags of `crs restore`, as typed. */
export interface RestoreFlags extends CommonOptions {
  readonly found?: boolean;
  readonly data?: string;
  readonly generation?: string;
}

/** Agents that lost their domain, as many as are named. */
const LOST_NAMED_MAX = 20;

/** Restores a backup into a new data folder. */
export async function restore(
  folder: string,
  flags: RestoreFlags,
  terminal: Terminal,
): Promise<number> {
  if (flags.found !== true) {
    throw usageFailure(
      "A restore must found a new cluster: --found is missing",
      "Make sure that no node of the former cluster runs or will run again, and pass --found.",
      "found",
    );
  }
  const data = resolve(flags.data ?? (terminal.environment["CRS_DATA"] || SETTINGS.data.default));
  const generation = flags.generation === undefined
    ? {}
    : { generation: requiredInteger("--generation", flags.generation, { max: GENERATION_MAX }) };
  const restored = await withProgress(terminal, `Restoring ${resolve(folder)}`, async () => {
    const backup = BackupFolder.open(resolve(folder));
    return await restoreBackup({ backup, data, ...generation, world: processWorld() });
  });
  return await showReply(restoredReply(data, restored), flags, terminal);
}

function restoredReply(data: string, { membership, claims, records }: Restored): Reply {
  const { clusterId, generation, nodeId, partitionCount, region } = membership;
  const { kept, reclaimed, dropped, lost } = claims;
  const start = `crs start --data ${shellWord(data)} --partitions ${partitionCount} ` +
    `--region ${shellWord(region)}`;
  return {
    json: {
      ...{ data, clusterId: formatUuid(clusterId), generation, nodeId, partitionCount, region },
      records,
      domains: { kept, reclaimed, dropped, lost },
    },
    text: () =>
      `The data folder is made: ${data}\n` + facts([
        ["cluster", `${formatUuid(clusterId)}, generation ${generation}`],
        ["node", `${nodeId}, the only member`],
        ["records and domains", records],
        ["domains", `${kept} as they were, ${reclaimed} claimed again, ${dropped} dropped`],
        ["agents that lost theirs", lost.length],
      ]) +
      lost.slice(0, LOST_NAMED_MAX).map(({ agentId, domain, holder }) =>
        `  ${domain} of ${agentId} is held by ${holder}\n`
      ).join("") +
      `Start it, with the other settings that its node had, and let other nodes join with empty folders:\n` +
      `  ${start}\n`,
  };
}
