/**
 * Images of groups for backups. An image is of the state at a point that a linearizable read permits, so
 * it contains everything that was acknowledged before it was asked for; a follower asks its leader for that
 * point. It is made in turns of the node's, and kept while its reader takes it in parts. Their number and
 * bytes are limited, and an image that nobody reads is dropped.
 */
import type { ReadImageReply, ReadImageRequest } from "../../schemas/gen/wire.ts";
import { RegistryError } from "../base/errors.ts";
import { type GroupId, groupName, SYSTEM_GROUP } from "../base/ids.ts";
import {
  BACKUP_IMAGE_IDLE_MS,
  BACKUP_IMAGES_BYTES,
  BACKUP_IMAGES_MAX,
  BACKUP_PART_BYTES,
  BACKUP_RETRY_MS,
} from "../base/limits.ts";
import type { AuthenticatedPeer } from "../base/peer.ts";
import type { MonotonicClock, Scheduler, Timer } from "../base/world.ts";
import type { Group } from "../replication/group_interface.ts";

/** A group of this node whose image can be made. */
export interface ImagedGroup {
  readonly group: Group<unknown>;
  /** Resolves with an image of the state as it is when this is called. */
  image(): Promise<Uint8Array>;
  /** Returns what an image of the present state says of its content. */
  recordCount(): number;
}

/** The dependencies of {@link BackupImages}. */
export interface BackupImagesParts {
  readonly nodeId: number;
  /** Returns a group that this node hosts; undefined if it hosts none. */
  readonly find: (group: GroupId) => ImagedGroup | undefined;
  /** Audits a backup by a peer, before the image of group 0 is made, which each backup has. */
  readonly audit: (peer: AuthenticatedPeer, deadlineMs: number) => Promise<void>;
  readonly clock: MonotonicClock;
  readonly scheduler: Scheduler;
}

/** An image that is being read. */
interface KeptImage {
  readonly groupId: number;
  readonly about: Omit<ReadImageReply, "part">;
  readonly bytes: Uint8Array;
  usedAtMs: number;
  /** Whether its last part was read: it is kept for a repetition until the next one is made. */
  isRead: boolean;
}

/** The images that are being read. */
export class BackupImages {
  readonly #parts: BackupImagesParts;
  readonly #images = new Map<number, KeptImage>();
  /** Number of images that are being made. */
  #making = 0;
  #bytes = 0;
  #lastId = 0;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(parts: BackupImagesParts) {
    this.#parts = parts;
  }

  /**
   * Returns a part of an image, which without an id is a new one.
   *
   * @param deadlineMs monotonic ms.
   * @throws RegistryError `not_replica` if this node does not host the group; `not_found` if the image was
   * dropped; `overloaded` while too many images are being read; what refuses a linearizable read.
   */
  async read(
    { groupId, imageId, offset }: ReadImageRequest,
    peer: AuthenticatedPeer,
    deadlineMs: number,
  ): Promise<ReadImageReply> {
    if (imageId === 0 && groupId === SYSTEM_GROUP) await this.#parts.audit(peer, deadlineMs);
    const image = imageId === 0
      ? await this.#make(groupId as GroupId, deadlineMs)
      : this.#images.get(imageId);
    if (image === undefined || image.groupId !== groupId || offset > image.bytes.length) {
      throw new RegistryError(
        "not_found",
        `Image ${imageId} of ${
          groupName(groupId as GroupId)
        } must be one that is being read, up to ` +
          "its end: it is not. Begin again",
      );
    }
    image.usedAtMs = this.#parts.clock.nowMs();
    image.isRead = offset + BACKUP_PART_BYTES >= image.bytes.length;
    const part = image.bytes.slice(offset, offset + BACKUP_PART_BYTES);
    return { ...image.about, part };
  }

  async #make(id: GroupId, deadlineMs: number): Promise<KeptImage> {
    const { find, clock, nodeId } = this.#parts;
    const imaged = find(id);
    if (imaged === undefined) throw notHosted(id);
    const { group } = imaged;
    this.#drop(({ isRead }) => isRead);
    this.#checkRoom();
    const point = await group.readBarrier(0, Math.max(1, deadlineMs - clock.nowMs()));
    if (point instanceof RegistryError) throw point;
    // The replica may have been removed, and other images made, while the leader was asked.
    if (find(id)?.group !== group) throw notHosted(id);
    this.#checkRoom();
    const { appliedIndex, term } = group.status();
    const imageId = ++this.#lastId;
    const at = { imageId, nodeId, isLeader: group.isLeading, index: appliedIndex, term };
    const records = imaged.recordCount();
    const making = imaged.image();
    this.#making++;
    const bytes = await making.finally(() => this.#making--);
    const about = { ...at, totalBytes: bytes.length, records };
    const image = { groupId: id, about, bytes, usedAtMs: clock.nowMs(), isRead: false };
    // One part holds all of it: it is not asked for again, and a repetition makes a new one.
    if (bytes.length > BACKUP_PART_BYTES && !this.#isStopped) {
      this.#images.set(imageId, image);
      this.#bytes += bytes.length;
      this.#timer ??= this.#look();
    }
    return image;
  }

  /** Drops all images; none is kept any more. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#drop(() => true);
  }

  #checkRoom(): void {
    const count = this.#images.size + this.#making;
    if (count < BACKUP_IMAGES_MAX && this.#bytes < BACKUP_IMAGES_BYTES) return;
    throw new RegistryError(
      "overloaded",
      `Images that are being read must be below ${BACKUP_IMAGES_MAX}, and below ` +
        `${BACKUP_IMAGES_BYTES} bytes: there are ${count} of ${this.#bytes} bytes`,
      { retryAfterMs: BACKUP_RETRY_MS },
    );
  }

  /** Drops the images that nobody reads, now and then while there are any. */
  #look(): Timer {
    return this.#parts.scheduler.after(BACKUP_IMAGE_IDLE_MS, () => {
      const beforeMs = this.#parts.clock.nowMs() - BACKUP_IMAGE_IDLE_MS;
      this.#drop(({ usedAtMs }) => usedAtMs <= beforeMs);
      this.#timer = this.#images.size === 0 ? undefined : this.#look();
    });
  }

  #drop(isDropped: (image: KeptImage) => boolean): void {
    for (const [id, image] of this.#images) {
      if (!isDropped(image)) continue;
      this.#images.delete(id);
      this.#bytes -= image.bytes.length;
    }
  }
}

function notHosted(id: GroupId): RegistryError {
  return new RegistryError("not_replica", `This node does not hold ${groupName(id)}`);
}
