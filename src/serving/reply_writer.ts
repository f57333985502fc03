/**
 * Writer of replies: the envelope, its receipts, and a body. One writer serves all requests of a
 * node in turn; it reuses its objects, so that a reply allocates nothing.
 */
import {
  homeRegionCodec,
  type Receipt,
  type Response,
  responseCodec,
} from "../../schemas/gen/wire.ts";
import type { StructCodec } from "../../schemas/runtime/codec.ts";
import { WORD_BYTES } from "../../schemas/runtime/cursor.ts";
import type { FrameWriter, Input } from "../../schemas/runtime/writer.ts";
import { type ErrorCode, errorCodeToWire, type ErrorFields } from "../base/errors.ts";
import { NO_POSITION } from "../base/position.ts";
import type { ReadPoint } from "../replication/group_interface.ts";

/** Plain form of a response, reused for each reply. */
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Offset of the id in the frame of a response: behind the segment table and the root pointer. */
const ID_AT = 2 * WORD_BYTES;

/** Sets the id of the response whose frame starts at `start`. */
export function setReplyId(out: FrameWriter, start: number, requestId: number): void {
  out.view.setUint32(start + ID_AT, requestId, true);
}

/** Writes responses: call `begin`, then `addReceipt`, then `success` or `refusal`. */
export class ReplyWriter {
  readonly #nodeId: number;
  readonly #receipts: Receipt[] = [];
  readonly #spare: Receipt[] = [];
  readonly #response: Mutable<Response> = {
    id: 0,
    retryAfterMs: 0,
    cacheMs: 0,
    leaderHint: 0,
    leaderTerm: 0,
    current: NO_POSITION,
    code: 0,
    message: "",
    field: "",
    receipts: this.#receipts,
  };

  constructor(nodeId: number) {
    this.#nodeId = nodeId;
  }

  /** Begins the reply to a request, without receipts. */
  begin(requestId: number): void {
    this.#response.id = requestId;
    while (this.#receipts.length > 0) this.#spare.push(this.#receipts.pop()!);
  }

  /** Adds the receipt of a part that was read from `partition` with permission `point`. */
  addReceipt(partition: number, point: ReadPoint): void {
    const receipt = this.#spare.pop() ?? newReceipt();
    fillReceipt(receipt, this.#nodeId, partition, point);
    this.#receipts.push(receipt);
  }

  /** Returns a newly allocated receipt, for replies that carry many. */
  receiptOf(partition: number, point: ReadPoint): Receipt {
    const receipt = newReceipt();
    fillReceipt(receipt, this.#nodeId, partition, point);
    return receipt;
  }

  /** Appends a success with `body`. */
  success<T>(out: FrameWriter, codec: StructCodec<T>, body: Input<NoInfer<T>>): void {
    const response = this.#response;
    response.code =
      response.cacheMs =
      response.retryAfterMs =
      response.leaderHint =
      response.leaderTerm =
        0;
    response.current = NO_POSITION;
    response.message = response.field = "";
    responseCodec.write(out, response, codec, body);
  }

  /** Appends a refusal. */
  refusal(out: FrameWriter, code: ErrorCode, message: string, fields: ErrorFields = {}): void {
    const response = this.#response;
    response.code = errorCodeToWire(code);
    response.message = message;
    response.field = fields.field ?? "";
    response.cacheMs = fields.cacheMs ?? 0;
    response.retryAfterMs = fields.retryAfterMs ?? 0;
    response.leaderHint = fields.leaderHint ?? 0;
    response.leaderTerm = fields.leaderTerm ?? 0;
    response.current = fields.incarnation ?? NO_POSITION;
    const { homeRegion } = fields;
    if (homeRegion === undefined) responseCodec.write(out, response);
    else responseCodec.write(out, response, homeRegionCodec, { name: homeRegion });
  }
}

function newReceipt(): Receipt {
  return { appliedIndex: 0, term: 0, node: 0, partition: 0, ageBoundMs: 0 };
}

function fillReceipt(receipt: Receipt, node: number, partition: number, point: ReadPoint): void {
  receipt.appliedIndex = point.appliedIndex;
  receipt.term = point.term;
  receipt.node = node;
  receipt.partition = partition;
  receipt.ageBoundMs = point.ageBoundMs;
}
