/**
 * The apply version of a partition, as logged state: the meaning of commands changes only at an entry,
 * and so at the same point on every replica. Its leader raises it when it needs what all members of the
 * cluster support (`src/serving/partition_versions.ts`).
 */
import { RaiseApplyVersionCommandView } from "../../schemas/gen/system.ts";
import { laterProgram } from "../record/command.ts";
import { STALE_APPLY_VERSION } from "../record/kind_row.ts";
import type { ApplyContext } from "./apply_context.ts";
import { type ApplyReply, refusal, success } from "./reply.ts";

/** The apply version from which on a record may have another scope than `global`. */
export const SCOPES_APPLY_VERSION = 3;

/** The apply version from which on a partition takes mirrors. */
export const MIRRORS_APPLY_VERSION = 4;

/**
 * The highest apply version of a partition that this program knows. A change of what a command does, or
 * another kind of command, raises it together with `APPLY_VERSION_MAX` (src/system/versions): until a
 * partition has that version, nothing may be proposed in it that an earlier program applies differently.
 */
export const PARTITION_APPLY_VERSION: number = STALE_APPLY_VERSION;

/** Raises the version. @throws RegistryError `unsupported_version` if this program does not know it. */
export function applyRaise({ state, command, applyVersionMax }: ApplyContext): ApplyReply {
  const { version } = command.bodyInto(new RaiseApplyVersionCommandView());
  if (version > applyVersionMax) throw laterProgram(`apply version ${version}`);
  if (version <= state.applyVersion) {
    const message = `Apply version must be above ${state.applyVersion}: found ${version}`;
    return refusal("incarnation_mismatch", message);
  }
  state.applyVersion = version;
  return success();
}
