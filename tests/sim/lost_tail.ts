/**
 * Checks a log that lost its end after its program was killed: if it is truncated anywhere, it must
 * be refused, or recover the same content as the whole one. Runs on copies of the disk, and only if
 * everything handed to the log had been answered, so that all of it must be kept.
 */
import { SeededEntropy } from "../../src/base/prng.ts";
import type { Entropy } from "../../src/base/world.ts";
import { MemoryDisk } from "../../src/storage/memory_storage.ts";
import { openSharedLog } from "../../src/storage/open_shared_log.ts";
import { ManualWorld } from "../support/manual_world.ts";
import { Finding } from "./history.ts";

/**
 * Truncates the newest segment on a copy of `disk` at a place drawn from `entropy`, and opens the
 * log.
 */
export function checkLostTail(disk: MemoryDisk, node: number, entropy: Entropy): void {
  const newest = disk.list().findLast(({ name }) => name.startsWith("log-"))?.name;
  if (newest === undefined) return;
  const end = disk.peek(newest)!.findLastIndex((byte) => byte !== 0) + 1;
  const size = Math.floor(entropy.unit() * end);
  const whole = recovered(copyOf(disk));
  const cut = copyOf(disk);
  cut.plant(newest, disk.peek(newest)!.slice(0, size));
  const left = recovered(cut);
  if (left === "refused" || left === whole) return;
  throw new Finding(
    "lost_tail",
    `Node ${node} would start on a log whose segment ${newest} was cut from ${end} to ${size} bytes, ` +
      `without what it acknowledged before it was killed`,
  );
}

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
  return isRefused
    ? "refused"
    : JSON.stringify([...groups].sort(([left], [right]) => left - right));
}
