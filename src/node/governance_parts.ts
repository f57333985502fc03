/** Creates the operations on the governed plane, and connects them with its group. */
import { defined } from "../base/assert.ts";
import { GOVERNED_PLACE } from "../base/ids.ts";
import { REQUEST_TIMEOUT_MS_DEFAULT } from "../base/limits.ts";
import type { MonotonicClock } from "../base/world.ts";
import type { PlaneImages } from "../replication/assembly/plane_images.ts";
import type { ClusterGroups } from "../replication/assembly/cluster_groups.ts";
import { PlanePuller } from "../region/plane_puller.ts";
import { PlaneSource } from "../region/plane_source.ts";
import { agreeOnSigners } from "../serving/governance/agreed_signers.ts";
import { Checkpoints } from "../serving/governance/checkpoints.ts";
import type { EntryWaiters } from "../serving/governance/entry_waiters.ts";
import { GovernanceService } from "../serving/governance/governance_service.ts";
import { PlaneMirror } from "../serving/governance/plane_mirror.ts";
import { type GovernanceHandlers, governanceHandlers } from "../serving/handlers/governance.ts";
import type { PlaneSnapshot } from "./plane_metrics.ts";
import type { RegistryOptions } from "./registry_options.ts";
import type { RunningNode } from "./running_node.ts";

/** The work with the governed plane. */
export interface GovernanceParts {
  readonly handlers: GovernanceHandlers;
  readonly checkpoints: Checkpoints;
  /** Returns the plane for the metrics; undefined if it is not here, or has not begun. */
  readonly snapshot: () => PlaneSnapshot | undefined;
  /** Starts the work in the background. */
  start(): void;
  /** Stops it, and ends the requests that wait for entries. */
  stop(): Promise<void>;
  /** See {@link RunningNode.agreeOnSigners}. */
  readonly agreeOnSigners: RunningNode["agreeOnSigners"];
}

/** Creates the work with the governed plane. */
export function governanceParts(
  { world, nodeId: self, logger, linkTo }: Pick<
    RegistryOptions,
    "world" | "nodeId" | "logger" | "linkTo"
  >,
  { clock: monotonic, groups, waiters, images }: {
    readonly clock: MonotonicClock;
    readonly groups: ClusterGroups;
    readonly waiters: EntryWaiters;
    readonly images: PlaneImages;
  },
): GovernanceParts {
  const { wall, scheduler } = world;
  const { store: system } = groups.system;
  const source = new PlaneSource({ linkTo, regionOf: (name) => system.state.regions.of(name) });
  const checkpoints = new Checkpoints({ wall, monotonic });
  const service: GovernanceService = new GovernanceService({
    plane: () => groups.plane,
    nodes: () => groups.nodesOf(GOVERNED_PLACE),
    self,
    checkpoints,
    waiters,
    wall,
    monotonic,
    region: defined(system.genesis, "A cluster was created").region,
    clusterVersion: () => system.state.versions.applyVersion,
    contactAgeMs: (name) => puller.contactAgeMs(name),
  });
  const mirror = new PlaneMirror({
    service,
    monotonic,
    plane: () => groups.plane,
    read: (name, request, timeoutMs) => source.read(name, request, timeoutMs),
  });
  const puller: PlanePuller = new PlanePuller({
    ...{ source, world, logger },
    mirror: () => mirror.led,
    take: (after, entries) =>
      mirror.take(after, entries, monotonic.nowMs() + REQUEST_TIMEOUT_MS_DEFAULT),
  });
  return {
    start: () => {
      images.grown();
      if (linkTo !== undefined) puller.start();
    },
    stop: () => {
      puller.stop();
      source.close();
      waiters.close();
      return images.stop();
    },
    handlers: governanceHandlers(service, mirror, checkpoints),
    checkpoints,
    snapshot: () => {
      const store = groups.plane?.store;
      const plane = store?.plane;
      if (store === undefined || plane === undefined) return undefined;
      const home = plane.isHome ? "" : plane.home;
      const contactAgeMs = puller.contactAgeMs(home);
      return { version: store.version, home, contactAgeMs, refused: store.state.mirrorRefused };
    },
    agreeOnSigners: (configured, signal) =>
      agreeOnSigners(service, configured, { monotonic, scheduler, signal }),
  };
}
