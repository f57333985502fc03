/**
 * Leader leases: until when a quorum of support stands. The quorum minimum, over both halves of a
 * joint configuration, of how long each voter that promised is counted on; the leader itself counts
 * without an end.
 *
 * Groups with the same voters' standings share one lease, so that thousands of groups cost a few
 * comparisons. There is no timer: a lease is compared with the clock at each read.
 * Source: thesis §6.4.1, by support of nodes instead of heartbeats of groups.
 */
import type { Peers } from "./peers.ts";
import type { Standing } from "./standing.ts";

/** A voter as a lease counts it: the leader itself, one that promised, one that did not. */
export type CountedVoter = "self" | Standing | undefined;

/** The voters of both halves; the second is empty outside of joint consensus. */
export type CountedHalves = readonly [readonly CountedVoter[], readonly CountedVoter[]];

function untilOf(voter: CountedVoter): number {
  if (voter === "self") return Number.POSITIVE_INFINITY;
  return voter?.untilMs ?? Number.NEGATIVE_INFINITY;
}

/** Until when a majority of `half` stands; an empty half asks for nothing. */
function majorityUntilMs(half: readonly CountedVoter[]): number {
  if (half.length === 0) return Number.POSITIVE_INFINITY;
  const untils = half.map(untilOf).sort((left, right) => right - left);
  return untils[Math.floor(half.length / 2)]!;
}

/** Until when a quorum stands; -Infinity: it does not, or there are no voters. */
export function quorumUntilMs([incoming, outgoing]: CountedHalves): number {
  if (incoming.length === 0) return Number.NEGATIVE_INFINITY;
  return Math.min(majorityUntilMs(incoming), majorityUntilMs(outgoing));
}

/** One quorum of support, shared by all groups that count the same. */
export class Lease {
  readonly key: string;
  /** How many groups hold it. */
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

  /** Until when the quorum stands, by the own monotonic clock; infinite for a group of one. */
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
  readonly #leases = new Map<string, Lease>();

  constructor(peers: Peers) {
    this.#peers = peers;
  }

  /** How many different leases there are. */
  get size(): number {
    return this.#leases.size;
  }

  /** The lease for these voters; the holder gives it back by {@link release}. */
  acquire(halves: CountedHalves): Lease {
    const key = keyOf(halves);
    let lease = this.#leases.get(key);
    if (lease === undefined) {
      lease = new Lease(key, this.#peers, halves);
      this.#leases.set(key, lease);
    }
    lease.holders++;
    return lease;
  }

  /** One holder less. */
  release(lease: Lease): void {
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
