/** Limits of the shared log and its images. */

/** Alignment of batches, the size of a disk page: a search after damage looks only there. */
export const WAL_PAGE_BYTES = 4_096;
/** Data of one entry: a RegisterMany of 512 records of the largest size, with room to spare. */
export const WAL_ENTRY_BYTES_MAX = 6 * 1024 * 1024;
/** Payload of a record: the largest entry, or a segment header of 8,193 groups with images. */
export const WAL_PAYLOAD_BYTES_MAX = 8 * 1024 * 1024;
/** Size at which a batch is closed: writing it takes a few ms. */
export const WAL_BATCH_BYTES = 2 * 1024 * 1024;
/**
 * Bytes submitted and not yet durable, about a second of disk writes; above it appends are refused.
 */
export const WAL_PENDING_BYTES_MAX = 64 * 1024 * 1024;
/** Buffers of batches kept for reuse: one batch is committed while the next one is gathered. */
export const WAL_SPARE_BATCHES_MAX = 2;
/**
 * Size of a segment: small enough to be freed often, large enough to make its creation negligible.
 */
export const WAL_SEGMENT_BYTES = 64 * 1024 * 1024;
/** Size of the log on disk above which compaction runs: its replay takes about a second. */
export const WAL_SOFT_BYTES = 128 * 1024 * 1024;
/**
 * Size of the log on disk at which appends are refused: 16 times the soft limit, to let compaction
 * catch up.
 */
export const WAL_HARD_BYTES = 2 * 1024 * 1024 * 1024;
/** Zeros written ahead of the log, so that a sync need not wait for the file system's journal. */
export const WAL_PREALLOCATE_BYTES = 2 * 1024 * 1024;
/** Idle time without a write, ms, after which a watermark is written. */
export const WAL_IDLE_MS = 200;
/**
 * Minimum pause between two updates of the mark beside the log under load, ms: each update is a
 * write and a sync of one sector. If a power cut takes the tail mark, a loss of entries that were
 * acknowledged during the pause may go undetected.
 */
export const WAL_MARK_MS = 100;
/** Minimum pause as a multiple of the duration of the last update, to keep a slow disk free. */
export const WAL_MARK_REST = 10;
/** Interval of probing for free space on a full disk, ms. */
export const WAL_PROBE_MS = 500;
/** Retry hint when the log is near its hard limit or too much is pending, ms. */
export const WAL_RETRY_MS = 200;
/** Size of a recovery read: large enough that the disk streams. */
export const WAL_READ_BYTES = 8 * 1024 * 1024;
/** Largest chunk of an image that is read. */
export const IMAGE_CHUNK_BYTES_MAX = 4 * 1024 * 1024;
/** Size of one chunk of an image, and of one write of it: what is encoded in one turn, about 1 ms. */
export const IMAGE_WRITE_BYTES = 256 * 1024;
/** Size of a group's configuration in an image: about a hundred members. */
export const IMAGE_CONFIGURATION_BYTES_MAX = 64 * 1024;
/** Live bytes of a group in the oldest segment up to which they are moved instead of imaged. */
export const RELOCATE_BYTES_MAX = 16 * 1024;
/**
 * Size of one read from a segment being moved while requests are served: about a millisecond of
 * work.
 */
export const RELOCATE_READ_BYTES = 512 * 1024;
/**
 * Interval of checking the log's size, ms: the gap between soft and hard limit lasts for seconds.
 */
export const COMPACTION_POLL_MS = 500;
/** Images written concurrently: their syncs wait for the disk together. */
export const IMAGES_AT_ONCE = 4;
/** Pause of compaction between two groups, ms, to let other turns run. */
export const COMPACTION_PAUSE_MS = 2;
