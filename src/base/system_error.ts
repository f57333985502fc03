/**
 * What an operating system's refusal of a file asks for: by its code, as Node.js and Deno name it
 * on errors, and not by the words that come with it.
 */

/** What to do, as the end of a sentence, by the code of the system's error. */
const ADVICE: Readonly<Record<string, string>> = {
  EROFS: "the file system is read-only: name a place on another one, or mount it for writing",
  EACCES: "this user may not: name a place that it owns, or change its owner or mode",
  EPERM: "this user may not: name a place that it owns, or change its owner or mode",
  ENOSPC: "the disk is full: make room on it",
  EDQUOT: "the disk quota of this user is used up: make room, or have it raised",
  EMFILE: "this process has too many files open: raise its limit (ulimit -n)",
  ENFILE: "this machine has too many files open: end some processes, or raise fs.file-max",
  EIO: "the disk fails: look at the system's log, and restore the data elsewhere",
  ENOENT: "it is not there: check the path",
  ENOTDIR: "a part of the path is no folder: check the path",
  EISDIR: "it is a folder: name a file",
  ELOOP: "its links lead in a circle: check the path",
  ENAMETOOLONG: "the path is too long: name a shorter one",
};
/** Errors that carry each other, at most: a chain may be a circle. */
const CAUSES_MAX = 8;

/** Returns the system's code (`ENOSPC`, …) of an error or of what caused it; `undefined`: none. */
export function systemCodeOf(error: unknown): string | undefined {
  let at = error;
  for (let depth = 0; depth < CAUSES_MAX; depth++) {
    if (typeof at !== "object" || at === null) return undefined;
    if ("code" in at && typeof at.code === "string" && /^E[A-Z0-9]+$/.test(at.code)) return at.code;
    at = "cause" in at ? at.cause : undefined;
  }
  return undefined;
}

/** Returns what to do about a refusal of the file system; `undefined` where its code says nothing. */
export function systemAdvice(error: unknown): string | undefined {
  const code = systemCodeOf(error);
  return code !== undefined && Object.hasOwn(ADVICE, code) ? ADVICE[code] : undefined;
}
