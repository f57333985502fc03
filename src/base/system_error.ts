/**
 * Advice for file system errors, chosen by the error code that Node.js and Deno set, not by the
 * message text.
 */

/** Advice by system error code, phrased as the end of a sentence. */
const ADVICE: Readonly<Record<string, string>> = {
  EROFS: "the file system is read-only: use a path on another one, or remount it for writing",
  EACCES: "permission denied: use a path that this user owns, or change its owner or mode",
  EPERM: "permission denied: use a path that this user owns, or change its owner or mode",
  ENOSPC: "the disk is full: free space on it",
  EDQUOT: "the disk quota of this user is exhausted: free space, or have it raised",
  EMFILE: "this process has too many open files: raise its limit (ulimit -n)",
  ENFILE: "this machine has too many open files: stop some processes, or raise fs.file-max",
  EIO: "the disk reports an I/O error: check the system log, and restore the data elsewhere",
  ENOENT: "no such file or folder: check the path",
  ENOTDIR: "part of the path is not a folder: check the path",
  EISDIR: "the path is a folder: use the path of a file",
  ELOOP: "too many symbolic links: check the path for a cycle",
  ENAMETOOLONG: "the path is too long: use a shorter one",
};
/** Maximum length of a followed cause chain, which may be circular. */
const CAUSES_MAX = 8;

/**
 * Returns the system error code (`ENOSPC`, …) of an error or of its causes; `undefined` if none.
 */
export function systemCodeOf(error: unknown): string | undefined {
  let at = error;
  for (let depth = 0; depth < CAUSES_MAX; depth++) {
    if (typeof at !== "object" || at === null) return undefined;
    if ("code" in at && typeof at.code === "string" && /^E[A-Z0-9]+$/.test(at.code)) return at.code;
    at = "cause" in at ? at.cause : undefined;
  }
  return undefined;
}

/** Returns advice for a file system error; `undefined` when there is none for its code. */
export function systemAdvice(error: unknown): string | undefined {
  const code = systemCodeOf(error);
  return code !== undefined && Object.hasOwn(ADVICE, code) ? ADVICE[code] : undefined;
}
