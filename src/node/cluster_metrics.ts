/**
 * The metrics of a node's part in its cluster: its partitions, and its links to other nodes. Series are
 * bounded, as a cluster has at most 64 nodes and reasons are a closed set.
 */
import type { GroupCounts } from "../replication/group_counts.ts";
import type { PeerStatus } from "../replication/peers/peer_network.ts";
import { freshnessFamilies } from "./freshness_metrics.ts";
import { counter, type Family, gauge, type Sample, single } from "./metric_families.ts";

/** The counts of a node's part in its cluster. */
export interface ClusterSnapshot {
  /** Partitions of which this node holds a replica, that it leads, and that have no known leader. */
  readonly held: number;
  readonly leading: number;
  readonly leaderless: number;
  /** Partitions led here that have fewer reachable replicas than they should have. */
  readonly underReplicated: number;
  /** Members of the cluster. */
  readonly members: number;
  readonly groups: GroupCounts;
  /** The links to the other members. */
  readonly peers: readonly PeerStatus[];
  /** The number of sessions and requests of unknown nodes refused since the start, by reason. */
  readonly strangersRefused: ReadonlyMap<string, number>;
}

type Take = () => ClusterSnapshot | undefined;

/** Returns the metrics of a node's part in its cluster; without samples while there is none. */
export function clusterFamilies(snapshot: Take): readonly Family[] {
  return [
    ...partitionFamilies(snapshot),
    ...linkFamilies(snapshot),
    ...trafficFamilies(snapshot),
    ...freshnessFamilies(() => snapshot()?.groups.freshness),
  ];
}

function partitionFamilies(snapshot: Take): readonly Family[] {
  return [
    gauge("crs_cluster_members", "Members of the cluster.", one(snapshot, (of) => of.members)),
    gauge("crs_partitions", "Partitions of this node by state.", () => {
      const of = snapshot();
      if (of === undefined) return [];
      const { held, leading, leaderless, underReplicated } = of;
      return labelled("state", { held, leading, leaderless, under_replicated: underReplicated });
    }),
    counter(
      "crs_elections_total",
      "Elections that this node's replicas started.",
      one(snapshot, ({ groups }) => groups.elections),
    ),
    counter(
      "crs_leaderships_total",
      "Leaderships that this node's replicas took up (won) and that ended (lost).",
      () => {
        const groups = snapshot()?.groups;
        if (groups === undefined) return [];
        return labelled("change", { won: groups.leadsWon, lost: groups.leadsLost });
      },
    ),
  ];
}

function linkFamilies(snapshot: Take): readonly Family[] {
  return [
    gauge(
      "crs_peer_connected",
      "1 while there is a session with the node.",
      byPeer(snapshot, ({ isConnected }) => Number(isConnected)),
    ),
    gauge(
      "crs_peer_round_trip_seconds",
      "Round trip of the last ping.",
      byPeer(snapshot, ({ roundTripMs }) => roundTripMs === undefined ? [] : roundTripMs / 1_000),
    ),
    gauge(
      "crs_peer_backlog_bytes",
      "Bytes of frames that the node has not read.",
      byPeer(snapshot, ({ backlogBytes }) => backlogBytes),
    ),
    counter(
      "crs_peer_sessions_total",
      "Sessions with the node that were established.",
      byPeer(snapshot, ({ counts }) => counts.sessions),
    ),
    counter(
      "crs_peer_dials_failed_total",
      "Attempts to dial the node that failed.",
      byPeer(snapshot, ({ counts }) => counts.dialsFailed),
    ),
    counter(
      "crs_peer_support_ended_total",
      "How often support ended: the node's for this one (received), this one's for it (given).",
      byPeer(
        snapshot,
        ({ counts }) =>
          labelled("side", { received: counts.supportLost, given: counts.supportWithdrawn }),
      ),
    ),
    counter(
      "crs_peer_rejected_total",
      "Sessions, messages and images of the node that were refused, by reason. leader_alive and " +
        "older_term are ordinary after an election.",
      byPeer(snapshot, ({ counts }) => samplesOf("reason", counts.rejected)),
    ),
    counter(
      "crs_strangers_refused_total",
      "Sessions at the port for other nodes that were refused before the node was known, by reason.",
      () => samplesOf("reason", snapshot()?.strangersRefused ?? new Map()),
    ),
  ];
}

function trafficFamilies(snapshot: Take): readonly Family[] {
  return [
    counter(
      "crs_peer_beats_total",
      "Beats of liveness, by direction.",
      byPeer(
        snapshot,
        ({ counts }) => labelled("direction", { out: counts.beatsOut, in: counts.beatsIn }),
      ),
    ),
    counter(
      "crs_peer_frames_total",
      "Frames of the groups, by direction; dropped: not sent, as the node could not be reached or " +
        "did not read.",
      byPeer(
        snapshot,
        ({ counts: { framesOut, framesIn, framesDropped } }) =>
          labelled("direction", { out: framesOut, in: framesIn, dropped: framesDropped }),
      ),
    ),
    counter(
      "crs_peer_bytes_total",
      "Bytes of frames and images, by direction.",
      byPeer(
        snapshot,
        ({ counts }) => labelled("direction", { out: counts.bytesOut, in: counts.bytesIn }),
      ),
    ),
    counter(
      "crs_peer_probes_total",
      "Frames with a probe of ages or an answer to one, by direction.",
      byPeer(
        snapshot,
        ({ counts }) => labelled("direction", { out: counts.probesOut, in: counts.probesIn }),
      ),
    ),
    counter(
      "crs_peer_probe_bytes_total",
      "Bytes of probes and their answers, by direction.",
      byPeer(
        snapshot,
        ({ counts }) =>
          labelled("direction", { out: counts.probeBytesOut, in: counts.probeBytesIn }),
      ),
    ),
    counter(
      "crs_peer_images_total",
      "Images that arrived whole, by direction; lost: sent and not known to have arrived.",
      byPeer(
        snapshot,
        ({ counts: { imagesOut, imagesIn, imagesLost } }) =>
          labelled("direction", { out: imagesOut, in: imagesIn, lost: imagesLost }),
      ),
    ),
  ];
}

function one(snapshot: Take, value: (of: ClusterSnapshot) => number): () => Sample[] {
  return () => {
    const of = snapshot();
    return of === undefined ? [] : single(value(of));
  };
}

/** Returns the samples of all links, with the node as a label. */
function byPeer(
  snapshot: Take,
  values: (peer: PeerStatus) => number | readonly Sample[],
): () => Sample[] {
  return () =>
    (snapshot()?.peers ?? []).flatMap((peer) => {
      const found = values(peer);
      const samples = typeof found === "number" ? single(found) : found;
      const labels = { peer: String(peer.node) };
      return samples.map((sample) => ({ ...sample, labels: { ...labels, ...sample.labels } }));
    });
}

function labelled(label: string, values: Readonly<Record<string, number>>): Sample[] {
  return samplesOf(label, Object.entries(values));
}

function samplesOf(label: string, values: Iterable<readonly [string, number]>): Sample[] {
  return Array.from(values, ([name, value]) => ({ labels: { [label]: name }, value }));
}
