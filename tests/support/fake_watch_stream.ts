/** A stream of watches without a session: what is pushed is decoded at once, if its peer reads. */
import { responseCodec } from "../../schemas/gen/wire.ts";
import { FrameWriter } from "../../schemas/runtime/writer.ts";
import { errorCodeFromWire } from "../../src/base/errors.ts";
import type { AuthenticatedPeer } from "../../src/base/peer.ts";
import { TokenBucket } from "../../src/base/token_bucket.ts";
import type { Caller } from "../../src/serving/caller.ts";
import type { WatchStream, WatchStreamEvents } from "../../src/serving/watch/watch_stream.ts";
import { FrameAssembler } from "../../src/wire/frame_assembler.ts";
import { OPERATIONS } from "../../src/wire/operations/mod.ts";
import type { WatchHub } from "../../src/serving/watch/watch_hub.ts";
import { checkedOrder } from "../../src/serving/watch/watch_order.ts";
import { NO_ORDER, type ProbeOrder, WatchReplyLog } from "./watch_probe.ts";

/** A caller whose peer may change. */
type MutableCaller = Caller & { peer: AuthenticatedPeer };

/** Such a stream. */
export class FakeWatchStream implements WatchStream {
  readonly caller: MutableCaller;
  readonly writer: FrameWriter;
  /** Watches that receive what is read, by the ids of their requests. */
  readonly watches = new Map<number, WatchReplyLog>();
  events: WatchStreamEvents | undefined;
  /** Whether the peer reads. */
  #reads = true;
  #lastId = 0;
  /** Number of pushes. */
  pushes = 0;

  constructor(peer: AuthenticatedPeer, sessionId = 1, bytesMax = 1 << 26) {
    this.writer = new FrameWriter({ bytesMax });
    const bucket = new TokenBucket({ ratePerSecond: 1e9, burst: 1e9, nowMs: 0 });
    this.caller = { sessionId, peer, bucket };
  }

  get hasWatchRoom(): boolean {
    return this.writer.length === 0 || this.#reads;
  }

  carry(events: WatchStreamEvents | undefined): void {
    this.events = events;
  }

  push(): void {
    this.pushes++;
    if (this.#reads) this.#read();
  }

  /** Lets the peer read, or not. */
  set reads(reads: boolean) {
    this.#reads = reads;
    if (!reads) return;
    this.#read();
    this.events?.taken();
  }

  /** Reads what is there, and no more. */
  readOnce(): void {
    this.reads = true;
    this.#reads = false;
  }

  /** Begins a watch of a hub on this stream. */
  watch(hub: WatchHub, order: ProbeOrder, partitionCount: number): WatchReplyLog {
    const id = ++this.#lastId;
    const log = new WatchReplyLog();
    this.watches.set(id, log);
    hub.begin(this, id, checkedOrder({ ...NO_ORDER, ...order }, partitionCount, true));
    return log;
  }

  #read(): void {
    const assembler = new FrameAssembler({ frameBytesMax: 1 << 20, segmentsMax: 1 });
    assembler.push(this.writer.written.slice(), (view, bytes, start, end) => {
      const response = responseCodec.newView().wrap(view, bytes, start + 8, end);
      const code = response.code === 0 ? "ok" : errorCodeFromWire(response.code);
      const body = code === "ok"
        ? response.bodyInto(OPERATIONS.watch.reply.newView()).toPlain()
        : undefined;
      const reply = { code, response: response.toPlain(), body, bytes: end - start } as const;
      this.watches.get(response.id)?.arrived(reply);
    });
    this.writer.reset();
  }
}
