/**
 * Reads with a bound on their age at one replica that does not lead: served from the applied state if
 * its age is proven (src/liveness/freshness), else refused with the leader as the hint. Never answers
 * with an older state than the bound allows.
 */
import { RegistryError } from "../base/errors.ts";
import { type GroupId, groupName, type LogIndex, type NodeId, type Term } from "../base/ids.ts";
import { type GroupProof, type Moment, NEVER, type ProvenReplica } from "../liveness/mod.ts";
import type { RaftNode } from "../raft/mod.ts";
import type { FreshnessMiss } from "./freshness_counts.ts";
import type { GroupHost } from "./group_host.ts";
import type { ReadPoint } from "./group_interface.ts";
import type { AppliedPoint } from "./group_parts.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** The reads with a bound of one replica. */
export class ProvenReads {
  readonly #id: GroupId;
  readonly #host: GroupHost;
  readonly #node: RaftNode;
  readonly #applied: AppliedPoint;
  readonly #proof: GroupProof;
  /** The permission that was given last; overwritten by the next. */
  readonly #point: Mutable<ReadPoint> = {
    appliedIndex: 0 as LogIndex,
    term: 0 as Term,
    ageBoundMs: 0,
    provenAt: NEVER,
  };

  constructor(
    id: GroupId,
    host: GroupHost,
    node: RaftNode,
    replica: ProvenReplica & { readonly applied: AppliedPoint },
  ) {
    this.#id = id;
    this.#host = host;
    this.#node = node;
    this.#applied = replica.applied;
    this.#proof = host.freshness.addGroup(id, replica);
  }

  /** The proven age of the applied state now, whole ms; Infinity if none is proven. */
  get ageBoundMs(): number {
    return this.#ageMs(this.#proof.moment());
  }

  /** Implements `Group.ageNowMs` for a point that {@link readPoint} returned. */
  ageNowMs({ provenAt = NEVER }: ReadPoint): number {
    return this.#ageMs(provenAt);
  }

  /** Returns permission to read a state of at most that age, valid in this turn only. */
  readPoint(maxStalenessMs: number): ReadPoint | undefined {
    this.#host.freshness.asked(maxStalenessMs);
    const provenAt = this.#proof.moment();
    const ageBoundMs = this.#ageMs(provenAt);
    if (ageBoundMs > maxStalenessMs) return undefined;
    const point = this.#point;
    point.provenAt = provenAt;
    point.appliedIndex = this.#applied.index;
    point.term = this.#applied.term;
    point.ageBoundMs = ageBoundMs;
    return point;
  }

  /**
   * Returns why such a read cannot be permitted here; undefined while a first answer of the leader's
   * node is awaited.
   */
  refusal(maxStalenessMs: number): RegistryError | undefined {
    const { freshness } = this.#host;
    const leader = this.#leader;
    if (leader !== undefined && freshness.isAwaited(leader)) return undefined;
    const [miss, reason] = freshness.noProofs(leader) ?? this.#tooOld();
    return this.#refuse(maxStalenessMs, miss, reason);
  }

  /** Returns the refusal of a read for which that answer did not come in time. */
  late(maxStalenessMs: number): RegistryError {
    return this.#refuse(maxStalenessMs, "no_answer", "the leader's node has not answered in time");
  }

  #ageMs(moment: Moment): number {
    return Math.ceil(this.#host.freshness.ageMs(moment));
  }

  #refuse(maxStalenessMs: number, miss: FreshnessMiss, reason: string): RegistryError {
    const { freshness, nodeId } = this.#host;
    const leader = this.#leader;
    freshness.counts.missed(miss, leader !== undefined);
    return new RegistryError(
      "too_stale",
      `${
        groupName(this.#id)
      } on node ${nodeId} must prove an age of at most ${maxStalenessMs} ms: ` +
        reason,
      leader === undefined ? {} : { leaderHint: leader, leaderTerm: this.#node.term },
    );
  }

  #tooOld(): readonly [FreshnessMiss, string] {
    const { ageBoundMs } = this;
    return ageBoundMs === Infinity
      ? ["no_proof", "it has no proof"]
      : ["too_old", `it can prove ${ageBoundMs} ms`];
  }

  /** The leader's node, if it is known and another one. */
  get #leader(): NodeId | undefined {
    const leader = this.#host.directory.nodeOf(this.#node.lead);
    return leader === this.#host.nodeId ? undefined : leader;
  }
}
