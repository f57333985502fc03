/** Requests that a connection makes for itself; nobody waits for their answers. */
import { CLIENT_ABANDONED_MS } from "../base/limits.ts";
import { type Operation, OPERATIONS } from "../wire/operations/mod.ts";
import { Call } from "./call.ts";

/** Returns a status request, which every live node answers at once; any answer will do. */
export function probeCall(deadlineMs: number): Call {
  return callFor(OPERATIONS.status, {}, deadlineMs);
}

/** Returns the request that ends the watch with that request id. */
export function cancelCall(id: number, nowMs: number): Call {
  return callFor(OPERATIONS.cancelWatch, { id }, nowMs + CLIENT_ABANDONED_MS);
}

function callFor(operation: Operation, body: unknown, deadlineMs: number): Call {
  const ignore = () => {};
  return new Call(
    {
      operation,
      body,
      decode: ignore,
      maxStalenessMs: 0,
      deadlineMs,
      resolve: ignore,
      reject: ignore,
    },
    Number.MAX_SAFE_INTEGER,
  );
}
