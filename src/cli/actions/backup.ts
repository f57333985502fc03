/** Implements `crs backup`: takes a backup of a cluster, or reads one again. */
import { resolve } from "node:path";
import { BackupFolder } from "../../backup/backup_folder.ts";
import type { BackupManifest } from "../../backup/manifest.ts";
import { type ImageSource, takeBackup } from "../../backup/take_backup.ts";
import { type VerifiedGroup, verifyBackup } from "../../backup/verify_backup.ts";
import { RegistryError } from "../../base/errors.ts";
import { groupName, partitionOfGroup } from "../../base/ids.ts";
import { BACKUP_BYTES_PER_SECOND_DEFAULT } from "../../base/limits.ts";
import { formatUuid } from "../../base/uuid.ts";
import { VERSION } from "../../base/version.ts";
import { processWorld } from "../../node/process_world.ts";
import { optionsOf } from "../cluster/ask_nodes.ts";
import { formatBytes } from "../byte_size.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { integerFlag } from "../integer_flag.ts";
import { withProgress } from "../progress.ts";
import {
  type Connected,
  type Reply,
  type ServerOptions,
  type Shell,
  showReply,
  withClient,
} from "../shell.ts";
import { facts } from "../table.ts";

/** Flags of `crs backup`, as typed. */
export interface BackupFlags extends ServerOptions {
  readonly verify?: boolean;
  readonly rate?: string;
}

const MIB = 1024 * 1024;
const RATES = { default: BACKUP_BYTES_PER_SECOND_DEFAULT / MIB, min: 1, max: 10_000 };

/** Takes a backup, or with `--verify` reads one. */
export async function backup(folder: string, flags: BackupFlags, shell: Shell): Promise<number> {
  const path = resolve(folder);
  const bytesPerSecond = integerFlag("rate", flags.rate, RATES) * MIB;
  const { terminal } = shell;
  if (flags.verify === true) {
    const verified = await withProgress(terminal, `Reading ${path}`, () => {
      const opened = BackupFolder.open(path);
      return Promise.resolve({ manifest: opened.manifest, groups: verifyBackup(opened) });
    });
    return await showReply(
      verifiedReply(path, verified.manifest, verified.groups),
      flags,
      terminal,
    );
  }
  const manifest = await withProgress(
    terminal,
    `Writing ${path}`,
    () => takeFrom(path, bytesPerSecond, flags, shell),
  );
  return await showReply(takenReply(path, manifest), flags, terminal);
}

async function takeFrom(
  folder: string,
  bytesPerSecond: number,
  flags: BackupFlags,
  shell: Shell,
): Promise<BackupManifest> {
  return await withClient(shell, flags, async ({ client }) => {
    const seen = await client.call("clusterStatus", {});
    const { nodeId, clusterId, generation, partitionCount, region, members } = seen;
    const others: Connected[] = [];
    const sources: ImageSource[] = [sourceOf(nodeId, client)];
    try {
      for (const member of members) {
        if (member.nodeId === nodeId) continue;
        const other = await connectTo(() => shell.connect(optionsOf(member, flags)));
        if (other === undefined) continue;
        others.push(other);
        sources.push(sourceOf(member.nodeId, other.client));
      }
      const cluster = { clusterId: formatUuid(clusterId), generation, partitionCount, region };
      const world = processWorld();
      return await takeBackup({
        ...{ folder, cluster, sources, bytesPerSecond, program: VERSION, world },
      });
    } finally {
      for (const other of others) await other.close();
    }
  });
}

function sourceOf(nodeId: number, client: Connected["client"]): ImageSource {
  return { nodeId, read: (request) => client.call("readImage", request) };
}

/** Connects to a member; one that cannot be reached gives no images. */
async function connectTo(connect: () => Promise<Connected>): Promise<Connected | undefined> {
  try {
    return await connect();
  } catch (error) {
    if (error instanceof RegistryError) return undefined;
    throw error;
  }
}

function summaryOf({ groups, clusterId, generation, partitionCount }: BackupManifest) {
  const partitions = groups.filter(({ groupId }) => partitionOfGroup(groupId) !== undefined);
  return {
    clusterId,
    generation,
    partitionCount,
    records: partitions.reduce((sum, { records }) => sum + records, 0),
    bytes: groups.reduce((sum, { bytes }) => sum + bytes, 0),
    fromLeaders: groups.filter(({ isLeader }) => isLeader).length,
    fromFollowers: groups.filter(({ isLeader }) => !isLeader).length,
  };
}

function summaryText(manifest: BackupManifest): string {
  const { clusterId, generation, records, bytes, fromLeaders, fromFollowers } = summaryOf(manifest);
  return facts([
    ["cluster", `${clusterId}, generation ${generation}`],
    ["began", new Date(manifest.beganUnixS * 1_000).toISOString()],
    ["images", `${fromLeaders} read at leaders, ${fromFollowers} at followers`],
    ["records and domains", records],
    ["size", formatBytes(bytes)],
  ]);
}

function takenReply(folder: string, manifest: BackupManifest): Reply {
  return {
    json: { folder, ...summaryOf(manifest), beganUnixS: manifest.beganUnixS },
    text: () =>
      `The backup is complete: ${folder}\n${summaryText(manifest)}` +
      "It holds no private keys and no tokens: keep the authority folder elsewhere. Check it with: " +
      `crs backup ${folder} --verify\n`,
  };
}

function verifiedReply(
  folder: string,
  manifest: BackupManifest,
  groups: readonly VerifiedGroup[],
): Reply {
  const faults = groups.flatMap(({ error }) => error === undefined ? [] : [error]);
  return {
    exitCode: faults.length === 0 ? EXIT_CODES.success : EXIT_CODES.internal,
    json: {
      folder,
      ok: faults.length === 0,
      ...summaryOf(manifest),
      groups: groups.map(({ group, error }) => ({
        ...group,
        name: groupName(group.groupId),
        error: error === undefined ? null : { code: error.code, message: error.message },
      })),
    },
    text: () => {
      const verdict = faults.length === 0
        ? `The backup is whole, ${groups.length} images of ${groups.length}`
        : `The backup is damaged, ${faults.length} images of ${groups.length}`;
      return `${verdict}: ${folder}\n${summaryText(manifest)}` +
        faults.map(({ code, message }) => `  ${code}: ${message}\n`).join("");
    },
  };
}
