/**
 * Brings the Raft configurations of the partitions that this node leads to what their placements ask
 * for: joining replicas become learners, then, once they have the whole log, voters in one joint change
 * in which the leaving ones go. What is done is reported to the leader of group 0.
 *
 * Everything follows from the placement and the configuration in force, so a step may be repeated by any
 * leader at any time. A leader never removes itself: it hands its leadership to a replica that stays.
 */
import { RegistryError, toRegistryError } from "../../base/errors.ts";
import { RECONFIGURATIONS_AT_ONCE, REQUEST_TIMEOUT_MS_DEFAULT } from "../../base/limits.ts";
import type { Logger } from "../../base/logger.ts";
import { type ConfChange, EMPTY_DATA, type MemberChange } from "../../raft/mod.ts";
import {
  isChanging,
  isGoing,
  type PartitionPlacement,
  type PlacedReplica,
} from "../../system/placement/placement_state.ts";
import { placeId } from "../../base/ids.ts";
import type { ClusterGroups, HostedPartition, HostedPlane } from "../assembly/cluster_groups.ts";
import type { MadeChange } from "./plan.ts";

/** Entries by which a learner may lag behind the commit index and still be made a voter. */
const LAG_MAX = 64;

/** The next step of a group towards its placement. */
export type NextChange =
  | { readonly kind: "none" }
  | { readonly kind: "propose"; readonly changes: readonly MemberChange[] }
  /** Hand the leadership to this replica. */
  | { readonly kind: "transfer"; readonly replica: number }
  /** The configuration is what the placement asks for. */
  | { readonly kind: "made" };

/** The state of a group at its leader. */
export interface LedGroup {
  readonly self: number;
  readonly committed: number;
  readonly voters: readonly number[];
  readonly votersOutgoing: readonly number[];
  readonly learners: readonly number[];
  /** The highest index that each member is known to have. */
  readonly matches: ReadonlyMap<number, number>;
  /** The members that were heard of lately. */
  readonly active: ReadonlySet<number>;
}

/** Returns the next change of a group towards its placement. Pure. */
export function nextChange({ replicas }: PartitionPlacement, group: LedGroup): NextChange {
  const { self, committed, voters, learners, matches, active } = group;
  if (group.votersOutgoing.length > 0) return { kind: "none" };
  const leaving = replicas.filter(({ role }) => isGoing(role)).map(({ replica }) => replica);
  // A voter that was to leave, and stays after all, may have been removed in the meantime.
  const joining = replicas.filter(({ role }) => !isGoing(role)).map(({ replica }) => replica)
    .filter((replica) => !voters.includes(replica));
  const unknown = joining.filter((replica) => !learners.includes(replica));
  const add = (kind: "add_learner" | "add_voter") => (replica: number) => ({ kind, replica });
  if (unknown.length > 0) return { kind: "propose", changes: unknown.map(add("add_learner")) };
  // A replica with nothing of the log is never ready, however short the log is.
  const isReady = (replica: number) => {
    const match = matches.get(replica) ?? 0;
    return active.has(replica) && match > 0 && match + LAG_MAX >= committed;
  };
  if (!joining.every(isReady)) return { kind: "none" };
  const present = leaving.filter((replica) =>
    voters.includes(replica) || learners.includes(replica)
  );
  const removed = present.filter((replica) => replica !== self);
  if (joining.length + removed.length > 0) {
    const removals = removed.map((replica) => ({ kind: "remove" as const, replica }));
    return { kind: "propose", changes: [...joining.map(add("add_voter")), ...removals] };
  }
  if (present.length === 0) {
    // A node whose replica votes by its placement refuses to start without the replica's log.
    const isHeld = ({ replica, role }: PlacedReplica) =>
      role !== "joining" || replica === self || (matches.get(replica) ?? 0) > 0;
    return { kind: replicas.every(isHeld) ? "made" : "none" };
  }
  const heir = voters.find((replica) => !leaving.includes(replica) && isReady(replica));
  return heir === undefined ? { kind: "none" } : { kind: "transfer", replica: heir };
}

