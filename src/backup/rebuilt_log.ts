/** Writes the log of a node whose groups begin with images, into an empty folder. */
import type { RegistryError } from "../base/errors.ts";
import { firstTermOf, type GroupId, type LogIndex, type ReplicaId } from "../base/ids.ts";
import { REBUILT_IMAGES_AT_ONCE } from "../base/limits.ts";
import type { World } from "../base/world.ts";
import { encodeConfiguration, soleConfiguration } from "../replication/log_entry.ts";
import { encodeOwner, ownerRecordOf } from "../replication/log_ids.ts";
import { openSharedLog } from "../storage/open_shared_log.ts";
import type { LogDone, SharedLog, SharedLogOptions } from "../storage/shared_log.ts";

/** A group that this node alone votes in. */
export interface RebuiltGroup {
  readonly group: GroupId;
  readonly replica: number;
  /** Index of the last entry that the image contains. */
  readonly index: number;
  readonly image: () => Iterable<Uint8Array>;
}

/** Where the log is written, and what it needs. */
export interface RebuiltLogOptions extends Pick<SharedLogOptions, "storage" | "markStorage"> {
  readonly generation: number;
  readonly world: Pick<World, "monotonic" | "scheduler" | "entropy">;
}

/**
 * Writes the log; resolves when it is durable and closed. Its terms, and so the incarnations that the groups
 * assign, are of `generation`.
 *
 * @throws RegistryError `storage_unavailable`; `corrupt` if the folder holds a log.
 */
export async function writeRebuiltLog(
  groups: readonly RebuiltGroup[],
  options: RebuiltLogOptions,
): Promise<void> {
  const log = await openLog(options);
  try {
    const left = [...groups];
    // Each waits for the syncs of its image, which others share.
    const writers = Array.from({ length: REBUILT_IMAGES_AT_ONCE }, async () => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        await writeGroup(log, next, options.generation);
      }
    });
    await Promise.all(writers);
  } finally {
    await new Promise<void>((resolve) => log.close(() => resolve()));
  }
}

function openLog(
  { storage, markStorage, world: { monotonic, scheduler, entropy } }: RebuiltLogOptions,
): Promise<SharedLog> {
  return new Promise((resolve, reject) => {
    openSharedLog({
      ...{ storage, clock: monotonic, scheduler, entropy },
      ...(markStorage === undefined ? {} : { markStorage }),
      handlers: {
        hardState: () => {},
        imageStart: () => {},
        imageChunk: () => {},
        imageEnd: () => {},
        entry: () => {},
        poisoned: () => {},
        ready: resolve,
        failed: reject,
      },
    });
  });
}

async function writeGroup(
  log: SharedLog,
  { group, replica, index, image }: RebuiltGroup,
  generation: number,
): Promise<void> {
  const term = firstTermOf(generation);
  const at = index as LogIndex;
  const configuration = encodeConfiguration(soleConfiguration(replica));
  const owner = encodeOwner(replica as ReplicaId);
  await submitted((done) => log.saveHardState(ownerRecordOf(group), owner, done));
  await submitted((done) =>
    log.installImage(group, { index: at, term, configuration }, image(), done)
  );
  await submitted((done) => log.saveHardState(group, { term, vote: 0, commit: at }, done));
}

function submitted(submit: (done: LogDone) => RegistryError | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle: LogDone = (error) => error === undefined ? resolve() : reject(error);
    const refused = submit(settle);
    if (refused !== undefined) settle(refused);
  });
}
