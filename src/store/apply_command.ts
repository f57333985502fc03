/** The kinds of commands of a partition, each applied by a function of its own. */
import { COMMAND_KINDS, laterProgram, PARTITION_COMMAND_KIND_MAX } from "../record/command.ts";
import { applyClaim, applyConfirm, applyRelease, applyRevoke } from "./apply_aliases.ts";
import type { ApplyContext } from "./apply_context.ts";
import { applyPut } from "./apply_put.ts";
import { applyExpire, applyExtend, applyRemove, applyReport, applyStale } from "./apply_records.ts";
import { applyRaise } from "./apply_version.ts";
import { applyMirrorBatch, applyMirrorDrop, applyMirrorFence } from "./mirrors/apply_mirrors.ts";
import { type ApplyReply, refusal, success } from "./reply.ts";

/**
 * Applies a command, by its kind.
 *
 * @throws RegistryError `unsupported_version` if only a later program knows the command; another code if
 * it is malformed.
 */
export function applyCommand(context: ApplyContext): ApplyReply {
  const { kind } = context.command;
  switch (kind) {
    case COMMAND_KINDS.put:
      return applyPut(context);
    case COMMAND_KINDS.extend:
      return applyExtend(context);
    case COMMAND_KINDS.remove:
      return applyRemove(context);
    case COMMAND_KINDS.expire:
      return applyExpire(context);
    case COMMAND_KINDS.stale:
      return applyStale(context);
    case COMMAND_KINDS.report:
      return applyReport(context);
    case COMMAND_KINDS.claim:
      return applyClaim(context);
    case COMMAND_KINDS.confirm:
      return applyConfirm(context);
    case COMMAND_KINDS.revoke:
      return applyRevoke(context);
    case COMMAND_KINDS.release:
      return applyRelease(context);
    case COMMAND_KINDS.tick:
      return success();
    case COMMAND_KINDS.raiseApplyVersion:
      return applyRaise(context);
    case COMMAND_KINDS.mirrorFence:
      return applyMirrorFence(context);
    case COMMAND_KINDS.mirrorBatch:
      return applyMirrorBatch(context);
    case COMMAND_KINDS.mirrorDrop:
      return applyMirrorDrop(context);
    default:
      if (kind > 0 && kind <= PARTITION_COMMAND_KIND_MAX) {
        throw laterProgram(`command kind ${kind} of a partition`);
      }
      return refusal("malformed", `Command must be one of a partition: found kind ${kind}`);
  }
}
