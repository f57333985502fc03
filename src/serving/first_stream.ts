/** A session's first stream, which carries control frames besides requests. */
import { RegistryError } from "../base/errors.ts";
import { HELLO_BYTES_MAX } from "../base/limits.ts";
import { type ControlMessage, readControl } from "../wire/control.ts";
import type { FrameHandler } from "../wire/frame_assembler.ts";

/** The session of a first stream. */
export interface FirstStreamOwner {
  /** Takes a control message; may throw, which ends the stream. */
  hear(message: ControlMessage): void;
  /** The stream has ended, with a reason if the peer broke the framing or the session was lost. */
  firstStreamEnded(reason: unknown): void;
}

/**
 * Passes a control frame to the session, unless its kind is one of a later version.
 *
 * @throws RegistryError `too_large`, `malformed`, or what the session throws.
 */
export function takeControl(
  owner: FirstStreamOwner,
  ...[view, bytes, start, end]: Parameters<FrameHandler>
): void {
  if (end - start > HELLO_BYTES_MAX) {
    throw new RegistryError(
      "too_large",
      `Control frame must have at most ${HELLO_BYTES_MAX} bytes: it has ${end - start}`,
    );
  }
  const message = readControl(view, bytes, start, end);
  if (message !== undefined) owner.hear(message);
}
