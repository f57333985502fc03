/**
 * Rotates every certificate and key while many sessions read and write: `deno task soak
 * identity_rotation [sessions]`, by default 1,000 sessions. One process, simulated time, about 75
 * s.
 */
import process from "node:process";
import { rotateUnderLoad } from "../support/identity_rotation.ts";
import type { SoakResult } from "./soak.ts";

/** Runs the rotation; holds if no request failed and everything was rotated. */
export async function run(args: readonly string[]): Promise<SoakResult> {
  const sessions = Number(args[0] ?? 1_000);
  const folder = await Deno.makeTempDir();
  const figures = await rotateUnderLoad(folder, sessions);
  await Deno.remove(folder, { recursive: true });
  const { user, system } = process.cpuUsage();
  const holds = figures.lost === 0 && figures.troubles.length === 0 &&
    Object.keys(figures.failures).length === 0 && figures.tlsRotated && figures.nodeLeafRenewed &&
    figures.leavesOfNewIntermediate === sessions && figures.tokenKeys.length === 2;
  return { figures: { ...figures, cpuSeconds: Math.round((user + system) / 1e6) }, holds };
}
