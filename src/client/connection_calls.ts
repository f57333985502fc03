/** Requests that a connection makes for itself; no caller waits for their answers. */
import type { RegistryError } from "../base/errors.ts";
import { CLIENT_CANCEL_MS } from "../base/limits.ts";
import { type Operation, OPERATIONS } from "../wire/operations/mod.ts";
import { Call, type CallParameters } from "./call.ts";

/**
 * Returns a request that every live node answers at once, if only that it does not know the operation; any
 * answer will do. It costs the node next to nothing, because thousands of clients send one when a node is
 * slow, and it goes by the stream that is always there.
 */
export function probeCall(deadlineMs: number): Call {
  return ownCall(OPERATIONS.whoAmI, {}, { deadlineMs, reject: () => {} });
}

/**
 * Returns the request that ends the watch with that request id. It is for this connection alone: on
 * another one the id may be that of another watch.
 */
export function cancelCall(
  { id, delegationId }: { readonly id: number; readonly delegationId: number },
  nowMs: number,
  reject: (error: RegistryError) => void,
): Call {
  const deadlineMs = nowMs + CLIENT_CANCEL_MS;
  const call = ownCall(OPERATIONS.cancelWatch, { id }, {
    deadlineMs,
    reject,
    silenceMs: CLIENT_CANCEL_MS,
  });
  call.delegationId = delegationId;
  return call;
}

/** Returns a request of the connection itself. Its reply is ignored, unless `own` takes it. */
export function ownCall(
  operation: Operation,
  body: unknown,
  own:
    & Pick<CallParameters, "deadlineMs" | "reject" | "silenceMs">
    & Partial<Pick<CallParameters, "decode" | "resolve">>,
): Call {
  const ignore = () => {};
  return new Call(
    { operation, body, decode: ignore, maxStalenessMs: 0, resolve: ignore, ...own },
    Number.MAX_SAFE_INTEGER,
  );
}
