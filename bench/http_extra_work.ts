/**
 * Preloaded into a front, it adds work to each answer, to show that the gate notices: `EXTRA_WORK_US`
 * microseconds of it.
 */
import { ServerResponse } from "node:http";

const extraMs = Number(Deno.env.get("EXTRA_WORK_US")) / 1_000;
const { end } = ServerResponse.prototype;

ServerResponse.prototype.end = function (this: ServerResponse, ...given: unknown[]) {
  const untilMs = performance.now() + extraMs;
  while (performance.now() < untilMs);
  return Reflect.apply(end, this, given);
} as typeof end;
