/** Answers of routes as they are sent, unless they are event streams. */
import { CORRELATION_HEADER } from "./correlation.ts";
import { JSON_TYPE, jsonText } from "./json_text.ts";
import { MeasuredText } from "./measured_text.ts";
import { receiptHeaders } from "./receipt_headers.ts";
import type { WholeReply } from "./reply.ts";
import type { HttpRoute, RouteAnswer } from "./route.ts";

/** The request that is answered. */
export interface Answered {
  readonly requestId: string;
  readonly method: string;
}

/** Returns the headers of every answer. */
export function commonHeaders({ requestId }: Answered): Record<string, string> {
  return {
    [CORRELATION_HEADER]: requestId,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  };
}

/** Returns an answer that is no stream as it is sent. */
export function replyOf(
  route: HttpRoute,
  { status: given, body, headers: more }: RouteAnswer,
  call: Answered,
): WholeReply {
  const status = given ?? Number(Object.keys(route.answers)[0]);
  const headers = { ...commonHeaders(call), ...receiptHeaders(body), ...more };
  if (body !== undefined) headers["content-type"] ??= JSON_TYPE;
  const isMeasured = body instanceof MeasuredText;
  if (isMeasured) headers["content-length"] = String(body.byteLength);
  if (call.method === "HEAD" || body === undefined) return { status, headers, body: undefined };
  if (isMeasured) return { status, headers, body: body.text };
  const isReady = typeof body === "string" || body instanceof Uint8Array;
  return { status, headers, body: isReady ? body : jsonText(body) };
}
