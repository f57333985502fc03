/**
 * Limits on the memory that peers make the node hold: replies that they have not taken, and frames
 * that they have not finished. Counted for each session, each identity and the node, by additions
 * alone.
 *
 * A session with too many pending replies is not served further. If an identity or the node still
 * exceeds its limit, the session that holds most is ended; its bytes no longer count from that
 * moment.
 */
import type { ErrorCode } from "../base/errors.ts";
import {
  IDENTITY_HELD_BYTES_MAX,
  NODE_HELD_BYTES_MAX,
  REPLY_BACKLOG_BYTES_HIGH,
  REPLY_BACKLOG_BYTES_LOW,
  REPLY_BACKLOG_BYTES_MAX,
} from "../base/limits.ts";

/** Reason for which the node ended a session; a label of its metrics. */
export type EndReason = "replies_not_taken" | "frame_not_finished" | "memory";

/** A session as the budget sees it. */
export interface BudgetedSession {
  /** Ends the session and tells its peer the reason. Must not throw. */
  endFor(code: ErrorCode, message: string): void;
}

/** Limits of a {@link SessionBudget}, bytes. */
export interface BudgetLimits {
  readonly nodeBytesMax: number;
  readonly identityBytesMax: number;
  /** Pending replies at which a session is no longer served, until they are down to `Low`. */
  readonly sessionRepliesHigh: number;
  readonly sessionRepliesLow: number;
  /** Replies that one stream may gather; beyond it the stream ends. */
  readonly streamRepliesMax: number;
}

/** Limits of a node. */
export const NODE_BUDGET_LIMITS: BudgetLimits = {
  nodeBytesMax: NODE_HELD_BYTES_MAX,
  identityBytesMax: IDENTITY_HELD_BYTES_MAX,
  sessionRepliesHigh: REPLY_BACKLOG_BYTES_HIGH,
  sessionRepliesLow: REPLY_BACKLOG_BYTES_LOW,
  streamRepliesMax: REPLY_BACKLOG_BYTES_MAX,
};

/** Usage of all sessions of one identity. */
interface Owner {
  readonly name: string;
  readonly accounts: Set<SessionAccount>;
  heldBytes: number;
}

/** Memory budget of a node. */
export class SessionBudget {
  readonly limits: BudgetLimits;
  readonly #owners = new Map<string, Owner>();
  readonly #accounts = new Set<SessionAccount>();
  readonly #ended = new Map<EndReason, number>();
  /** Replies not taken, of all sessions, bytes. */
  repliesBytes = 0;
  /** Frames not finished, of all sessions, bytes. */
  framesBytes = 0;

  constructor(limits: BudgetLimits = NODE_BUDGET_LIMITS) {
    this.limits = limits;
  }

  /** Number of sessions ended since the start, by reason. */
  get ended(): ReadonlyMap<EndReason, number> {
    return this.#ended;
  }

  /** Opens the account of a new session. */
  open(session: BudgetedSession): SessionAccount {
    const account = new SessionAccount(this, session);
    this.#accounts.add(account);
    return account;
  }

  /** Returns the owner of a name, creating it if necessary. */
  ownerOf(name: string): Owner {
    const known = this.#owners.get(name);
    if (known !== undefined) return known;
    const owner: Owner = { name, accounts: new Set(), heldBytes: 0 };
    this.#owners.set(name, owner);
    return owner;
  }

  /** Removes an account that no longer holds anything. */
  forget(account: SessionAccount, owner: Owner | undefined): void {
    this.#accounts.delete(account);
    if (owner === undefined) return;
    owner.accounts.delete(account);
    if (owner.accounts.size === 0) this.#owners.delete(owner.name);
  }

  /** Ends the largest sessions, of an identity and then of the node, until the limits are kept. */
  shed(owner: Owner | undefined): void {
    const { identityBytesMax, nodeBytesMax } = this.limits;
    while (owner !== undefined && owner.heldBytes > identityBytesMax) {
      const largest = largestOf(owner.accounts);
      if (largest === undefined) break;
      largest.end("memory", "overloaded", tooMuch(largest, "this identity", identityBytesMax));
    }
    while (this.repliesBytes + this.framesBytes > nodeBytesMax) {
      const largest = this.#largestOffender();
      if (largest === undefined) break;
      largest.end("memory", "overloaded", tooMuch(largest, "the node", nodeBytesMax));
    }
  }

  /** Counts an ended session. */
  countEnded(reason: EndReason): void {
    this.#ended.set(reason, (this.#ended.get(reason) ?? 0) + 1);
  }

