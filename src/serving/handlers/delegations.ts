/** Handlers of the operations on delegations. */
import { RegistryError } from "../../base/errors.ts";
import type { DELEGATION_OPERATIONS } from "../../wire/operations/delegations.ts";
import type { CallerDelegations } from "../caller.ts";
import { evidenceOf } from "../delegation_evidence.ts";
import type { Handlers } from "../handler.ts";
import type { RequestContext } from "../request_context.ts";

/** Returns the handlers of the operations on delegations. */
export function delegationHandlers(): Handlers<typeof DELEGATION_OPERATIONS> {
  return {
    openDelegation: async (request, context) => {
      const delegations = delegationsOf(context);
      const from = { front: context.peer, address: request.address };
      const { id, peer, unchecked } = await delegations.open(evidenceOf(request), from);
      const { subject, expiresAtMs } = peer;
      const hasEnd = expiresAtMs < Number.MAX_SAFE_INTEGER;
      return { id, subject, expiresAtMs: hasEnd ? Math.floor(expiresAtMs) : 0, unchecked };
    },
    closeDelegation: ({ id }, context) => {
      // One that has ended needs no closing.
      delegationsOf(context).close(id);
      return {};
    },
  };
}

function delegationsOf({ caller }: RequestContext): CallerDelegations {
  if (caller.delegations !== undefined) return caller.delegations;
  throw new RegistryError(
    "permission_denied",
    "Delegations are opened on the session of a front, and not by a delegation itself",
  );
}
