/**
 * One request of somebody who has no identity yet, or whose certificate has ended: a session of its own
 * for it, without a proof. The server must be pinned: what is sent is worth a certificate to whoever
 * reads it first.
 */
import { requestCodec, responseCodec } from "../../schemas/gen/wire.ts";
import { FrameWriter } from "../../schemas/runtime/writer.ts";
import { errorCodeFromWire, RegistryError, toRegistryError } from "../base/errors.ts";
import { REQUEST_FRAME_BYTES_MAX, RESPONSE_FRAME_BYTES_MAX } from "../base/limits.ts";
import type { World } from "../base/world.ts";
import { FrameAssembler } from "../wire/frame_assembler.ts";
import { OPERATIONS } from "../wire/operations.ts";
import type { Dialer, Endpoint, Stream, Trust } from "../../transport/transport.ts";
import type { EnrolOrder, IssuedIdentity, RenewalOrder } from "./identity_types.ts";
import { whyRefused } from "./session_proof.ts";

/** What a stranger may ask, by operation; the answer is a certificate. */
export interface StrangersOrders {
  readonly enrol: EnrolOrder;
  readonly renewIdentity: RenewalOrder;
}

/** Where to ask. */
export interface StrangerOptions {
  readonly endpoint: Endpoint;
  readonly dialer: Dialer;
  /** Pins; a CA alone is refused. */
  readonly trust: Trust;
  readonly world: World;
  readonly timeoutMs: number;
}

/**
 * Asks, and ends the session.
 *
 * @throws RegistryError the server's refusal; `invalid_argument` where the server is not pinned;
 * `connection_lost` and `deadline_exceeded`, the outcome not known: ask again with the same request.
 */
export async function askAsStranger<Name extends keyof StrangersOrders>(
  name: Name,
  order: StrangersOrders[Name],
  { endpoint, dialer, trust, world, timeoutMs }: StrangerOptions,
): Promise<IssuedIdentity> {
  if (trust.kind !== "pins") {
    throw new RegistryError(
      "invalid_argument",
      "A certificate is asked for from a pinned server only: name its pin",
      { field: "pin" },
    );
  }
  const session = await dialer.dial(endpoint, { trust, timeoutMs });
  let isLate = false;
  const timer = world.scheduler.after(timeoutMs, () => {
    isLate = true;
    session.abort("The server did not answer in time");
  });
  try {
    const stream = await session.open("request");
    await stream.write(requestFrame(name, order, timeoutMs));
    const reply = await readReply(name, stream);
    await session.goodbye(undefined, "", { lingerMs: 0 });
    return reply;
  } catch (error) {
    const refusal = await whyRefused(session, toRegistryError(error), world);
    session.abort("The request failed");
    if (!isLate) throw refusal;
    throw new RegistryError("deadline_exceeded", `Server must answer within ${timeoutMs} ms`);
  } finally {
    timer.cancel();
  }
}

function requestFrame<Name extends keyof StrangersOrders>(
  name: Name,
  order: StrangersOrders[Name],
  timeoutMs: number,
): Uint8Array {
  const out = new FrameWriter({ bytesMax: REQUEST_FRAME_BYTES_MAX });
  const { id: operation, request } = OPERATIONS[name];
  const header = {
    id: 1,
    timeoutMs,
    maxStalenessMs: 0,
    operation,
    ringEpoch: { generation: 0, number: 0 },
  };
  // deno-lint-ignore no-explicit-any -- the codec of `name` takes the order of `name`.
  requestCodec.write(out, header, request as any, order as any);
  return out.written.slice();
}

async function readReply(name: keyof StrangersOrders, stream: Stream): Promise<IssuedIdentity> {
  const assembler = new FrameAssembler({
    frameBytesMax: RESPONSE_FRAME_BYTES_MAX,
    segmentsMax: 1,
  });
  let reply: IssuedIdentity | undefined;
  while (reply === undefined) {
    const chunk = await stream.read(new Uint8Array(16 * 1024));
    if (chunk === undefined) {
      throw new RegistryError("connection_lost", "The server ended the stream before it answered");
    }
    assembler.push(chunk, (view, bytes, start, end) => {
      const response = responseCodec.newView().wrap(view, bytes, start + 8, end);
      if (response.code !== 0) {
        const { code, message, field, retryAfterMs } = response.toPlain();
        throw new RegistryError(errorCodeFromWire(code), message, { field, retryAfterMs });
      }
      reply = response.bodyInto(OPERATIONS[name].reply.newView()).toPlain();
    });
  }
  return reply;
}
