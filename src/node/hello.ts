/**
 * The server's end of a session's greeting: reads the Hello that follows the proof of identity on
 * the session's first stream, and checks it.
 */
import type { Hello } from "../../schemas/gen/wire.ts";
import { bytesEqual } from "../base/bytes.ts";
import { RegistryError } from "../base/errors.ts";
import { HELLO_BYTES_MAX } from "../base/limits.ts";
import { isNilUuid } from "../base/uuid.ts";
import { PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MIN, readControl } from "../wire/control.ts";
import { FrameAssembler } from "../wire/frame_assembler.ts";
import type { OwnedBytes, Stream } from "../../transport/transport.ts";

const LIMITS = { frameBytesMax: HELLO_BYTES_MAX, segmentsMax: 1 };

/** A Hello fits in most cases. */
const READ_BYTES = 256;

/**
 * Reads the Hello; `undefined` at the end of the stream.
 *
 * @throws RegistryError `malformed` for another frame, or if anything follows before the reply.
 */
export async function readHello(stream: Stream): Promise<Hello | undefined> {
  const assembler = new FrameAssembler(LIMITS);
  const hellos: Hello[] = [];
  for (let buffer: OwnedBytes = new Uint8Array(READ_BYTES);;) {
    const chunk = await stream.read(buffer);
    if (chunk === undefined) return undefined;
    assembler.push(chunk, (view, bytes, start, end) => {
      const message = readControl(view, bytes, start, end);
      if (message?.kind !== "hello") {
        throw new RegistryError("malformed", "The first frame after the proof must be a Hello");
      }
      hellos.push(message.hello);
    });
    if (hellos.length > 0) break;
    buffer = new Uint8Array(chunk.buffer);
  }
  if (hellos.length > 1 || assembler.partialBytes > 0) {
    throw new RegistryError("malformed", "A client must wait for the reply to its Hello");
  }
  return hellos[0];
}

/**
 * Checks versions and cluster; returns the protocol version that both sides speak.
 *
 * @throws RegistryError `unsupported_version` with advice, `wrong_cluster`.
 */
export function checkHello(hello: Hello, clusterId: Uint8Array): number {
  const version = Math.min(hello.versionMax, PROTOCOL_VERSION_MAX);
  if (version < hello.versionMin || version < PROTOCOL_VERSION_MIN) {
    const older = hello.versionMax < PROTOCOL_VERSION_MIN ? "client" : "node";
    throw new RegistryError(
      "unsupported_version",
      `This node speaks protocol versions ${PROTOCOL_VERSION_MIN} to ${PROTOCOL_VERSION_MAX}: ` +
        `the client ${hello.versionMin} to ${hello.versionMax}; upgrade the ${older}`,
    );
  }
  if (!isNilUuid(hello.clusterId) && !bytesEqual(hello.clusterId, clusterId)) {
    throw new RegistryError("wrong_cluster", "This node belongs to another cluster");
  }
  return version;
}
