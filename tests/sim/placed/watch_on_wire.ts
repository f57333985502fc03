/** The watches of clients as nodes answer them: each partition is followed, and each proof compared. */
import type {
  Response,
  WatchPosition,
  WatchReply,
  WatchRequest,
} from "../../../schemas/gen/wire.ts";
import { toHex } from "../../../src/base/bytes.ts";
import { KIND_ALIAS } from "../../../src/record/key.ts";
import { RECORD_KINDS } from "../../../src/record/kinds.ts";
import { WATCH_PHASES, WATCH_STARTS } from "../../../schemas/gen/wire.ts";
import { Finding } from "../history.ts";
import type { TappedWatch } from "./watch_tap.ts";
import { WatchFollower } from "./watch_follower.ts";
import { nameOf, type TrueFilter, type WatchTruth } from "./watch_truth.ts";

/** Drift of clocks over an age, and their resolution, ms. */
const AGE_SLACK_MS = 3;
const AGE_SLACK_SHARE = 1.01;

/** One watch at one node. */
export class WatchOnWire implements TappedWatch {
  readonly #nowMs: () => number;
  readonly #who: string;
  readonly #followers = new Map<number, WatchFollower>();
  /** When each nonce was asked for, true time, ms. */
  readonly #asked = new Map<number, number>();

  constructor(
    truth: WatchTruth,
    request: WatchRequest,
    { nowMs, who }: { nowMs: () => number; who: string },
  ) {
    this.#nowMs = nowMs;
    this.#who = who;
    const filter = filterOf(request);
    for (const position of request.positions) {
      const { partition } = position;
      const follower = new WatchFollower(truth, { partition, filter, who });
      begin(follower, position, filter);
      this.#followers.set(partition, follower);
    }
  }

  asked(nonce: number): void {
    this.#asked.set(nonce, this.#nowMs());
  }

  replied({ parts, nonce }: WatchReply, receipts: Response["receipts"]): void {
    for (const part of parts) this.#part(part);
    const askedMs = this.#asked.get(nonce);
    this.#asked.delete(nonce);
    const age = receipts[0];
    if (askedMs === undefined || age === undefined) return;
    const beforeMs = askedMs - age.ageBoundMs * AGE_SLACK_SHARE - AGE_SLACK_MS;
    for (const follower of this.#followers.values()) {
      const lacked = follower.lacks(beforeMs);
      if (lacked === undefined) continue;
      throw new Finding(
        "watch_age",
        `${this.#who} was asked at ${askedMs.toFixed(1)} ms and proved an age of ` +
          `${age.ageBoundMs} ms without ${nameOf(lacked)}, applied at ` +
          `${lacked.appliedMs.toFixed(1)} ms`,
      );
    }
  }

  ended(): void {
    this.#followers.clear();
  }

  #part({ partition, phase, index, ordinal, events }: WatchReply["parts"][number]): void {
    const follower = this.#followers.get(partition);
    if (follower === undefined) {
      throw new Finding("watch_truth", `${this.#who}: partition ${partition} has ended`);
    }
    const place = { index, ordinal };
    if (phase === WATCH_PHASES.ended) this.#followers.delete(partition);
    else if (phase === WATCH_PHASES.reset) follower.reset(place);
    else if (phase === WATCH_PHASES.stateEnd) follower.stateEnd(place);
    else if (phase === WATCH_PHASES.state) {
      follower.moved(place);
      for (const { kind, record } of events) follower.state(kind, record, place);
    } else {
      for (const event of events) follower.change(event);
      follower.moved(place);
    }
  }
}

/** Returns the filter of a request. */
export function filterOf({ kind, region, labels, ids, domains }: WatchRequest): TrueFilter {
  const kinds = kind === 0 ? RECORD_KINDS.servedRows.map(({ number }) => number) : [kind];
  const keys = kind === KIND_ALIAS
    ? domains.map((domain) => `${kind} ${domain}`)
    : kinds.flatMap((one) => ids.map((id) => `${one} ${toHex(id)}`));
  return { kinds, region, labels, keys: new Set(keys) };
}

function begin(
  follower: WatchFollower,
  { start, index, ordinal, afterId }: WatchPosition,
  { kinds }: TrueFilter,
): void {
  if (start === WATCH_STARTS.next) return;
  const isContinued = afterId.length > 0;
  if (start === WATCH_STARTS.state) {
    follower.list(isContinued ? `${kinds[0]} ${toHex(afterId)}` : "");
    if (!isContinued) return;
  }
  follower.place = { index, ordinal };
}
