/**
 * The control stream of a session between two nodes. After the handshake the node that dialed sends
 * its hello, and the other one answers with its own, or with a goodbye that carries a code. Then
 * both send pings and answer them, tell whether their logs take writes, and either may say goodbye.
 */
import {
  peerControlCodec,
  type PeerGoodbye,
  peerGoodbyeCodec,
  type PeerHello,
  peerHelloCodec,
  peerPingCodec,
} from "../../schemas/gen/peer.ts";
import { FrameWriter } from "../../schemas/runtime.ts";
import { PEER_CONTROL_BYTES_MAX } from "../base/limits.ts";

export type { PeerGoodbye, PeerHello } from "../../schemas/gen/peer.ts";

/** The lowest version of the protocol between nodes that this program speaks. */
export const PEER_VERSION_MIN = 1;
/** The highest version of the protocol between nodes that this program speaks. */
export const PEER_VERSION_MAX = 2;
/** The version from which images are sent in checked chunks, and continued after a cut. */
export const PEER_VERSION_RESUMED_IMAGES = 2;

const KINDS = { hello: 1, hello_reply: 2, ping: 3, pong: 4, goodbye: 5, writable: 6 } as const;

/** A control frame between nodes as plain data. */
export type PeerControlMessage =
  | { readonly kind: "hello" | "hello_reply"; readonly hello: PeerHello }
  | { readonly kind: "ping" | "pong"; readonly sequence: number }
  | { readonly kind: "goodbye"; readonly goodbye: PeerGoodbye }
  /** Whether the sender's log takes writes; it does until the sender says otherwise. */
  | { readonly kind: "writable"; readonly isWritable: boolean };

/**
 * Encodes a control frame, table included. The caller owns the result.
 *
 * @throws RegistryError `too_large`.
 */
export function encodePeerControl(message: PeerControlMessage): Uint8Array {
  const out = new FrameWriter({ bytesMax: PEER_CONTROL_BYTES_MAX, bytesInitial: 256 });
  const kind = KINDS[message.kind];
  switch (message.kind) {
    case "hello":
    case "hello_reply":
      peerControlCodec.write(out, { kind }, peerHelloCodec, message.hello);
      break;
    case "ping":
    case "pong":
      peerControlCodec.write(out, { kind }, peerPingCodec, { sequence: message.sequence });
      break;
    case "goodbye":
      peerControlCodec.write(out, { kind }, peerGoodbyeCodec, message.goodbye);
      break;
    case "writable":
      // Carried by the shape of a ping: 0 or 1.
      peerControlCodec.write(out, { kind }, peerPingCodec, {
        sequence: Number(message.isWritable),
      });
      break;
  }
  return out.written.slice();
}

/**
 * Decodes the control frame `[start, end)` of `bytes`, table included. Returns `undefined` for a kind
 * that a later version added, which is to be skipped.
 *
 * @throws RegistryError `malformed`.
 */
export function decodePeerControl(
  view: DataView,
  bytes: Uint8Array,
  start: number,
  end: number,
): PeerControlMessage | undefined {
  const frame = peerControlCodec.newView().wrap(view, bytes, start + 8, end);
  switch (frame.kind) {
    case KINDS.hello:
      return { kind: "hello", hello: frame.bodyInto(peerHelloCodec.newView()).toPlain() };
    case KINDS.hello_reply:
      return { kind: "hello_reply", hello: frame.bodyInto(peerHelloCodec.newView()).toPlain() };
    case KINDS.ping:
      return { kind: "ping", sequence: frame.bodyInto(peerPingCodec.newView()).sequence };
    case KINDS.pong:
      return { kind: "pong", sequence: frame.bodyInto(peerPingCodec.newView()).sequence };
    case KINDS.goodbye:
      return { kind: "goodbye", goodbye: frame.bodyInto(peerGoodbyeCodec.newView()).toPlain() };
    case KINDS.writable: {
      const { sequence } = frame.bodyInto(peerPingCodec.newView());
      return { kind: "writable", isWritable: sequence !== 0 };
    }
    default:
      return undefined;
  }
}
