/** Read path of the node itself: its status, and the ring map. */
import {
  type RequestView,
  ringMapCodec,
  type StatusReply,
  statusReplyCodec,
} from "../../schemas/gen/wire.ts";
import type { FrameWriter } from "../../schemas/runtime/writer.ts";
import type { RingMap } from "../ring/ring_map.ts";
import type { ReadAnswer } from "./read_path.ts";
import type { ReplyWriter } from "./reply_writer.ts";

/** Answers requests about the node. */
export class NodePath {
  readonly #replies: ReplyWriter;
  readonly #status: () => StatusReply;
  readonly #ringMap: () => RingMap;

  constructor(
    replies: ReplyWriter,
    facts: { status: () => StatusReply; ringMap: () => RingMap },
  ) {
    this.#replies = replies;
    this.#status = facts.status;
    this.#ringMap = facts.ringMap;
  }

  /** Answers Status. */
  status(request: RequestView, out: FrameWriter): ReadAnswer {
    this.#replies.begin(request.id);
    this.#replies.success(out, statusReplyCodec, this.#status());
    return "ok";
  }

  /** Answers GetRingMap. */
  ringMap(request: RequestView, out: FrameWriter): ReadAnswer {
    this.#replies.begin(request.id);
    this.#replies.success(out, ringMapCodec, this.#ringMap());
    return "ok";
  }
}
