/**
 * Takes a backup of a cluster that serves. Each group's image is read from a node that holds it, in
 * parts, at a bounded rate, and written to a file. A node makes an image at a point that its group's
 * leader confirms, so that everything acknowledged before the backup began is in it; what is
 * acknowledged meanwhile may be in it or not, and the groups are not imaged at one moment.
 *
 * Group 0 is read after all partitions. Partitions hold numbers that group 0 assigned (fences of the
 * pullers of other regions), and in a restored cluster it must not assign one of them again.
 */
import { createHash } from "node:crypto";
import type { ReadImageReply, ReadImageRequest } from "../../schemas/gen/wire.ts";
import { type ErrorCode, RegistryError, toRegistryError } from "../base/errors.ts";
import {
  GOVERNED_GROUP,
  GOVERNED_PLACE,
  type GroupId,
  groupName,
  groupOfPartition,
  partitionId,
  SYSTEM_GROUP,
} from "../base/ids.ts";
import { BACKUP_ATTEMPTS_MAX, BACKUP_RETRY_MS, PEER_IMAGE_BYTES_MAX } from "../base/limits.ts";
import type { World } from "../base/world.ts";
import { SystemStore } from "../system/system_store.ts";
import { FolderWriter } from "./folder_writer.ts";
import {
  type BackedUpGroup,
  type BackupManifest,
  encodeManifest,
  imageFileOf,
  MANIFEST_FILE,
} from "./manifest.ts";

/** A node that images are read from. */
export interface ImageSource {
  readonly nodeId: number;
  /** @throws RegistryError. */
  read(request: ReadImageRequest): Promise<ReadImageReply>;
}

/** The cluster to back up, as one of its nodes describes it. */
export type BackedUpCluster = Pick<
  BackupManifest,
  "clusterId" | "generation" | "partitionCount" | "region"
>;

/** Options of a backup. */
export interface BackupOptions {
  /** The folder to create. */
  readonly folder: string;
  readonly cluster: BackedUpCluster;
  /** The members of the cluster that can be reached, at least one. */
  readonly sources: readonly ImageSource[];
  readonly bytesPerSecond: number;
  readonly program: string;
  readonly world: Pick<World, "wall" | "monotonic" | "scheduler">;
}

/** The refusals after which the image is asked of another node, or again. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  "not_replica",
  "not_found",
  "not_leader",
  "overloaded",
  "deadline_exceeded",
  "connection_lost",
  "shutting_down",
  "storage_unavailable",
]);

/**
 * Takes a backup. What an interrupted one left is replaced.
 *
 * @throws RegistryError `invalid_argument` if the folder holds something; `permission_denied`;
 * `storage_unavailable`; the last refusal of a group that no node gives an image of.
 */
export async function takeBackup(options: BackupOptions): Promise<BackupManifest> {
  const writer = FolderWriter.begin(options.folder);
  try {
    const manifest = await new Backup(options, writer).take();
    writer.finish();
    return manifest;
  } catch (error) {
    writer.discard();
    throw error;
  }
}

/** A backup that is being taken. */
class Backup {
  readonly #options: BackupOptions;
  readonly #writer: FolderWriter;
  readonly #beganMs: number;
  #bytes = 0;

  constructor(options: BackupOptions, writer: FolderWriter) {
    this.#options = options;
    this.#writer = writer;
    this.#beganMs = options.world.monotonic.nowMs();
  }

