/**
 * The number of TCP connections that a process has file descriptors for.
 *
 * On Deno 2.9.6, running out of descriptors once ends the accept loop of a TCP listener for good and
 * silently. So the TLS listener limits its connections such that enough descriptors remain for the
 * log, the operator's port and temporary uses. QUIC needs one descriptor for all of its sessions.
 */
import { readFileSync } from "node:fs";
import { DESCRIPTORS_KEPT, DESCRIPTORS_OF_NODE } from "../base/limits.ts";

/** Returns this process's limit of open files; `undefined` if the system does not tell. */
export function descriptorLimit(): number | undefined {
  try {
    return softLimitOf(readFileSync("/proc/self/limits", "utf8"));
  } catch {
    // Not Linux: the system's default is far above what is needed there.
    return undefined;
  }
}

/** Parses `Max open files` of /proc/<pid>/limits; `undefined` if there is no limit. */
export function softLimitOf(limits: string): number | undefined {
  const found = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  return found === undefined ? undefined : Number(found);
}

/** Returns the number of TLS sessions that there are descriptors for, in `[0, wanted]`. */
export function tlsSessionsMax(wanted: number, limit: number | undefined): number {
  return limit === undefined ? wanted : Math.max(0, Math.min(wanted, limit - DESCRIPTORS_KEPT));
}

/**
 * Returns the number of connections that one use of TCP may have beside those sessions: `wanted`, or
 * if the limit is low, a quarter of the descriptors that the node itself does not need, but at least
 * four.
 */
export function connectionsMax(wanted: number, limit: number | undefined): number {
  if (limit === undefined) return wanted;
  return Math.max(4, Math.min(wanted, Math.floor((limit - DESCRIPTORS_OF_NODE) / 4)));
}
