/**
 * Checks what a log makes of damage after its program was killed. Runs on copies of the disk, and
 * only if everything handed to the log had been answered, so that all of it must be kept:
 *
 * - If the log lost its end, it must be refused, or recover the same content as the whole one.
 * - If a batch that was never acknowledged is torn after its end, it must recover that content.
 * - If bits turned in what is synced, it must be refused, without its tail mark too, which a power
 *   cut may take.
 */
import { SeededEntropy } from "../../src/base/prng.ts";
import { WAL_PAGE_BYTES } from "../../src/base/limits.ts";
import type { Entropy } from "../../src/base/world.ts";
import { MemoryDisk } from "../../src/storage/memory_storage.ts";
import { openSharedLog } from "../../src/storage/open_shared_log.ts";
import { TAIL_FILE } from "../../src/wal/log_mark.ts";
import { ManualWorld } from "../support/manual_world.ts";
import { Finding } from "./history.ts";

/** Maximum size of the remains of a torn batch, bytes. */
const TORN_BYTES_MAX = 600;
/** Minimum size of a log whose last batch is surely in its second half, pages. */
const ROT_PAGES_MIN = 8;

/** A log that was closed by a kill. */
interface KilledLog {
  readonly disk: MemoryDisk;
  readonly node: number;
  /** The state that the log recovers unchanged. */
  readonly whole: string;
  /** Names of its segments, the newest last. */
  readonly segments: readonly string[];
  readonly newest: string;
  /** Size of the newest one without the zeros after it. */
  readonly end: number;
}

/** Checks copies of a log; their damage is drawn from `entropy`. */
export function checkKilledLog(disk: MemoryDisk, node: number, entropy: Entropy): void {
  const segments = disk.list().map(({ name }) => name).filter((name) => name.startsWith("log-"));
  const newest = segments.at(-1);
  if (newest === undefined) return;
  const whole = recovered(copyOf(disk));
  const log = { disk, node, whole, segments, newest, end: sizeOf(disk, newest) };
  checkLostTail(log, entropy);
  // A log that another fault damaged before is refused in any case.
  if (whole === REFUSED) return;
  checkTornTail(log, entropy);
  checkRot(log, entropy);
}

/** Truncates the newest segment. */
function checkLostTail({ disk, end, newest, node, whole }: KilledLog, entropy: Entropy): void {
  const size = Math.floor(entropy.unit() * end);
  const cut = copyOf(disk);
  cut.plant(newest, disk.peek(newest)!.slice(0, size));
  const left = recovered(cut);
  if (left === REFUSED || left === whole) return;
  throw new Finding(
    "lost_tail",
    `Node ${node} would start on a log whose segment ${newest} was cut from ${end} to ${size} bytes, ` +
      `without what it acknowledged before it was killed`,
  );
}

/** Writes part of a batch after the end. */
function checkTornTail({ disk, end, newest, node, whole }: KilledLog, entropy: Entropy): void {
  const bytes = disk.peek(newest)!.slice();
  const at = Math.ceil(end / WAL_PAGE_BYTES) * WAL_PAGE_BYTES;
  const size = 1 + Math.floor(entropy.unit() * TORN_BYTES_MAX);
  if (at + size > bytes.length) return;
  for (let offset = at; offset < at + size; offset++) {
    bytes[offset] = 1 + Math.floor(entropy.unit() * 255);
  }
  const torn = copyOf(disk);
  torn.plant(newest, bytes);
  const left = recovered(torn);
  if (left === whole) return;
  const how = left === REFUSED ? "refuses" : "does not recover the content of";
  throw new Finding("torn_tail", `Node ${node} ${how} a log with ${size} torn bytes after its end`);
}

/** Turns a bit below a watermark. */
function checkRot(log: KilledLog, entropy: Entropy): void {
  const { disk, end, newest, node, segments, whole } = log;
  const old = segments.slice(0, -1);
  if (old.length === 0 && end < ROT_PAGES_MIN * WAL_PAGE_BYTES) return;
  const segment = old[Math.floor(entropy.unit() * old.length)] ?? newest;
  const size = segment === newest ? end / 2 : sizeOf(disk, segment);
  const offset = Math.floor(entropy.unit() * size);
  const rotten = copyOf(disk);
  rotten.uproot(TAIL_FILE);
  rotten.flip(segment, offset, Math.floor(entropy.unit() * 8));
  const left = recovered(rotten);
  if (left === REFUSED || left === whole) return;
  throw new Finding(
    "rot",
    `Node ${node} would start on a log with a wrong bit at offset ${offset} of ${segment}, ` +
      `without what it acknowledged after it`,
  );
}

/** Size of a file without the zeros at its end, bytes. */
function sizeOf(disk: MemoryDisk, file: string): number {
  return disk.peek(file)!.findLastIndex((byte) => byte !== 0) + 1;
}

const REFUSED = "refused";

function copyOf(disk: MemoryDisk): MemoryDisk {
  const copy = new MemoryDisk();
  for (const { name } of disk.list()) copy.plant(name, disk.peek(name)!);
  return copy;
}

/** Returns the recovered content of each group as text, or the fact that the log was refused. */
function recovered(disk: MemoryDisk): string {
  const world = new ManualWorld();
  const groups = new Map<number, string>();
  const note = (group: number, what: string) =>
    groups.set(group, `${groups.get(group) ?? ""} ${what}`);
  let isRefused = false;
  openSharedLog({
    storage: disk.open(world),
    clock: world,
    scheduler: world,
    entropy: new SeededEntropy(1),
    handlers: {
      hardState: (group, { term, vote, commit }) => note(group, `${term}/${vote}/${commit}`),
      imageStart: (group, { index }) => note(group, `image ${index}`),
      imageChunk() {},
      imageEnd() {},
      entry: (group, index, term) => note(group, `${index}@${term}`),
      ready() {},
      failed: () => isRefused = true,
      poisoned() {},
    },
  });
  world.settle();
  return isRefused ? REFUSED : JSON.stringify([...groups].sort(([left], [right]) => left - right));
}
