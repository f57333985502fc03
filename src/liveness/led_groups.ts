/**
 * The groups of one node, and the handling of what beats say about their promises: which are
 * released, whether both sides count the same ones, and, if they do not, what the follower asks.
 *
 * A release that was never sent, or a promise made to a former leader (a delayed append can cause
 * it), would bind a follower for as long as the other node lives. So both digests are compared with
 * each beat, and the follower's questions are answered by a release, or by waking the group.
 */
import type { GroupId, ReplicaId } from "../base/ids.ts";
import { ASK_AGAIN_MS, BEAT_GROUPS_MAX } from "../base/limits.ts";
import type { Beat, GroupTerm } from "./beat.ts";
import { Fortification, type FortificationContext } from "./fortification.ts";
import type { Peer, Peers } from "./peers.ts";

const NONE: readonly GroupTerm[] = [];

/** The promises of all groups of one node. */
export class LedGroups {
  readonly #context: FortificationContext;
  readonly #peers: Peers;
  readonly #groups = new Map<number, Fortification>();

  constructor(context: FortificationContext) {
    this.#context = context;
    this.#peers = context.peers;
  }

  /** Starts the promises of `replica`; a group has one replica on a node. */
  add(group: GroupId, replica: ReplicaId): Fortification {
    if (this.#groups.has(group)) {
      throw new RangeError(`Cannot add group ${group}: it was already added`);
    }
    const fortification = new Fortification(group, replica, this.#context);
    this.#groups.set(group, fortification);
    return fortification;
  }

  /** Ends the promises of the replica of `group`, which is gone for good. */
  remove(group: GroupId): void {
    this.#groups.get(group)?.close();
    this.#groups.delete(group);
  }

  /** Handles what a beat of `peer` says about groups. */
  take(peer: Peer, beat: Beat): void {
    for (const { group, term } of beat.released) this.#groups.get(group)?.released(peer, term);
    for (const { group, term } of beat.asked) {
      const fortification = this.#groups.get(group);
      if (fortification === undefined) peer.releases.add(group, term);
      else fortification.asked(peer, term);
    }
    peer.digestOff = this.#digestOff(peer, beat);
    if (peer.digestOff === undefined) {
      peer.askFrom = 0;
      peer.digestAsked = undefined;
    }
  }

  #digestOff(peer: Peer, { echoRun, epoch, promiseCount, promiseHash }: Beat): string | undefined {
    // A beat of another epoch refers to other promises.
    if (this.#peers.supportedEpoch(peer) !== epoch || echoRun !== this.#peers.run) return undefined;
    const [count, hash] = [peer.made.count(epoch), peer.made.hash(epoch)];
    if (count === promiseCount && hash === promiseHash) return undefined;
    return `${count}:${hash} ${promiseCount}:${promiseHash}`;
  }

  /**
   * Returns the groups to ask `peer` about in a regular beat: a page of the promises made to it, if
   * the digests differ.
   */
  ask(peer: Peer): readonly GroupTerm[] {
    const { digestOff } = peer;
    if (digestOff === undefined) return NONE;
    // The next beat of the other side decides again.
    peer.digestOff = undefined;
    // A difference that asking does not resolve (a promise counted there but dropped here) must not
    // cause questions forever.
    const nowMs = this.#peers.now();
    if (digestOff === peer.digestAsked && nowMs < peer.askAgainMs) return NONE;
    const page: GroupTerm[] = [];
    let position = 0;
    for (const fortification of this.#groups.values()) {
      if (position++ < peer.askFrom) continue;
      const term = fortification.promisedTerm(peer);
      if (term !== undefined) page.push({ group: fortification.group, term });
      if (page.length === BEAT_GROUPS_MAX) break;
    }
    peer.askFrom = position < this.#groups.size ? position : 0;
    if (peer.askFrom === 0) {
      peer.digestAsked = digestOff;
      peer.askAgainMs = nowMs + ASK_AGAIN_MS;
    }
    return page;
  }
}
