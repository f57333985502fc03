/**
 * The control frames of a session's first stream, which the client opens. The client sends Hello;
 * the server answers HelloReply, or Goodbye with a code. From then on the stream carries requests
 * and responses too: the server sends ring maps as they change, the client announces further
 * streams, and either side ends the session with Goodbye. No request is served before the Hello was answered.
 */
import type { FrameWriter, Input, StructCodec } from "../../schemas/runtime.ts";
import {
  CONTROL_KINDS,
  controlFrameCodec,
  type Goodbye,
  goodbyeCodec,
  type Hello,
  helloCodec,
  type HelloReply,
  helloReplyCodec,
  type RingMap as WireRingMap,
  ringMapCodec,
} from "../../schemas/gen/wire.ts";
import { RegistryError } from "../base/errors.ts";
import type { RingMap } from "../ring/ring_map.ts";

/** Bit of `Hello.features`: the client announces each further stream that it opens. */
export const FEATURE_ANNOUNCES_STREAMS = 1;

/**
 * The lowest protocol version that this program supports. In version 1 requests had a stream of
 * their own: such a client would never read the replies on the first stream.
 */
export const PROTOCOL_VERSION_MIN = 2;
/** The highest protocol version that this program supports. */
export const PROTOCOL_VERSION_MAX = 2;

/** The sizes of a ControlFrame's root struct, as its pointer holds them: one data word, one pointer. */
const CONTROL_ROOT_SIZES = 0x0001_0001;

/**
 * Reports whether the complete frame that begins at `start` is a control frame. Requests and
 * responses have larger root structs, even if a peer's encoder truncates them: an operation lies
 * beyond the first data word, and the body of a response is its fourth pointer.
 */
export function isControlFrame(view: DataView, start: number): boolean {
  return view.getUint32(start + 12, true) === CONTROL_ROOT_SIZES;
}

/** The server's HelloReply, with its ring map as the registry's own type. */
export interface Greeting extends Omit<HelloReply, "ringMap"> {
  readonly ringMap: RingMap;
}

/** A control frame as plain data. */
export type ControlMessage =
  | { readonly kind: "hello"; readonly hello: Hello }
  | { readonly kind: "hello_reply"; readonly reply: Greeting }
  | { readonly kind: "goodbye"; readonly goodbye: Goodbye }
  | { readonly kind: "ring_map"; readonly ringMap: RingMap }
  | { readonly kind: "stream_opening" };

/** Appends a control frame to `out`. */
export function writeControl(out: FrameWriter, message: ControlMessage): void {
  const write = <Body>(kind: number, codec: StructCodec<Body>, body: Input<Body>) =>
    controlFrameCodec.write(out, { kind }, codec, body as Input<NoInfer<Body>>);
  switch (message.kind) {
    case "hello":
      return write(CONTROL_KINDS.hello, helloCodec, message.hello);
    case "hello_reply":
      return write(CONTROL_KINDS.helloReply, helloReplyCodec, message.reply);
    case "goodbye":
      return write(CONTROL_KINDS.goodbye, goodbyeCodec, message.goodbye);
    case "ring_map":
      return write(CONTROL_KINDS.ringMap, ringMapCodec, message.ringMap);
    case "stream_opening":
      return controlFrameCodec.write(out, { kind: CONTROL_KINDS.streamOpening });
  }
}

/**
 * Reads the control frame `[start, end)` of `bytes`, table included. Returns `undefined` for a kind
 * that a later version added, which is to be skipped.
 *
 * @throws RegistryError `malformed`.
 */
export function readControl(
  view: DataView,
  bytes: Uint8Array,
  start: number,
  end: number,
): ControlMessage | undefined {
  const frame = controlFrameCodec.newView().wrap(view, bytes, start + 8, end);
  switch (frame.kind) {
    case CONTROL_KINDS.hello:
      return { kind: "hello", hello: frame.bodyInto(helloCodec.newView()).toPlain() };
    case CONTROL_KINDS.helloReply:
      return {
        kind: "hello_reply",
        reply: greetingFromWire(frame.bodyInto(helloReplyCodec.newView()).toPlain()),
      };
    case CONTROL_KINDS.goodbye:
      return { kind: "goodbye", goodbye: frame.bodyInto(goodbyeCodec.newView()).toPlain() };
    case CONTROL_KINDS.ringMap:
      return {
        kind: "ring_map",
        ringMap: ringMapFromWire(frame.bodyInto(ringMapCodec.newView()).toPlain()),
      };
    case CONTROL_KINDS.streamOpening:
      return { kind: "stream_opening" };
    default:
      return undefined;
  }
}

function greetingFromWire(wire: HelloReply): Greeting {
  if (wire.ringMap === undefined) {
    throw new RegistryError("malformed", "HelloReply must hold a ring map: it holds none");
  }
  return { ...wire, ringMap: ringMapFromWire(wire.ringMap) };
}

/**
 * Converts and validates the ring map of a wire message.
 *
 * @throws RegistryError `malformed` when its parts are inconsistent.
 */
export function ringMapFromWire(wire: WireRingMap): RingMap {
  const count = wire.partitionCount;
  if (count < 1 || count > 8_192 || (count & (count - 1)) !== 0) {
    throw new RegistryError(
      "malformed",
      `Ring map must have a power of two up to 8192 partitions: found ${count}`,
    );
  }
  if (wire.placements.length !== 1 && wire.placements.length !== count) {
    throw new RegistryError(
      "malformed",
      `Ring map must place all of ${count} partitions: found ${wire.placements.length} placements`,
    );
  }
  return wire;
}
