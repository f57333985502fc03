/** The state of a node in which everything has happened, for tests of its metrics. */
import type { PullerState } from "../../schemas/gen/wire.ts";
import { nodeId } from "../../src/base/ids.ts";
import type { NodeSnapshot } from "../../src/node/metrics.ts";
import { WatchCounts } from "../../src/serving/watch/watch_counts.ts";
import { GroupCounts } from "../../src/replication/group_counts.ts";
import { PeerCounts } from "../../src/replication/peers/peer_counts.ts";
import type { PeerStatus } from "../../src/replication/peers/peer_network.ts";

/** Each number in it is another one, as far as that is possible. */
export const NODE_SNAPSHOT: NodeSnapshot = {
  ready: true,
  records: [
    { kind: "agent", region: "eu-1", count: 3 },
    { kind: "gateway", region: "eu-1", count: 1 },
  ],
  expiries: [{ kind: "agent", count: 2 }],
  stale: 7,
  expiryHolds: 1,
  permits: { granted: 40, denied: 60 },
  log: { bytes: 4096, segments: 2, appendedBytes: 999, appendedEntries: 9, poisoned: false },
  sessions: [{ transport: "quic", count: 5 }],
  streams: 11,
  renewals: 100,
  renewalsLogged: 4,
  refusals: new Map([["banned", 5], ["unknown_token", 6]]),
  held: { replies: 7, frames: 8 },
  sessionsEnded: new Map([["memory", 9]]),
  anonymous: { count: 2, evicted: 4 },
  delegations: { open: 28, refused: new Map([["unauthenticated", 29]]) },
  serviceRestarts: new Map([["front", 3]]),
  portsReopened: new Map([["tls", 1]]),
  connections: { refused: 6, waiting: 2, begun: 30, waitedMs: 1_500, overdue: 4 },
  writeQueue: { waiting: 3, waited: 20, waitedMs: 500 },
  handshakesRefused: new Map([["anonymous", 3]]),
  renewalsMisrouted: new Map([["not_leader", 40]]),
  watches: {
    counts: watchCounts(),
    subscriptions: 21,
    blocked: 22,
    lagMs: 2_500,
    historyBytes: 23,
  },
  regions: {
    regions: [{ name: "us-1", ageMs: 1_500, mirrors: 31 }, {
      name: "ap-1",
      ageMs: undefined,
      mirrors: 0,
    }],
    pullers: [puller(0, 400), puller(1, 0xffff_ffff)],
    counts: new Map([["us-1", { resyncs: 32, refused: 33, changes: 34, entries: 35 }]]),
    received: new Map([["us-1", 36]]),
  },
  governed: { version: 17, home: "us-1", contactAgeMs: 2_500, refused: 37 },
  cluster: {
    held: 1_024,
    leading: 341,
    leaderless: 2,
    underReplicated: 3,
    members: 3,
    groups: groupCounts(),
    peers: [linkTo(2, true), linkTo(3, false)],
    strangersRefused: new Map([["permission_denied", 4]]),
  },
};

/** Returns the state of a puller of us-1. */
function puller(shard: number, contactAgeMs: number): PullerState {
  return {
    ...{ fence: 1, shard, feed: 2, region: "us-1", state: "following", error: "" },
    ...{ ageMs: 1_500, contactAgeMs, lagEntries: 3, lagBytes: 100, resyncs: 1, refused: 2 },
    ...{ seenClusterId: new Uint8Array(16), seenGeneration: 0 },
  };
}

function watchCounts(): WatchCounts {
  const counts = Object.assign(new WatchCounts(), { watches: 24, events: 25, resets: 26 });
  counts.ended.set("canceled", 27);
  counts.partitionEnded("not_replica");
  return counts;
}

function groupCounts(): GroupCounts {
  const counts = new GroupCounts();
  for (const ageMs of [3, 18, 18, 700]) counts.freshness.served(ageMs);
  counts.freshness.missed("too_old", true);
  counts.freshness.missed("no_leader", false);
  return Object.assign(counts, { elections: 12, leadsWon: 350, leadsLost: 9 });
}

function linkTo(node: number, isConnected: boolean): PeerStatus {
  const counts = Object.assign(new PeerCounts(), {
    framesOut: 1_000 * node,
    framesIn: 2,
    bytesOut: 3,
    bytesIn: 4,
    framesDropped: 5,
    imagesOut: 6,
    imagesLost: 7,
    imagesIn: 8,
    sessions: 9,
    dialsFailed: 10,
  });
  counts.liveness("beatOut");
  for (let times = 0; times < 2; times++) counts.liveness("beatIn");
  for (let times = 0; times < 3; times++) counts.liveness("lost");
  for (let times = 0; times < 4; times++) counts.liveness("withdrawn");
  counts.reject("unknown_peer");
  counts.probe("out", 90);
  counts.probe("out", 100);
  counts.probe("in", 70);
  return {
    node: nodeId(node),
    isConnected,
    isWritable: true,
    version: undefined,
    program: undefined,
    remoteAddress: undefined,
    roundTripMs: isConnected ? 2 : undefined,
    backlogBytes: 11,
    counts,
  };
}
