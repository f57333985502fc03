/** Calls of operations between nodes. */
import type { Input } from "../../schemas/runtime/writer.ts";
import { RegistryError } from "../base/errors.ts";
import type { AuthenticatedPeer } from "../base/peer.ts";
import type { OperationName, ReplyOf, RequestOf } from "../wire/operations/mod.ts";

/** Links to the other nodes. */
export interface NodeCalls {
  /**
   * Sends a request to another node and returns the reply.
   *
   * @throws RegistryError the node's refusal; `connection_lost` if the outcome is unknown.
   */
  call<Name extends OperationName>(
    node: number,
    name: Name,
    body: Input<RequestOf<Name>>,
    timeoutMs: number,
  ): Promise<ReplyOf<Name>>;
}

/** The links of a node that is alone. */
export const NO_NODE_CALLS: NodeCalls = {
  call: (node) =>
    Promise.reject(new RegistryError("connection_lost", `There is no link to node ${node}`)),
};

/** On whose behalf a step is taken; a node that is asked to take it checks the bans again. */
export interface Requester {
  /** Lineage; 0 for the registry itself. */
  readonly lineage: number;
  /** SPIFFE id; empty for the registry itself. */
  readonly subject: string;
  /** Id of the token whose grants are used; empty if none is. */
  readonly token: string;
}

/** The registry itself, as the requester of its repairs. */
export const REGISTRY_ITSELF: Requester = Object.freeze({ lineage: 0, subject: "", token: "" });

/** Returns the requester at the other end of a session. */
export function requesterOf({ lineage, subject, token }: AuthenticatedPeer): Requester {
  return { lineage, subject, token: token?.tokenId ?? "" };
}
