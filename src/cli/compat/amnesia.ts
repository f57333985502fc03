/**
 * A node that leaves nothing behind: its data folder is in memory, is empty at each start, and is
 * overwritten and removed when the node stops. So it returns as a new member, never as a replica that it
 * was: what a replica has promised must not be forgotten.
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, resolve } from "node:path";
import { usageFailure } from "../failure.ts";

const MOUNTS = "/proc/self/mountinfo";
const IN_MEMORY: readonly string[] = ["tmpfs", "ramfs"];
/** Names in the data folder of a node. */
const OF_A_NODE = /^(log|log-mark|identity|node-ca|cluster\.json|node\.json)$/;
const ZEROS = new Uint8Array(65_536);

/** Checks that a folder is in memory, or will be. @throws CliFailure `invalid_argument`. */
export function checkInMemory(folder: string, mounts = readFileSync(MOUNTS, "utf8")): void {
  const type = fileSystemOf(existingPath(resolve(folder)), mounts);
  if (IN_MEMORY.includes(type)) return;
  throw usageFailure(
    `With AMNESIA, ${folder} must be in memory (${IN_MEMORY.join(" or ")}): it is on ${type}`,
    "Name a folder such as /dev/shm/registry with --db or REGISTRY_DB.",
    "AMNESIA",
  );
}

/** Checks that a folder is a node's, or is empty. @throws CliFailure `invalid_argument`. */
export function checkWipeable(folder: string): void {
  if (!existsSync(folder)) return;
  const strange = readdirSync(folder).find((name) => !OF_A_NODE.test(name));
  if (strange === undefined) return;
  throw usageFailure(
    `With AMNESIA, ${folder} is emptied at each start, and must hold a node's data alone: found ${strange}`,
    "Name a folder of its own with --db or REGISTRY_DB.",
    "AMNESIA",
  );
}

/** Overwrites all files of a folder with zeros and removes it. Does nothing if there is none. */
export function wipeFolder(folder: string): void {
  if (!existsSync(folder)) return;
  overwrite(folder);
  rmSync(folder, { recursive: true, force: true });
}

function overwrite(path: string): void {
  const found = lstatSync(path);
  if (found.isDirectory()) {
    for (const name of readdirSync(path)) overwrite(`${path}/${name}`);
    return;
  }
  if (!found.isFile()) return;
  const file = openSync(path, "r+");
  try {
    for (let left = fstatSync(file).size, at = 0; left > 0;) {
      const written = writeSync(file, ZEROS, 0, Math.min(left, ZEROS.length), at);
      at += written;
      left -= written;
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Returns the path of the folder, or of the nearest one above it that is there, without links. */
function existingPath(path: string): string {
  return existsSync(path) || dirname(path) === path
    ? realpathSync(path)
    : existingPath(dirname(path));
}

/** Returns the type of the file system that a path is on (proc(5), mountinfo). */
function fileSystemOf(path: string, mounts: string): string {
  let found = { point: "", type: "an unknown file system" };
  for (const line of mounts.split("\n")) {
    const [, , , , point, ...rest] = line.split(" ");
    const type = rest[rest.indexOf("-") + 1];
    if (point === undefined || type === undefined) continue;
    const isAbove = point === "/" || path === point || path.startsWith(`${point}/`);
    // A later line is mounted over an earlier one.
    if (isAbove && point.length >= found.point.length) found = { point, type };
  }
  return found.type;
}
