/**
 * Measures the resident memory of idle sessions: `deno task soak idle_sessions [sessions]`, by
 * default 10,000, compared with as many bare QUIC connections of the runtime, without a stream and
 * with one.
 */
import { measureSessions } from "../../bench/sessions.ts";
import type { SoakResult } from "./soak.ts";

/** Goal: memory of a session divided by that of a bare connection with one stream. */
const RATIO_MAX = 0.95;

/** Runs the servers; holds if a session meets the goal. */
export async function run(args: readonly string[]): Promise<SoakResult> {
  const sessions = Number(args[0] ?? 10_000);
  const figures = await measureSessions(sessions);
  const ratio = figures.bytesPerSession / figures.bareConnectionOneStreamBytes;
  return {
    figures: { ...figures, ratio: Math.round(ratio * 1_000) / 1_000 },
    holds: figures.sessions === sessions && ratio <= RATIO_MAX,
  };
}
