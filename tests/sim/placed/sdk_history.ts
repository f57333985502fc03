/**
 * Calls of SDK clients and their ends, as checkers see them. Times are the world's true time, ms;
 * `calledAt` and `answeredAt` are places in the one order of all calls and answers.
 */
import type { ErrorCode } from "../../../src/base/errors.ts";
import type { Receipt } from "../../../src/client/mod.ts";

/** The kinds of calls. */
export type SdkCallKind =
  | "get"
  | "get_kept"
  | "put"
  | "take_over"
  | "remove"
  | "resolve"
  | "resolve_many"
  | "list"
  | "put_gateway"
  | "remove_gateway"
  | "gateways";

/**
 * The end of a call. `refused`: nothing was done. `unknown`: of a write, it took effect, will, or never
 * does; of a read, it has told nothing.
 */
export type SdkEnd = "ok" | "not_found" | "refused" | "unknown";

/** A record as an answer shows it. */
export interface SeenRecord {
  /** Its UUID. */
  readonly key: string;
  /** The number of the write that made it so; undefined: there was no such record. */
  readonly value: number | undefined;
  /** The age that the answer states, or that was accepted if it states none, ms. */
  readonly ageMs: number;
}

/** A domain and the agent that it resolved to. */
export interface SeenDomain {
  readonly domain: string;
  /** The agent's UUID; undefined: proven empty. */
  readonly holder: string | undefined;
  /** The domain that the agent names; "" for none. */
  readonly named: string;
  /** As of a record. */
  readonly ageMs: number;
}

/** A call that has begun. */
export interface SdkCall {
  readonly client: number;
  readonly kind: SdkCallKind;
  /** Of a write: the record's UUID; "" otherwise. */
  readonly key: string;
  /** Of a put or takeover: the number that the record shows from then on; unique in a run. */
  readonly value: number;
  /** Of the same: the domain that the record claims; "" for none. */
  readonly domain: string;
  /** Of a read: the age that it accepts, ms; 0: linearizable. */
  readonly maxStalenessMs: number;
  readonly calledAt: number;
  readonly calledMs: number;
  /** The longest that the call may take, by the client's clock, ms. */
  readonly timeoutMs: number;
}

/** A call that has ended. */
export interface SdkAnswer extends SdkCall {
  readonly end: SdkEnd;
  /** The code of an error; "" for none. */
  readonly code: ErrorCode | "";
  readonly message: string;
  /** Infinity if the end is `unknown`. */
  readonly answeredAt: number;
  readonly answeredMs: number;
  /** Attempts beyond the first that the client has made meanwhile. */
  readonly retries: number;
  /** All records that a read has shown, or has shown to be absent. */
  readonly records: readonly SeenRecord[];
  readonly domains: readonly SeenDomain[];
  readonly receipts: readonly Receipt[];
}

/** Returns the description of a call for messages. */
export function callName(call: SdkCall | SdkAnswer): string {
  const { client, kind, key, value, domain, maxStalenessMs, calledMs } = call;
  const what = [
    key.slice(-4),
    domain,
    value === 0 ? "" : `write ${value}`,
    maxStalenessMs === 0 ? "" : `at most ${maxStalenessMs} ms old`,
  ].filter((one) => one);
  const answer = "end" in call
    ? `${call.end}${call.code === "" ? "" : ` ${call.code}`} at ${call.answeredMs.toFixed(1)} ms`
    : "under way";
  return `${kind} ${what.join(" ")} by client ${client} (called at ${calledMs.toFixed(1)} ms, ` +
    `${answer})`;
}
