/** The commands about chosen leaders, and their encoding (schemas/system.capnp). */
import { commandCodec } from "../../../schemas/gen/command.ts";
import {
  type ForgetLeadersCommand,
  forgetLeadersCommandCodec,
  type PreferLeaderCommand,
  preferLeaderCommandCodec,
} from "../../../schemas/gen/system.ts";
import type { Input } from "../../../schemas/runtime.ts";
import type { CommandHeader } from "../../record/command.ts";

/** The apply version of group 0 from which on operators choose leaders. */
export const LEADERS_APPLY_VERSION = 14;

/** Kinds of the commands about leaders. */
export const LEADER_KINDS = { prefer: 55, forget: 56 } as const;

/** Encodes the choice of a partition's leader. */
export function encodePreferLeader(
  from: CommandHeader,
  body: Input<PreferLeaderCommand>,
): Uint8Array {
  const header = { ...from, kind: LEADER_KINDS.prefer };
  return commandCodec.encode(header, preferLeaderCommandCodec, body);
}

/** Encodes the end of all choices. */
export function encodeForgetLeaders(
  from: CommandHeader,
  body: Input<ForgetLeadersCommand>,
): Uint8Array {
  const header = { ...from, kind: LEADER_KINDS.forget };
  return commandCodec.encode(header, forgetLeadersCommandCodec, body);
}
