/** The parts of request streams: those that all streams of a node share, and those of each. */
import type { Stream } from "../../transport/transport.ts";
import type { AnsweredRequests, RequestObserver } from "./answered_requests.ts";
import type { Caller } from "./caller.ts";
import type { FairWrites } from "./fair_writes.ts";
import type { FirstStreamOwner } from "./first_stream.ts";
import type { HeldClock } from "./held_clock.ts";
import type { ReplyWriter } from "./reply_writer.ts";
import type { SessionAccount } from "./session_budget.ts";
import type { StallWatch } from "./stall_watch.ts";

/** The parts that all request streams of a node share. */
export interface SharedRequestParts {
  readonly replies: ReplyWriter;
  readonly clock: HeldClock;
  readonly observer: RequestObserver;
  readonly answered: AnsweredRequests;
  readonly watch: StallWatch;
  /** Absent where writes never wait for others: on streams between nodes. */
  readonly writes?: FairWrites;
}

/** The parts of one request stream. */
export interface RequestStreamOptions {
  readonly stream: Stream;
  readonly caller: Caller;
  /** Account of the stream's session. */
  readonly account: SessionAccount;
  /** Present for a session's first stream. On others a control frame is a malformed request. */
  readonly owner?: FirstStreamOwner;
}
