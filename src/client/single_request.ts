/** Sends one request on a stream of its own, before or beside the connection that serves calls. */
import { requestCodec, responseCodec } from "../../schemas/gen/wire.ts";
import { FrameWriter } from "../../schemas/runtime/writer.ts";
import { errorCodeFromWire, RegistryError } from "../base/errors.ts";
import { REQUEST_FRAME_BYTES_MAX, RESPONSE_FRAME_BYTES_MAX } from "../base/limits.ts";
import { FrameAssembler } from "../wire/frame_assembler.ts";
import {
  type OperationName,
  OPERATIONS,
  type ReplyOf,
  type RequestOf,
} from "../wire/operations/mod.ts";
import type { Stream } from "../../transport/transport.ts";

/**
 * Sends a request on a stream that carries nothing else, and waits for the reply.
 *
 * @param timeoutMs the timeout told to the server; the caller enforces its own by ending the
 * stream.
 * @throws RegistryError the server's refusal; `connection_lost`, `malformed`.
 */
export async function askOnce<Name extends OperationName>(
  name: Name,
  body: RequestOf<Name>,
  { stream, timeoutMs }: { readonly stream: Stream; readonly timeoutMs: number },
): Promise<ReplyOf<Name>> {
  await stream.write(requestFrame(name, body, timeoutMs));
  const assembler = new FrameAssembler({
    frameBytesMax: RESPONSE_FRAME_BYTES_MAX,
    segmentsMax: 1,
  });
  let reply: ReplyOf<Name> | undefined;
  while (reply === undefined) {
    const chunk = await stream.read(new Uint8Array(16 * 1024));
    if (chunk === undefined) {
      throw new RegistryError("connection_lost", "The server ended the stream before it answered");
    }
    assembler.push(chunk, (view, bytes, start, end) => {
      const response = responseCodec.newView().wrap(view, bytes, start + 8, end);
      if (response.code !== 0) {
        const { code, message, field, retryAfterMs, leaderHint, leaderTerm } = response.toPlain();
        throw new RegistryError(errorCodeFromWire(code), message, {
          field,
          retryAfterMs,
          ...(leaderHint === 0 ? {} : { leaderHint, leaderTerm }),
        });
      }
      reply = response.bodyInto(OPERATIONS[name].reply.newView()).toPlain() as ReplyOf<Name>;
    });
  }
  return reply;
}

function requestFrame<Name extends OperationName>(
  name: Name,
  body: RequestOf<Name>,
  timeoutMs: number,
): Uint8Array<ArrayBuffer> {
  const out = new FrameWriter({ bytesMax: REQUEST_FRAME_BYTES_MAX });
  const { id: operation, request } = OPERATIONS[name];
  const header = {
    id: 1,
    timeoutMs,
    maxStalenessMs: 0,
    operation,
    ringEpoch: { generation: 0, number: 0 },
    delegation: 0,
  };
  // deno-lint-ignore no-explicit-any -- the codec of `name` takes the body of `name`.
  requestCodec.write(out, header, request as any, body as any);
  return out.written.slice();
}
