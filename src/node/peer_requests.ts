/** Requests between nodes: each on a stream of its own over the session of the two nodes. */
import type { Input } from "../../schemas/runtime/writer.ts";
import type { NodeId } from "../base/ids.ts";
import { NODE_REQUESTS_BURST, NODE_REQUESTS_PER_SECOND } from "../base/limits.ts";
import { TokenBucket } from "../base/token_bucket.ts";
import type { World } from "../base/world.ts";
import { askOnce } from "../client/single_request.ts";
import type { PeerNetwork, ServeRequests } from "../replication/peers/peer_network.ts";
import { RequestStream, type RequestStreamOptions } from "../serving/request_stream.ts";
import { SessionBudget } from "../serving/session_budget.ts";
import { StallWatch } from "../serving/stall_watch.ts";
import type { OperationName, ReplyOf, RequestOf } from "../wire/operations/mod.ts";

/** The services by which requests of other nodes are answered: those of clients' requests. */
export type PeerRequestServices =
  & Pick<RequestStreamOptions, "handler" | "replies" | "clock" | "observer">
  & { readonly world: World };

/** Returns what serves the requests of other nodes. */
export function servePeerRequests(services: PeerRequestServices): ServeRequests {
  const { world, clock } = services;
  const budget = new SessionBudget();
  const watch = new StallWatch({ scheduler: world.scheduler, clock });
  return async (from, peer, stream) => {
    const account = budget.open(() => stream.abort());
    account.identify(peer.subject);
    const bucket = new TokenBucket({
      ratePerSecond: NODE_REQUESTS_PER_SECOND,
      burst: NODE_REQUESTS_BURST,
      nowMs: world.monotonic.nowMs(),
    });
    try {
      const caller = { sessionId: from, node: from, peer, bucket };
      await new RequestStream({ ...services, stream, caller, account, watch }).run();
    } finally {
      account.close();
      stream.abort();
    }
  };
}

/**
 * Sends a request to another node and returns the reply.
 *
 * @throws RegistryError the node's refusal; `connection_lost` if there is no session with it, or it
 * ended: the outcome is unknown then.
 */
export async function askNode<Name extends OperationName>(
  network: PeerNetwork,
  node: NodeId,
  name: Name,
  body: Input<RequestOf<Name>>,
  { world, timeoutMs }: { readonly world: World; readonly timeoutMs: number },
): Promise<ReplyOf<Name>> {
  const stream = await network.openRequests(node);
  const timer = world.scheduler.after(timeoutMs, () => stream.abort());
  try {
    return await askOnce(name, body as RequestOf<Name>, { stream, timeoutMs });
  } finally {
    timer.cancel();
    stream.abort();
  }
}
