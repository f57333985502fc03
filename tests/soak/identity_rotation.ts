/**
 * Everything that identities stand on rotates while many sessions read and write, 1,000 unless another
 * number is given: `deno task soak [sessions]`. One process, time moved by hand, some 75 s of work.
 * Prints what happened; the exit code is 1 where anything failed.
 */
import process from "node:process";
import { rotateUnderLoad } from "../support/identity_rotation.ts";

const sessions = Number(Deno.args[0] ?? 1_000);
const folder = await Deno.makeTempDir();
const figures = await rotateUnderLoad(folder, sessions);
await Deno.remove(folder, { recursive: true });
const { user, system } = process.cpuUsage();
console.log(JSON.stringify({ ...figures, cpuSeconds: Math.round((user + system) / 1e6) }));
const isWhole = figures.lost === 0 && figures.troubles.length === 0 &&
  Object.keys(figures.failures).length === 0 && figures.tlsRotated && figures.nodeLeafRenewed &&
  figures.leavesOfNewIntermediate === sessions && figures.tokenKeys.length === 2;
Deno.exit(isWhole ? 0 : 1);
