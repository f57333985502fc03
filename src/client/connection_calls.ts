/** Requests that a connection makes for itself; no caller waits for their answers. */
import type { RegistryError } from "../base/errors.ts";
import { CLIENT_CANCEL_MS } from "../base/limits.ts";
import { type Operation, OPERATIONS } from "../wire/operations/mod.ts";
import { Call, type CallParameters } from "./call.ts";

/** Returns a status request, which every live node answers at once; any answer will do. */
export function probeCall(deadlineMs: number): Call {
  return callFor(OPERATIONS.status, {}, { deadlineMs, reject: () => {} });
}

/**
 * Returns the request that ends the watch with that request id. It is for this connection alone: on
 * another one the id may be that of another watch.
 */
export function cancelCall(
  id: number,
  nowMs: number,
  reject: (error: RegistryError) => void,
): Call {
  const deadlineMs = nowMs + CLIENT_CANCEL_MS;
  return callFor(OPERATIONS.cancelWatch, { id }, {
    deadlineMs,
    reject,
    silenceMs: CLIENT_CANCEL_MS,
  });
}

function callFor(
  operation: Operation,
  body: unknown,
  own: Pick<CallParameters, "deadlineMs" | "reject" | "silenceMs">,
): Call {
  const ignore = () => {};
  return new Call(
    { operation, body, decode: ignore, maxStalenessMs: 0, resolve: ignore, ...own },
    Number.MAX_SAFE_INTEGER,
  );
}
