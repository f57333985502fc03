/** Reads the body of a request: its type, its size, its time, and strict JSON. */
import { HTTP_BODY_BYTES_MAX, HTTP_BODY_MS_MAX, HTTP_JSON_DEPTH_MAX } from "../base/limits.ts";
import type { Scheduler } from "../base/world.ts";
import { readStrictJson } from "../signing/strict_json.ts";
import { badRequest, HttpError } from "./errors.ts";
import type { HttpRequest } from "./reply.ts";

const JSON_TYPE = /^application\/json\s*(;\s*charset=("utf-8"|utf-8)\s*)?$/i;

/**
 * Reads a JSON body.
 *
 * @returns the value; `undefined` for an empty body without a type.
 * @throws HttpError UnsupportedMediaType, PayloadTooLarge, BadRequest.
 */
export async function readJsonBody(
  request: HttpRequest,
  scheduler: Scheduler,
): Promise<unknown> {
  const type = request.headers.get("content-type");
  const declared = Number(request.headers.get("content-length") ?? 0);
  if (declared > HTTP_BODY_BYTES_MAX) throw tooLarge();
  if (type !== null && !JSON_TYPE.test(type)) throw otherType(type);
  const bytes = request.body === null ? new Uint8Array(0) : await readAll(request.body, scheduler);
  if (bytes.length === 0) return undefined;
  if (type === null) throw otherType("none");
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw badRequest("The body is not UTF-8", "Encode the JSON in UTF-8.");
  }
  const read = readStrictJson(text, HTTP_JSON_DEPTH_MAX);
  if ("value" in read) return read.value;
  throw badRequest(
    `The body cannot be used: ${read.fault}`,
    read.detail === undefined ? "Correct the JSON." : `The parser says: ${read.detail}`,
  );
}

async function readAll(
  body: ReadableStream<Uint8Array>,
  scheduler: Scheduler,
): Promise<Uint8Array> {
  const reader = body.getReader();
  let isLate = false;
  const timer = scheduler.after(HTTP_BODY_MS_MAX, () => {
    isLate = true;
    drop(reader);
  });
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      if (size > HTTP_BODY_BYTES_MAX) {
        drop(reader);
        throw tooLarge();
      }
      chunks.push(value);
    }
  } catch (error) {
    if (error instanceof HttpError) throw error;
    throw badRequest("The body ended before it was complete", "Send the whole body.");
  } finally {
    timer.cancel();
  }
  if (isLate) {
    throw badRequest(
      `The body must arrive within ${HTTP_BODY_MS_MAX / 1_000} s: it did not`,
      "Send the body at once.",
    );
  }
  return joined(chunks, size);
}

/** Ends the reading of a body that is not needed. */
function drop(reader: ReadableStreamDefaultReader<Uint8Array>): void {
  // A body that has failed cannot be cancelled, and its reader gets that error.
  void reader.cancel().catch(() => {});
}

function joined(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const [only] = chunks;
  if (chunks.length === 1 && only !== undefined) return only;
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function tooLarge(): HttpError {
  return new HttpError(
    "PayloadTooLarge",
    `The body must have at most ${HTTP_BODY_BYTES_MAX} bytes: it has more`,
    { hint: "Send a smaller body.", headers: { connection: "close" } },
  );
}

function otherType(found: string): HttpError {
  return new HttpError(
    "UnsupportedMediaType",
    `The body must be application/json in UTF-8: found ${JSON.stringify(found.slice(0, 64))}`,
    { hint: "Send Content-Type: application/json." },
  );
}
