/** Handlers of the operations on watches. */
import {
  askProgressRequestCodec,
  cancelWatchRequestCodec,
  emptyCodec,
  type RequestView,
  type WatchRequest,
  watchRequestCodec,
} from "../../../schemas/gen/wire.ts";
import { RegistryError } from "../../base/errors.ts";
import type { REGION_OPERATIONS } from "../../wire/operations/regions.ts";
import type { WATCH_OPERATIONS } from "../../wire/operations/watches.ts";
import type { Caller } from "../caller.ts";
import type { Handlers } from "../handler.ts";
import type { ReplyWriter } from "../reply_writer.ts";
import type { WatchHub } from "../watch/watch_hub.ts";
import { checkedFeed, checkedOrder, type WatchOrder } from "../watch/watch_order.ts";
import type { WatchStream } from "../watch/watch_stream.ts";

/** Returns the handlers of the operations on watches, of clients and of other regions. */
export function watchHandlers(
  hub: WatchHub,
  replies: ReplyWriter,
  partitionCount: number,
): Handlers<typeof WATCH_OPERATIONS> & Pick<Handlers<typeof REGION_OPERATIONS>, "regionFeed"> {
  const done = (request: RequestView, stream: WatchStream): void => {
    replies.begin(request.id);
    replies.success(stream.writer, emptyCodec, {});
  };
  const begin = (check: (body: WatchRequest) => WatchOrder) => ({
    streaming: (request: RequestView, stream: WatchStream, caller: Caller): void => {
      const order = check(request.bodyInto(watchRequestCodec.newView()).toPlain());
      hub.begin(stream, request.id, order, caller);
      caller.bucket.take(order.positions.length + order.filter.keys.length);
    },
  });
  return {
    watch: begin((body) => checkedOrder(body, partitionCount, false)),
    listAndWatch: begin((body) => checkedOrder(body, partitionCount, true)),
    regionFeed: begin((body) => checkedFeed(body, partitionCount)),
    cancelWatch: {
      streaming: (request, stream) => {
        hub.cancel(stream, request.bodyInto(cancelWatchRequestCodec.newView()).id);
        done(request, stream);
      },
    },
    askProgress: {
      streaming: (request, stream) => {
        const { id, nonce } = request.bodyInto(askProgressRequestCodec.newView());
        if (!hub.askProgress(stream, id, nonce)) {
          throw new RegistryError("not_found", `Watch ${id} must be one of this stream: it is not`);
        }
        done(request, stream);
      },
    },
  };
}
