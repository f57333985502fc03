/**
 * Reads of files that somebody else named or wrote: regular files alone, so that a device, a pipe or
 * a socket neither blocks nor goes on without end, and no more than a bound, whatever size the file
 * system tells. Text is UTF-8; a byte-order mark at its beginning is dropped, for every file alike.
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";

/** A file that is there and may be read, but not taken. */
export class UnfitFile extends Error {
  override readonly name = "UnfitFile";
}

/**
 * Returns the text of a regular file.
 *
 * @param check is given the mode of the open file before it is read; what it throws is passed on.
 * @throws UnfitFile "it is a folder", "it has more than … bytes"; else the system's error.
 */
export function readBoundedFile(
  path: string,
  bytesMax: number,
  check: (mode: number) => void = () => {},
): string {
  // Before it is opened, too: opening a pipe waits for a writer.
  checkRegular(statSync(path));
  const file = openSync(path, "r");
  try {
    const found = fstatSync(file);
    checkRegular(found);
    check(found.mode);
    return readBounded(file, bytesMax);
  } finally {
    closeSync(file);
  }
}

/**
 * Returns the text of what is open as `file`, to its end.
 *
 * @throws UnfitFile where it goes on beyond `bytesMax`; else the system's error.
 */
export function readBounded(file: number, bytesMax: number): string {
  const bytes = new Uint8Array(bytesMax + 1);
  let length = 0;
  while (length < bytes.length) {
    const read = readSync(file, bytes, length, bytes.length - length, null);
    if (read === 0) return new TextDecoder().decode(bytes.subarray(0, length));
    length += read;
  }
  throw new UnfitFile(`it has more than ${bytesMax} bytes`);
}

function checkRegular(found: { isFile(): boolean; isDirectory(): boolean }): void {
  if (found.isFile()) return;
  throw new UnfitFile(found.isDirectory() ? "it is a folder" : "it is no regular file");
}
