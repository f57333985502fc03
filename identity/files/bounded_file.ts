/**
 * Bounded reads of files that others named or wrote. Only regular files are read, so that a device,
 * pipe or socket neither blocks nor continues without end, and at most a given number of bytes,
 * whatever size the file system reports. Text is UTF-8; a leading byte-order mark is dropped from
 * every file.
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";

/** A file that exists and is readable, but unsuitable. */
export class UnfitFile extends Error {
  override readonly name = "UnfitFile";
}

/**
 * Returns the text of a regular file.
 *
 * @param check receives the mode of the open file before it is read; its exceptions are passed on.
 * @throws UnfitFile "it is a folder", "it has more than … bytes"; otherwise the system's error.
 */
export function readBoundedFile(
  path: string,
  bytesMax: number,
  check: (mode: number) => void = () => {},
): string {
  // Also checked before opening, because opening a pipe waits for a writer.
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
 * Returns the text of the open file `file`, from its position to its end.
 *
 * @throws UnfitFile if there are more than `bytesMax` bytes; otherwise the system's error.
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