/** A group that placements move. */
type Placed = HostedPartition | HostedPlane;

function nextOf({ group }: Placed, placement: PartitionPlacement): NextChange {
  const { members, committed, transferee } = group.raftStatus();
  if (transferee !== 0) return { kind: "none" };
  return nextChange(placement, {
    ...group.configuration,
    self: group.replica,
    committed,
    matches: new Map(members.map(({ id, match }) => [id, match])),
    active: new Set(members.filter(({ recentActive }) => recentActive).map(({ id }) => id)),
  });
}

/** The dependencies of a reconfigurer. */
export interface ReconfigurerOptions {
  readonly groups: ClusterGroups;
  readonly logger: Logger;
  /** Reports changes that were made to the leader of group 0; may fail, and is then repeated. */
  readonly report: (made: readonly MadeChange[]) => Promise<void>;
}

/** Reconfigures the groups that this node leads. */
export class Reconfigurer {
  readonly #options: ReconfigurerOptions;
  readonly #proposing = new Set<number>();
  #isReporting = false;

  constructor(options: ReconfigurerOptions) {
    this.#options = options;
  }

  /** Takes the next step of each led partition whose placement is changing. */
  run(): void {
    const made: MadeChange[] = [];
    const { groups } = this.#options;
    const { placement: placements } = groups.system.store.state;
    for (const number of placements.changing) {
      const partition = groups.placed(placeId(number));
      const placement = placements.of(number);
      if (partition === undefined || placement === undefined) continue;
      if (!partition.group.isLeading || this.#proposing.has(number)) continue;
      this.#step(partition, placement, made);
    }
    if (made.length > 0 && !this.#isReporting) void this.#report(made);
  }

  #step(partition: Placed, placement: PartitionPlacement, made: MadeChange[]): void {
    const { id, group } = partition;
    const next = nextOf(partition, placement);
    if (next.kind === "propose" && this.#proposing.size < RECONFIGURATIONS_AT_ONCE) {
      void this.#propose(partition);
    } else if (next.kind === "transfer") {
      group.transferLeader(next.replica);
    } else if (next.kind === "made") {
      const { appliedIndex } = group.status();
      made.push({
        partition: id,
        revision: placement.revision,
        configurationIndex: appliedIndex,
      });
    }
  }

  /**
   * Proposes the next change. This node's copy of group 0 may be behind, and the placement in it one
   * that was followed long ago, so group 0 is asked first. As this replica leads in the same term before
   * and after, nobody else has followed a later placement meanwhile.
   */
  async #propose(partition: Placed): Promise<void> {
    const { id, group } = partition;
    const { groups, logger } = this.#options;
    const { system } = groups;
    const { term } = group.status();
    this.#proposing.add(id);
    try {
      const point = await system.group.readBarrier(0, REQUEST_TIMEOUT_MS_DEFAULT);
      if (point instanceof RegistryError) throw point;
      const placement = system.store.state.placement.of(id);
      if (placement === undefined || !isChanging(placement)) return;
      if (!group.isLeading || group.status().term !== term) return;
      const next = nextOf(partition, placement);
      if (next.kind !== "propose") return;
      const change: ConfChange = {
        transition: "auto",
        changes: next.changes,
        context: EMPTY_DATA,
      };
      const proposed = await group.proposeConfChange(change, REQUEST_TIMEOUT_MS_DEFAULT);
      if (!proposed.ok) throw proposed.error;
    } catch (error) {
      // The next look sees what has changed.
      const { code, message } = toRegistryError(error);
      logger.debug("A change of members was not made yet", { id, code, message });
    } finally {
      this.#proposing.delete(id);
    }
  }

  async #report(made: readonly MadeChange[]): Promise<void> {
    this.#isReporting = true;
    try {
      await this.#options.report(made);
    } catch (error) {
      const { code } = toRegistryError(error);
      this.#options.logger.debug("Changes of members were not confirmed yet", { code });
    } finally {
      this.#isReporting = false;
    }
  }
}
