/** Handlers of the operations between nodes for pullers. */
import type { PullerStatesReply } from "../../../schemas/gen/wire.ts";
import type { MIRROR_OPERATIONS } from "../../wire/operations/mirrors.ts";
import type { Handlers } from "../handler.ts";
import type { MirrorSteps } from "../regions/mirror_steps.ts";

/** Returns the handlers. @param states returns the states of the pullers on this node. */
export function mirrorHandlers(
  steps: MirrorSteps,
  states: () => PullerStatesReply,
): Handlers<typeof MIRROR_OPERATIONS> {
  return {
    logMirrors: (request, context) => steps.log(request, context),
    readMirrors: (request, context) => steps.read(request, context),
    pullerStates: () => states(),
  };
}
