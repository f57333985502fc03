/** Handlers of the operations on watches. */
import {
  askProgressRequestCodec,
  cancelWatchRequestCodec,
  emptyCodec,
  type RequestView,
  watchRequestCodec,
} from "../../../schemas/gen/wire.ts";
import { RegistryError } from "../../base/errors.ts";
import type { WATCH_OPERATIONS } from "../../wire/operations/watches.ts";
import type { Handlers } from "../handler.ts";
import type { ReplyWriter } from "../reply_writer.ts";
import type { WatchHub } from "../watch/watch_hub.ts";
import { checkedOrder } from "../watch/watch_order.ts";
import type { WatchStream } from "../watch/watch_stream.ts";

/** Returns the handlers of the operations on watches. */
export function watchHandlers(
  hub: WatchHub,
  replies: ReplyWriter,
  partitionCount: number,
): Handlers<typeof WATCH_OPERATIONS> {
  const done = (request: RequestView, stream: WatchStream): void => {
    replies.begin(request.id);
    replies.success(stream.writer, emptyCodec, {});
  };
  const begin = (request: RequestView, stream: WatchStream, mayList: boolean): void => {
    const body = request.bodyInto(watchRequestCodec.newView()).toPlain();
    const order = checkedOrder(body, partitionCount, mayList);
    hub.begin(stream, request.id, order);
    stream.caller.bucket.take(order.positions.length + order.filter.keys.length);
  };
  return {
    watch: { streaming: (request, stream) => begin(request, stream, false) },
    listAndWatch: { streaming: (request, stream) => begin(request, stream, true) },
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