  /**
   * Returns the largest session of the identity that holds most; a session without an identity
   * counts as an identity of its own.
   */
  #largestOffender(): SessionAccount | undefined {
    let largest: SessionAccount | undefined;
    let largestBytes = 0;
    for (const account of this.#accounts) {
      const bytes = account.owner?.heldBytes ?? account.heldBytes;
      if (bytes > largestBytes) {
        largest = account;
        largestBytes = bytes;
      }
    }
    return largest?.owner === undefined ? largest : largestOf(largest.owner.accounts);
  }
}

/** Account of one session. */
export class SessionAccount {
  readonly #budget: SessionBudget;
  readonly #session: BudgetedSession;
  #owner: Owner | undefined;
  #repliesBytes = 0;
  #framesBytes = 0;
  #isFull = false;
  #closed = false;
  /** Absent while nobody waits. */
  #wakeups: (() => void)[] | undefined;

  constructor(budget: SessionBudget, session: BudgetedSession) {
    this.#budget = budget;
    this.#session = session;
  }

  get limits(): BudgetLimits {
    return this.#budget.limits;
  }

  /** Replies not taken and frames not finished, bytes. */
  get heldBytes(): number {
    return this.#repliesBytes + this.#framesBytes;
  }

  /** Usage of its identity; `undefined` if it has none. */
  get owner(): { readonly heldBytes: number; readonly accounts: Set<SessionAccount> } | undefined {
    return this.#owner;
  }

  /** True while so many replies are pending that no further request is served. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** True once the session is over or ending. */
  get isClosed(): boolean {
    return this.#closed;
  }

  /** Assigns the account to an identity, from now on. */
  identify(name: string): void {
    if (this.#closed || this.#owner !== undefined) return;
    this.#owner = this.#budget.ownerOf(name);
    this.#owner.accounts.add(this);
    this.#owner.heldBytes += this.heldBytes;
  }

  /** Adds the changes, which may be negative, to the held bytes; may end the largest sessions. */
  change(repliesBytes: number, framesBytes: number): void {
    if (this.#closed) return;
    const budget = this.#budget;
    this.#repliesBytes += repliesBytes;
    this.#framesBytes += framesBytes;
    budget.repliesBytes += repliesBytes;
    budget.framesBytes += framesBytes;
    const owner = this.#owner;
    if (owner !== undefined) owner.heldBytes += repliesBytes + framesBytes;
    const { sessionRepliesHigh, sessionRepliesLow } = budget.limits;
    if (this.#repliesBytes >= sessionRepliesHigh) this.#isFull = true;
    else if (this.#isFull && this.#repliesBytes <= sessionRepliesLow) this.#wake();
    if (repliesBytes + framesBytes <= 0) return;
    const { identityBytesMax, nodeBytesMax } = budget.limits;
    const isOver = budget.repliesBytes + budget.framesBytes > nodeBytesMax ||
      (owner !== undefined && owner.heldBytes > identityBytesMax);
    if (isOver) budget.shed(owner);
  }

  /** Resolves when requests may be served again, or the session is over. */
  async room(): Promise<void> {
    while (this.#isFull) {
      await new Promise<void>((resolve) => (this.#wakeups ??= []).push(resolve));
    }
  }

  /** Ends the session because of what it holds, which no longer counts from now on. */
  end(reason: EndReason, code: ErrorCode, message: string): void {
    if (this.#closed) return;
    this.close();
    this.#budget.countEnded(reason);
    this.#session.endFor(code, message);
  }

  /** Closes the account of a session that is over. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.change(-this.#repliesBytes, -this.#framesBytes);
    this.#closed = true;
    this.#wake();
    this.#budget.forget(this, this.#owner);
  }

  #wake(): void {
    this.#isFull = false;
    const wakeups = this.#wakeups;
    this.#wakeups = undefined;
    for (const wake of wakeups ?? []) wake();
  }
}

function largestOf(accounts: Iterable<SessionAccount>): SessionAccount | undefined {
  let largest: SessionAccount | undefined;
  for (const account of accounts) {
    if (account.heldBytes > (largest?.heldBytes ?? 0)) largest = account;
  }
  return largest;
}

function tooMuch({ heldBytes }: SessionAccount, whose: string, bytesMax: number): string {
  return `The sessions of ${whose} may hold at most ${bytesMax} bytes: ` +
    `this one held the most, ${heldBytes}`;
}
