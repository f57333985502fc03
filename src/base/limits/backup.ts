/** Limits of backups: images that a node keeps while they are read, and how fast they are. */

/** Bytes of an image in one reply: a part of what a frame may have, so that other replies fit between. */
export const BACKUP_PART_BYTES = 256 * 1024;
/** Images that a node keeps for readers at once: a backup reads one after the other. */
export const BACKUP_IMAGES_MAX = 4;
/** Bytes of those images above which no other one is made. */
export const BACKUP_IMAGES_BYTES = 128 * 1024 * 1024;
/** The time after which an image that nobody reads is dropped, ms: longer than a client's retries. */
export const BACKUP_IMAGE_IDLE_MS = 15_000;
/** The delay after which a reader asks again for an image that cannot be made now, ms. */
export const BACKUP_RETRY_MS = 250;
/** Attempts to read one group's image: a node may stop or lose its replica in between. */
export const BACKUP_ATTEMPTS_MAX = 8;
/** Bytes per second that a backup reads by default: a fraction of what a node's disk and network do. */
export const BACKUP_BYTES_PER_SECOND_DEFAULT = 32 * 1024 * 1024;
/** Bytes of the file that describes a backup: 8,194 groups of about 200 bytes. */
export const BACKUP_MANIFEST_BYTES_MAX = 8 * 1024 * 1024;
/** Images that a restore writes at once: they share syncs of the disk. */
export const REBUILT_IMAGES_AT_ONCE = 16;
