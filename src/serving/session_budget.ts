/**
 * Memory that peers make the node hold: replies that they have not taken, and frames that they have
 * not finished. Counted for each session, each identity and the node, by additions alone.
 *
 * A session whose replies wait is not served further. Where an identity or the node holds too much all
 * the same, the session that holds most is ended, and its bytes count no more from that moment.
 */
import type { ErrorCode } from "../base/errors.ts";
import {
  IDENTITY_HELD_BYTES_MAX,
  NODE_HELD_BYTES_MAX,
  REPLY_BACKLOG_BYTES_HIGH,
  REPLY_BACKLOG_BYTES_LOW,
} from "../base/limits.ts";

/** Why the node ended a session; a label of its metrics. */
export type EndReason = "replies_not_taken" | "frame_not_finished" | "memory";

/** Ends a session, telling its peer why. Must not throw. */
export type EndSession = (code: ErrorCode, message: string) => void;

/** The limits, bytes. */
export interface BudgetLimits {
  readonly nodeBytesMax: number;
  readonly identityBytesMax: number;
  /** Replies of a session above which it is not served, until they are down to `Low`. */
  readonly sessionRepliesHigh: number;
  readonly sessionRepliesLow: number;
}

const LIMITS: BudgetLimits = {
  nodeBytesMax: NODE_HELD_BYTES_MAX,
  identityBytesMax: IDENTITY_HELD_BYTES_MAX,
  sessionRepliesHigh: REPLY_BACKLOG_BYTES_HIGH,
  sessionRepliesLow: REPLY_BACKLOG_BYTES_LOW,
};

/** What all sessions of one identity hold. */
interface Owner {
  readonly name: string;
  readonly accounts: Set<SessionAccount>;
  heldBytes: number;
}

/** The budget of a node. */
export class SessionBudget {
  readonly limits: BudgetLimits;
  readonly #owners = new Map<string, Owner>();
  readonly #accounts = new Set<SessionAccount>();
  readonly #ended = new Map<EndReason, number>();
  /** Replies not taken, of all sessions. */
  repliesBytes = 0;
  /** Frames not finished, of all sessions. */
  framesBytes = 0;

  constructor(limits: BudgetLimits = LIMITS) {
    this.limits = limits;
  }

  /** Sessions that were ended since the start, by reason. */
  get ended(): ReadonlyMap<EndReason, number> {
    return this.#ended;
  }

  /** The account of a session that begins. */
  open(end: EndSession): SessionAccount {
    const account = new SessionAccount(this, end);
    this.#accounts.add(account);
    return account;
  }

  /** The owner of a name, made where there is none. */
  ownerOf(name: string): Owner {
    const known = this.#owners.get(name);
    if (known !== undefined) return known;
    const owner: Owner = { name, accounts: new Set(), heldBytes: 0 };
    this.#owners.set(name, owner);
    return owner;
  }

  /** An account holds nothing any more. */
  forget(account: SessionAccount, owner: Owner | undefined): void {
    this.#accounts.delete(account);
    if (owner === undefined) return;
    owner.accounts.delete(account);
    if (owner.accounts.size === 0) this.#owners.delete(owner.name);
  }

  /** Ends whoever holds most, of an identity or of all, until what is held fits. */
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

  /** Counts a session that was ended. */
  countEnded(reason: EndReason): void {
    this.#ended.set(reason, (this.#ended.get(reason) ?? 0) + 1);
  }

  /** Of the identity that holds most, the session that does; those without one stand for themselves. */
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

/** What one session holds. */
export class SessionAccount {
  readonly #budget: SessionBudget;
  readonly #end: EndSession;
  #owner: Owner | undefined;
  #repliesBytes = 0;
  #framesBytes = 0;
  #isFull = false;
  #closed = false;
  #wakeups: (() => void)[] = [];

  constructor(budget: SessionBudget, end: EndSession) {
    this.#budget = budget;
    this.#end = end;
  }

  /** Replies not taken and frames not finished, bytes. */
  get heldBytes(): number {
    return this.#repliesBytes + this.#framesBytes;
  }

  /** What its identity holds; `undefined` where it has none. */
  get owner(): { readonly heldBytes: number; readonly accounts: Set<SessionAccount> } | undefined {
    return this.#owner;
  }

  /** True while so many replies wait that no further request is served. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** True once the session is over, or about to be. */
  get isClosed(): boolean {
    return this.#closed;
  }

  /** Counts it for an identity from now on. */
  identify(name: string): void {
    if (this.#closed || this.#owner !== undefined) return;
    this.#owner = this.#budget.ownerOf(name);
    this.#owner.accounts.add(this);
    this.#owner.heldBytes += this.heldBytes;
  }

  /** Adds what is held from now on, or held no more. */
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
    while (this.#isFull) await new Promise<void>((resolve) => this.#wakeups.push(resolve));
  }

  /** Ends the session for what it holds; that counts no more from now on. */
  end(reason: EndReason, code: ErrorCode, message: string): void {
    if (this.#closed) return;
    this.close();
    this.#budget.countEnded(reason);
    this.#end(code, message);
  }

  /** The session is over. Idempotent. */
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
    this.#wakeups = [];
    for (const wake of wakeups) wake();
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
  return `Of at most ${bytesMax} bytes that ${whose} may hold for its sessions, ` +
    `this one held the most: ${heldBytes}`;
}
