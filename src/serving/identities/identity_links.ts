/**
 * The way from the work with identities to other nodes: to the leader of group 0, which logs every
 * change, and to nodes that have the authority's keys.
 */
import type { Input } from "../../../schemas/runtime/writer.ts";
import type { OperationName, ReplyOf, RequestOf } from "../../wire/operations/mod.ts";

/** Requests to other nodes. */
export interface IdentityLinks {
  /**
   * Sends a request to a node, and returns its reply.
   *
   * @throws RegistryError its refusal; `connection_lost` if there is no session with it, or it ended.
   */
  ask<Name extends OperationName>(
    node: number,
    name: Name,
    body: Input<RequestOf<Name>>,
    timeoutMs: number,
  ): Promise<ReplyOf<Name>>;
  /** Reports whether there is a session with the node. */
  isConnected(node: number): boolean;
}

/** The links of a node that is alone. */
export const NO_LINKS: IdentityLinks = {
  ask: () => Promise.reject(new Error("A node that is alone asks nobody")),
  isConnected: () => false,
};