  async take(): Promise<BackupManifest> {
    const { cluster, program, world: { wall } } = this.#options;
    const { partitionCount } = cluster;
    const beganUnixS = Math.floor(wall.unixMs() / 1_000);
    const groups: BackedUpGroup[] = [];
    for (let number = 0; number < partitionCount; number++) {
      groups.push(await this.#back(groupOfPartition(partitionId(number))));
    }
    const chunks: Uint8Array[] = [];
    const system = await this.#back(SYSTEM_GROUP, chunks);
    if (hasPlane(chunks)) groups.push(await this.#back(GOVERNED_GROUP));
    const manifest = { ...cluster, beganUnixS, program, groups: [system, ...groups] };
    const file = this.#writer.create(MANIFEST_FILE);
    file.write(new TextEncoder().encode(encodeManifest(manifest)));
    file.finish();
    return manifest;
  }

  /** Writes a group's image to its file. @param kept takes the image too. */
  async #back(group: GroupId, kept?: Uint8Array[]): Promise<BackedUpGroup> {
    const { sources, world: { scheduler } } = this.#options;
    let refused: RegistryError | undefined;
    for (let attempt = 0; attempt < BACKUP_ATTEMPTS_MAX * sources.length; attempt++) {
      // Another node for each group, so that the work is spread over them.
      const source = sources[(group + attempt) % sources.length]!;
      try {
        return await this.#readFrom(source, group, kept);
      } catch (error) {
        refused = toRegistryError(error);
        if (!PASSING.has(refused.code)) throw refused;
        kept?.splice(0);
      }
      if ((attempt + 1) % sources.length === 0) await pause(scheduler, BACKUP_RETRY_MS);
    }
    throw new RegistryError(
      refused?.code ?? "internal",
      `No node gives an image of ${groupName(group)}: ${refused?.message}`,
      refused?.fields,
      refused,
    );
  }

  async #readFrom(
    source: ImageSource,
    groupId: GroupId,
    kept: Uint8Array[] | undefined,
  ): Promise<BackedUpGroup> {
    const name = imageFileOf(groupId);
    const file = this.#writer.create(name);
    const hash = createHash("sha256");
    let [imageId, offset] = [0, 0];
    try {
      for (;;) {
        const reply = await source.read({ groupId, imageId, offset });
        const { part, totalBytes } = reply;
        checkPart(reply, { groupId, offset });
        file.write(part);
        hash.update(part);
        kept?.push(part);
        imageId = reply.imageId;
        offset += part.length;
        await this.#atRate(part.length);
        if (offset < totalBytes) continue;
        const { index, term, records, nodeId, isLeader } = reply;
        file.finish();
        return {
          ...{ groupId, file: name, bytes: offset, sha256: hash.digest("hex") },
          ...{ index, term, records, nodeId, isLeader },
        };
      }
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Waits until what was read is within the rate. */
  async #atRate(bytes: number): Promise<void> {
    const { bytesPerSecond, world: { monotonic, scheduler } } = this.#options;
    this.#bytes += bytes;
    const dueMs = this.#beganMs + this.#bytes / bytesPerSecond * 1_000;
    const leftMs = dueMs - monotonic.nowMs();
    if (leftMs > 0) await pause(scheduler, leftMs);
  }
}

/** Checks what a node sent, so that a broken one neither stalls the backup nor fills the disk. */
function checkPart(
  { part, totalBytes }: ReadImageReply,
  { groupId, offset }: { readonly groupId: GroupId; readonly offset: number },
): void {
  const isNext = part.length > 0 && offset + part.length <= totalBytes;
  if (isNext && totalBytes <= PEER_IMAGE_BYTES_MAX) return;
  throw new RegistryError(
    "corrupt",
    `The image of ${
      groupName(groupId)
    } must come in parts of at least a byte, up to its end, and have ` +
      `at most ${PEER_IMAGE_BYTES_MAX} bytes: found ${part.length} bytes at ${offset} of ${totalBytes}`,
  );
}

/** Reports whether group 0 has placed the governed plane. */
function hasPlane(chunks: readonly Uint8Array[]): boolean {
  const store = new SystemStore();
  store.loadImage(chunks);
  return store.state.placement.of(GOVERNED_PLACE) !== undefined;
}

function pause(scheduler: World["scheduler"], delayMs: number): Promise<void> {
  return new Promise((resolve) => void scheduler.after(delayMs, resolve));
}
