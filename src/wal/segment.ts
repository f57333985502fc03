/**
 * The layout of the log in its folder.
 *
 * The log is one sequence of bytes; a *position* is an offset from its start, and is never reused.
 * It is stored in segments: files named by the position at which they start, each starting where
 * the previous one ends. A batch starts at a multiple of `WAL_PAGE_BYTES`, and zeros fill the rest
 * of its last page. A segment file may be longer than its content: it is preallocated with zeros.
 */
import { WAL_PAGE_BYTES } from "../base/limits.ts";

const SEGMENT_NAME = /^log-([0-9a-f]{16})\.wal$/;
const IMAGE_NAME = /^image-([0-9a-f]{16})\.img$/;

/** The suffix of a file that is still being written; such files are removed at a start. */
export const TEMPORARY_SUFFIX = ".tmp";
/** The file that a process keeps locked while it uses the folder. */
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

/** Returns the file name of the segment that starts at `position`. */
export function segmentName(position: number): string {
  return `log-${hex(position)}.wal`;
}

/**
 * Returns the position at which the segment of that name starts, or `undefined` for another file.
 */
export function segmentPosition(name: string): number | undefined {
  return numberOf(name, SEGMENT_NAME);
}

/** Returns the file name of the image with that number. */
export function imageName(number: number): string {
  return `image-${hex(number)}.img`;
}

/** Returns the number of the image of that name, or `undefined` for another file. */
export function imageNumber(name: string): number | undefined {
  return numberOf(name, IMAGE_NAME);
}

/** Returns the first page boundary at or after `position`. */
export function pageAlign(position: number): number {
  return Math.ceil(position / WAL_PAGE_BYTES) * WAL_PAGE_BYTES;
}
