/**
 * The client of one caller of a front: the typed calls of the SDK, made as that caller over the
 * connections of the front. It keeps no leases: one that a front kept alive would outlive its owner.
 */
import { readCapability } from "../../../identity/capabilities/capability.ts";
import { Guarded, RequestCaveats } from "../../../identity/capabilities/guarded.ts";
import { capabilityRefused } from "../../../identity/capabilities/verify.ts";
import type { DelegatedBy } from "../../base/peer.ts";
import type { World } from "../../base/world.ts";
import { DirectCalls } from "../direct_calls.ts";
import type { OwnershipSequence } from "../ownership.ts";
import type { Router } from "../router.ts";
import type { DelegatedClient } from "../types.ts";
import { ClientDelegation } from "./delegation.ts";
import { DelegatedInvoker, DelegatedWatches } from "./delegated_routing.ts";
import { type CallerEvidence, type CapabilityEvidence, openRequest } from "./evidence.ts";

/** The parts of the front's client that its callers share. */
export interface DelegatingParts {
  readonly router: Router;
  readonly ownership: OwnershipSequence;
  readonly world: World;
  readonly timeoutMs: number;
}

/** Returns the client of the caller that the evidence tells of. Nothing is sent before its first call. */
export function delegatedClient(
  evidence: CallerEvidence | CapabilityEvidence,
  { router, ...parts }: DelegatingParts,
): DelegatedClient {
  const delegation = new ClientDelegation(openRequest(evidence));
  const invoker = new DelegatedInvoker(router, delegation);
  const watches = new DelegatedWatches(router.watches, delegation);
  return new DelegatedCalls({ ...parts, invoker, watches }, evidence.kind, () => {
    watches.close();
    delegation.close();
  });
}

/**
 * Returns the client of whoever holds a capability. A request must be within the caveats that the
 * registry does not see before it gets the client.
 *
 * @throws RegistryError `unauthenticated` if the text is no capability.
 */
export function capabilityClient(
  capability: string,
  address: string,
  parts: DelegatingParts,
): Guarded<DelegatedClient> {
  const form = readCapability(capability);
  if (typeof form === "string") throw capabilityRefused(form);
  const client = delegatedClient({ kind: "capability", capability, address }, parts);
  return new Guarded(client, new RequestCaveats(form.caveats));
}

class DelegatedCalls extends DirectCalls implements DelegatedClient {
  readonly evidence: DelegatedBy;
  readonly #onClose: () => void;

  constructor(
    parts: ConstructorParameters<typeof DirectCalls>[0],
    evidence: DelegatedBy,
    onClose: () => void,
  ) {
    super(parts);
    this.evidence = evidence;
    this.#onClose = onClose;
  }

  close(): void {
    this.governed.close();
    this.#onClose();
  }
}
