/**
 * How many connections by TCP a process has file descriptors for.
 *
 * On Deno 2.9.6 one moment without descriptors ends the accept loop of a TCP listener for good, and
 * nothing tells of it. So the TLS listener never takes more connections than leave enough for the log,
 * the operator's port and what comes and goes. QUIC needs one descriptor for all of its sessions.
 */
import { readFileSync } from "node:fs";
import { DESCRIPTORS_KEPT, DESCRIPTORS_OF_NODE } from "../base/limits.ts";

/** The limit that holds for this process; `undefined` where the system does not tell. */
export function descriptorLimit(): number | undefined {
  try {
    return softLimitOf(readFileSync("/proc/self/limits", "utf8"));
  } catch {
    // Not Linux: the system's own default is far above what is needed there.
    return undefined;
  }
}

/** Reads `Max open files` of /proc/<pid>/limits; `undefined` for none. */
export function softLimitOf(limits: string): number | undefined {
  const found = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  return found === undefined ? undefined : Number(found);
}

/** TLS sessions that there is room for, at most `wanted`; 0 where there is room for none. */
export function tlsSessionsMax(wanted: number, limit: number | undefined): number {
  return limit === undefined ? wanted : Math.max(0, Math.min(wanted, limit - DESCRIPTORS_KEPT));
}

/**
 * Connections that one use of TCP may have beside those sessions, at most `wanted`: a quarter of what a
 * node does not need itself, where the limit is low, and never fewer than four.
 */
export function connectionsMax(wanted: number, limit: number | undefined): number {
  if (limit === undefined) return wanted;
  return Math.max(4, Math.min(wanted, Math.floor((limit - DESCRIPTORS_OF_NODE) / 4)));
}
