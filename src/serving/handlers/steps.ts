/** Handlers of the operations between nodes. */
import type { STEP_OPERATIONS } from "../../wire/operations/steps.ts";
import type { Handlers } from "../handler.ts";
import type { NodeSteps } from "../node_steps.ts";

/** Returns the handlers of the operations between nodes. */
export function stepHandlers(steps: NodeSteps): Handlers<typeof STEP_OPERATIONS> {
  return {
    claimDomain: (request, context) => steps.claimDomain(request, context),
    revokeClaim: (request, context) => steps.revokeClaim(request, context),
    confirmClaim: async (request, context) => {
      await steps.confirmClaim(request, context);
      return {};
    },
    releaseDomain: (request, context) => steps.releaseDomain(request, context),
    removeAgents: (request, context) => steps.removeAgents(request, context),
    noteRemoval: async (request, context) => {
      await steps.noteRemoval(request, context);
      return {};
    },
  };
}
