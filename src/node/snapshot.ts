/** The counts that a node's parts keep themselves, collected for each scrape of the metrics. */
import { newListenerStats } from "../../transport/admission.ts";
import type { Listener } from "../../transport/transport.ts";
import type { EventCounts } from "./event_counts.ts";
import type { ClusterSnapshot } from "./cluster_metrics.ts";
import type { NodeSnapshot } from "./metrics.ts";
import type { NodeCluster } from "./node_cluster.ts";
import type { Registry } from "./registry.ts";
import type { Sessions } from "./sessions.ts";
import type { TcpPorts } from "./tcp_ports.ts";

/** The parts of a node; undefined if they are not up yet. */
export interface SnapshotParts {
  readonly registry: Registry | undefined;
  /** Undefined for a node that is alone, too. */
  readonly cluster: NodeCluster | undefined;
  readonly listener: Listener | undefined;
  readonly sessions: Sessions | undefined;
  readonly ready: boolean;
  readonly events: EventCounts;
  readonly tcpPorts: TcpPorts;
  readonly serviceRestarts: ReadonlyMap<string, number>;
}

/** Collects the current counts. */
export function snapshotOf(
  { registry, cluster, listener, sessions, ready, events, tcpPorts, serviceRestarts }:
    SnapshotParts,
): NodeSnapshot {
  const log = registry?.log.stats();
  const records = registry?.shared.regionCounts() ?? [];
  const aliases = registry?.shared.counts.aliases ?? 0;
  return {
    ready,
    records: [...records, { kind: "alias", region: "", count: aliases }],
    expiries: events.byKind(),
    stale: registry?.shared.counts.stale ?? 0,
    expiryHolds: registry?.expiryHolds ?? 0,
    permits: registry?.expiry.permitsOfAll ?? { granted: 0, denied: 0 },
    log: {
      bytes: log?.segmentBytes ?? 0,
      segments: log?.segments ?? 0,
      appendedBytes: log?.writtenBytes ?? 0,
      appendedEntries: registry?.entriesAppended ?? 0,
      poisoned: log?.poisoned ?? false,
    },
    sessions: sessions?.countByTransport() ?? [],
    streams: listener?.stats.streams ?? 0,
    renewals: registry?.renewals.renewed ?? 0,
    renewalsLogged: registry?.extensionsProposed ?? 0,
    renewalsMisrouted: registry?.renewals.misrouted ?? new Map(),
    refusals: registry?.refusals.counts ?? new Map(),
    held: {
      replies: sessions?.budget.repliesBytes ?? 0,
      frames: sessions?.budget.framesBytes ?? 0,
    },
    sessionsEnded: sessions?.budget.ended ?? new Map(),
    anonymous: {
      count: sessions?.anonymous.count ?? 0,
      evicted: sessions?.anonymous.evicted ?? 0,
    },
    delegations: {
      open: sessions?.delegations.open ?? 0,
      refused: sessions?.delegations.refused ?? new Map(),
    },
    serviceRestarts,
    portsReopened: tcpPorts.reopened,
    connections: listener?.stats ?? newListenerStats(),
    writeQueue: sessions?.writes.counts ?? { waiting: 0, waited: 0, waitedMs: 0 },
    handshakesRefused: registry?.refusals.handshakes ?? new Map(),
    watches: registry?.watches.status,
    regions: registry?.regions.snapshot(),
    governed: registry?.governedSnapshot(),
    cluster: registry === undefined ? undefined : clusterSnapshot(registry, cluster),
  };
}

function clusterSnapshot(registry: Registry, cluster: NodeCluster | undefined): ClusterSnapshot {
  return {
    ...registry.view.counts(),
    groups: registry.groups.nodes.set.counts,
    peers: cluster?.peers ?? [],
    strangersRefused: cluster?.strangersRefused ?? new Map(),
  };
}
