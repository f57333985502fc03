/** Creates the work with other regions, and connects it with group 0 and the partitions. */
import { REGION_SHARDS, REQUEST_TIMEOUT_MS_DEFAULT } from "../base/limits.ts";
import type { MonotonicClock } from "../base/world.ts";
import type { AccessPolicy } from "../record/access.ts";
import type { ClusterGroups } from "../replication/assembly/cluster_groups.ts";
import { checkedBundle } from "../region/checked_bundle.ts";
import { conditionOf } from "../region/region_conditions.ts";
import { MirrorWriter } from "../region/mirror_writer.ts";
import { PullerAssigner } from "../region/puller_assigner.ts";
import type { RegionAges } from "../region/region_ages.ts";
import type { RegionGroup } from "../region/region_group.ts";
import { RegionPullers } from "../region/region_pullers.ts";
import type { Handlers } from "../serving/handler.ts";
import { mirrorHandlers } from "../serving/handlers/mirrors.ts";
import { regionHandlers } from "../serving/handlers/regions.ts";
import type { IdentityGroup } from "../serving/identities/identity_group.ts";
import type { LeaderCalls } from "../serving/leader_calls.ts";
import type { PartitionVersions } from "../serving/partition_versions.ts";
import type { Proposer } from "../serving/proposer.ts";
import type { PartitionTable } from "../serving/partitions.ts";
import { Followers } from "../serving/regions/followers.ts";
import { MirrorDropper } from "../serving/regions/mirror_dropper.ts";
import type { MirrorHomes } from "../serving/regions/mirror_homes.ts";
import { MirrorSteps } from "../serving/regions/mirror_steps.ts";
import { RegionAdministration } from "../serving/regions/region_administration.ts";
import { RegionAnswers } from "../serving/regions/region_answers.ts";
import { RegionServers } from "../serving/regions/region_servers.ts";
import type { MIRROR_OPERATIONS } from "../wire/operations/mirrors.ts";
import type { RegionsSnapshot } from "./region_metrics.ts";
import type { RegistryOptions } from "./registry_options.ts";

/** The objects that it shares with the rest of the registry. */
export interface RegionPartsOptions {
  readonly options: RegistryOptions;
  readonly groups: ClusterGroups;
  readonly clock: MonotonicClock;
  readonly table: PartitionTable;
  readonly proposer: Proposer;
  readonly leaders: LeaderCalls;
  readonly versions: PartitionVersions;
  readonly policy: AccessPolicy;
  readonly ages: RegionAges;
  readonly homes: MirrorHomes;
}

/** The work with other regions. */
export interface RegionParts {
  /** The handlers of the operations on regions, and between nodes on mirrors. */
  readonly handlers:
    & ReturnType<typeof regionHandlers>
    & Handlers<typeof MIRROR_OPERATIONS>;
  readonly followers: Followers;
  readonly dropper: MirrorDropper;
  readonly ages: RegionAges;
  /** Undefined on a node without links to other regions. */
  readonly pullers: RegionPullers | undefined;
  /** Returns what this node knows of the regions, for its metrics. */
  readonly snapshot: () => RegionsSnapshot;
}

/** Creates the work with other regions. */
export function regionParts(parts: RegionPartsOptions, identities: IdentityGroup): RegionParts {
  const { options, groups, clock, table, proposer, versions, policy, ages, homes } = parts;
  const { nodeId, world, logger } = options;
  const state = () => groups.system.store.state.regions;
  const regionOf = (name: string) => state().of(name);
  const steps = new MirrorSteps({
    ...{ table, proposer, versions, regionOf },
  });
  const dropper = new MirrorDropper({
    ...{ table, proposer, clock, scheduler: world.scheduler, logger },
    removed: () => state().removed,
  });
  const pullers = pullersOf(parts, groupOf(parts, identities), steps);
  const administration = new RegionAdministration({
    group: identities,
    mirrorCount: (home) => mirrorCount(table, home),
    checkBundle: (text) => checkedBundle(text, world.wall.unixMs()),
    conditionOf: (region) =>
      conditionOf(
        region,
        ages,
        (node) => node === nodeId ? pullers?.states() : ages.pullersOf(node),
      ),
    onRemoved: () => void dropper.run(),
  });
  const followers = new Followers({ regions: state, policy, wall: world.wall });
  const answers = new RegionAnswers({ group: identities, followers });
  const servers = new RegionServers({ own: homes.own, regionOf });
  const handlers = {
    ...regionHandlers({ regions: administration, servers, answers }),
    ...mirrorHandlers(steps, () => ({ pullers: pullers?.states() ?? [] })),
  };
  const snapshot = () => ({
    regions: state().all.map(({ settings: { name } }) => ({
      name,
      ageMs: ages.ageMs(name),
      mirrors: mirrorCount(table, name),
    })),
    pullers: pullers?.states() ?? [],
    counts: pullers?.counts() ?? new Map(),
    received: pullers?.received() ?? new Map(),
  });
  return { handlers, followers, dropper, ages, pullers, snapshot };
}

function pullersOf(
  { options, groups, clock, table, leaders, ages }: RegionPartsOptions,
  group: RegionGroup,
  steps: MirrorSteps,
): RegionPullers | undefined {
  const { linkTo, nodeId: self, world, logger, placement } = options;
  if (linkTo === undefined) return undefined;
  return new RegionPullers({
    ...{ self, group, ages, linkTo, world, logger },
    target: new MirrorWriter({ table, steps, leaders, clock }),
    assigner: new PullerAssigner({
      ...{ self, group, ages, clock, logger, shardCount: REGION_SHARDS },
      isReachable: placement?.mayLead ?? (() => false),
    }),
    logWrittenBytes: () => groups.nodes.log.stats().writtenBytes,
  });
}

function groupOf({ groups, clock }: RegionPartsOptions, identities: IdentityGroup): RegionGroup {
  const { group, store } = groups.system;
  return {
    regions: () => store.state.regions.all,
    members: () => store.state.members.all.map(({ nodeId }) => nodeId),
    applyVersion: () => store.state.versions.applyVersion,
    isLeading: () => group.isLeading,
    propose: (command) =>
      identities.propose(command, 0, clock.nowMs() + REQUEST_TIMEOUT_MS_DEFAULT),
  };
}

/** Returns the number of mirrors of a region that this node holds. */
function mirrorCount(table: PartitionTable, home: string): number {
  let count = 0;
  for (const { store } of table.here()) count += store.mirrors.source(home)?.mirrorCount ?? 0;
  return count;
}
