/**
 * The way from the work with identities to other nodes: to the leader of group 0, which logs every
 * change, and to nodes that have the authority's keys.
 */
import { NO_NODE_CALLS, type NodeCalls } from "../node_calls.ts";

/** Requests to other nodes. */
export interface IdentityLinks extends NodeCalls {
  /** Reports whether there is a session with the node. */
  isConnected(node: number): boolean;
}

/** The links of a node that is alone. */
export const NO_LINKS: IdentityLinks = { ...NO_NODE_CALLS, isConnected: () => false };
