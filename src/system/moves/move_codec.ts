/** The command about moves of replicas, and its encoding (schemas/system.capnp). */
import { commandCodec } from "../../../schemas/gen/command.ts";
import { type PauseMovesCommand, pauseMovesCommandCodec } from "../../../schemas/gen/system.ts";
import type { Input } from "../../../schemas/runtime.ts";
import type { CommandHeader } from "../../record/command.ts";

/** Kinds of the commands about moves. */
export const MOVE_KINDS = { pause: 67 } as const;

/** Encodes the beginning or the end of a pause of moves. */
export function encodePauseMoves(from: CommandHeader, body: Input<PauseMovesCommand>): Uint8Array {
  return commandCodec.encode({ ...from, kind: MOVE_KINDS.pause }, pauseMovesCommandCodec, body);
}
