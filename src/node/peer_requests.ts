/** Serves the requests of other nodes, like those of clients. */
import { NODE_REQUESTS_BURST, NODE_REQUESTS_PER_SECOND } from "../base/limits.ts";
import { TokenBucket } from "../base/token_bucket.ts";
import type { World } from "../base/world.ts";
import type { ServeRequests } from "../replication/peers/peer_network.ts";
import { AnsweredRequests } from "../serving/answered_requests.ts";
import { type RequestServices, RequestStream } from "../serving/request_stream.ts";
import { SessionBudget } from "../serving/session_budget.ts";
import { StallWatch } from "../serving/stall_watch.ts";

/** The services by which requests of other nodes are answered: those of clients' requests. */
export type PeerRequestServices =
  & Pick<RequestServices, "handler" | "replies" | "clock" | "observer">
  & { readonly world: World };

/** Returns what serves the requests of other nodes. */
export function servePeerRequests(services: PeerRequestServices): ServeRequests {
  const { world, clock } = services;
  const budget = new SessionBudget();
  const watch = new StallWatch({ scheduler: world.scheduler, clock });
  const shared = { ...services, watch, answered: new AnsweredRequests() };
  return async (from, peer, stream) => {
    const account = budget.open({ endFor: () => stream.abort() });
    account.identify(peer.subject);
    const bucket = new TokenBucket({
      ratePerSecond: NODE_REQUESTS_PER_SECOND,
      burst: NODE_REQUESTS_BURST,
      nowMs: world.monotonic.nowMs(),
    });
    try {
      const caller = { sessionId: from, node: from, peer, bucket };
      await new RequestStream(shared, { stream, caller, account }).run();
    } finally {
      account.close();
      stream.abort();
    }
  };
}
