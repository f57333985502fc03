/**
 * How the log lies in its folder.
 *
 * The log is one sequence of bytes; a *position* is an offset in it from its beginning, and never
 * used twice. It lies in segments: files named by the position at which they begin, each beginning
 * where the one before ends. A batch begins at a multiple of `WAL_PAGE_BYTES`, and zeros fill what is
 * left of its last page. A segment may be longer than what it holds: zeros laid down ahead.
 */
import { WAL_PAGE_BYTES } from "../base/limits.ts";

const SEGMENT_NAME = /^log-([0-9a-f]{16})\.wal$/;
const IMAGE_NAME = /^image-([0-9a-f]{16})\.img$/;

/** What a file is called that is still being written; removed when it is found at a start. */
export const TEMPORARY_SUFFIX = ".tmp";
/** The file that a process holds locked while it uses the folder. */
export const LOCK_FILE = "lock";

function hex(value: number): string {
  return value.toString(16).padStart(16, "0");
}

function numberOf(name: string, pattern: RegExp): number | undefined {
  const match = pattern.exec(name);
  if (match === null) return undefined;
  const value = Number.parseInt(match[1]!, 16);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** The file of the segment that begins at `position`. */
export function segmentName(position: number): string {
  return `log-${hex(position)}.wal`;
}

/** The position at which the segment of that name begins, or `undefined` for another file. */
export function segmentPosition(name: string): number | undefined {
  return numberOf(name, SEGMENT_NAME);
}

/** The file of the image of that number. */
export function imageName(number: number): string {
  return `image-${hex(number)}.img`;
}

/** The number of the image of that name, or `undefined` for another file. */
export function imageNumber(name: string): number | undefined {
  return numberOf(name, IMAGE_NAME);
}

/** The first page boundary at or after `position`. */
export function pageAlign(position: number): number {
  return Math.ceil(position / WAL_PAGE_BYTES) * WAL_PAGE_BYTES;
}
