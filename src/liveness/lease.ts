/**
 * Leader leases: the time until which a quorum's support stands. It is the quorum minimum, over
 * both halves of a joint configuration, of the time until which each voter that promised is counted
 * on; the leader counts itself without limit.
 *
 * Groups whose voters have the same supports share one lease, so thousands of groups cost a few
 * comparisons. There is no timer: a lease is compared with the clock at each read. Source: thesis
 * §6.4.1, with support between nodes instead of heartbeats of groups.
 */
import type { Peers } from "./peers.ts";
import type { ReceivedSupport } from "./received_support.ts";

/** A voter as a lease counts it: the leader itself, one that promised, or one that did not. */
export type CountedVoter = "self" | ReceivedSupport | undefined;

/** The voters of both halves; the second is empty outside of joint consensus. */
export type CountedHalves = readonly [readonly CountedVoter[], readonly CountedVoter[]];

function untilOf(voter: CountedVoter): number {
  if (voter === "self") return Number.POSITIVE_INFINITY;
  return voter?.untilMs ?? Number.NEGATIVE_INFINITY;
}

/** Returns the time until which a majority of `half` stands; an empty half sets no limit. */
function majorityUntilMs(half: readonly CountedVoter[]): number {
  if (half.length === 0) return Number.POSITIVE_INFINITY;
  const untils = half.map(untilOf).sort((left, right) => right - left);
  return untils[Math.floor(half.length / 2)]!;
}

/**
 * Returns the time until which a quorum stands; -Infinity if none does, or if there are no voters.
 */
export function quorumUntilMs([incoming, outgoing]: CountedHalves): number {
  if (incoming.length === 0) return Number.NEGATIVE_INFINITY;
  return Math.min(majorityUntilMs(incoming), majorityUntilMs(outgoing));
}

/** The support of one quorum, shared by all groups that count the same voters. */
export class LeaderLease {
  readonly key: string;
  /** Count of groups that hold the lease. */
  holders = 0;
  readonly #peers: Peers;
  readonly #halves: CountedHalves;
  #revision = -1;
  #untilMs = Number.NEGATIVE_INFINITY;

  constructor(key: string, peers: Peers, halves: CountedHalves) {
    this.key = key;
    this.#peers = peers;
    this.#halves = halves;
  }

  /**
   * The time until which the quorum stands, by this node's monotonic clock; infinity for a group of
   * one.
   */
  get untilMs(): number {
    const { revision } = this.#peers;
    if (revision !== this.#revision) {
      this.#revision = revision;
      this.#untilMs = quorumUntilMs(this.#halves);
    }
    return this.#untilMs;
  }
}

/** The leases of one node, each kept while a group holds it. */
export class LeaseBook {
  readonly #peers: Peers;
  readonly #leases = new Map<string, LeaderLease>();

  constructor(peers: Peers) {
    this.#peers = peers;
  }

  /** Count of different leases. */
  get size(): number {
    return this.#leases.size;
  }

  /** Returns the lease for these voters; the holder returns it by {@link release}. */
  acquire(halves: CountedHalves): LeaderLease {
    const key = keyOf(halves);
    let lease = this.#leases.get(key);
    if (lease === undefined) {
      lease = new LeaderLease(key, this.#peers, halves);
      this.#leases.set(key, lease);
    }
    lease.holders++;
    return lease;
  }

  /** Removes one holder of `lease`. */
  release(lease: LeaderLease): void {
    lease.holders--;
    if (lease.holders === 0) this.#leases.delete(lease.key);
  }
}

function keyOf([incoming, outgoing]: CountedHalves): string {
  return `${halfKey(incoming)}|${halfKey(outgoing)}`;
}

function halfKey(half: readonly CountedVoter[]): string {
  return half.map((voter) => voter === "self" ? "s" : voter?.id ?? "-").join();
}
