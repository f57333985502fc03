/** Limits of a cluster: its members, joining, the placement of replicas, leaderships. */

/** Members of a cluster. */
export const CLUSTER_NODES_MAX = 64;
/** Members of a cluster: their ids and addresses must fit a control frame. */
export const MEMBERS_MAX = 1_024;
/** Bytes of the name of a zone or a host: those of a DNS label. */
export const MEMBER_NAME_BYTES_MAX = 63;
/** Characters of the name of who asked for a departure: a SPIFFE URI. */
export const DEPARTURE_DETAIL_MAX = 2_048;
/** The time for which the replicas of a departing node wait until it has handed over what it leads, ms. */
export const DEPARTURE_LEADERS_MS_MAX = 30_000;
/** The time for which a node must be silent for its departure not to wait for it, ms. */
export const DEPARTURE_SILENT_MS = 5_000;
/** The time for which a node may be silent until its replicas move to others, ms: longer than a restart. */
export const NODE_SILENT_MS_MAX = 600_000;
/** Replica ids assigned by one command: those of all partitions for one step of a usual plan. */
export const REPLICAS_ASSIGNED_MAX = 1_024;
/** Replicas that exist at once: three of each of 8,192 partitions, and as many in the middle of a move. */
export const REPLICAS_MAX = 65_536;
/** Replicas in one placement: seven voters, all being replaced at once, and a learner. */
export const PLACED_REPLICAS_MAX = 15;
/** Requests per second on a stream of another node, which has one for all its requests. */
export const NODE_REQUESTS_PER_SECOND = 100_000;
/** Requests that another node may send in a burst above that. */
export const NODE_REQUESTS_BURST = 100_000;
/** Requests to one other node in flight: those of all sessions that write here. */
export const NODE_REQUESTS_IN_FLIGHT_MAX = 4_096;
/** The interval at which requests to other nodes are checked for their deadlines, ms. */
export const NODE_REQUESTS_LOOK_MS = 100;
/** The delay before a node describes itself to the leader of group 0 again, ms. */
export const ANNOUNCE_RETRY_MS = 500;
/** The time limit of a node's attempts to join, ms. */
export const JOIN_MS_MAX = 60_000;
/** The delay between attempts to join, ms. */
export const JOIN_RETRY_MS = 500;
/** The interval at which the members that a node dials are compared with group 0, ms. */
export const MEMBERS_LOOK_MS = 200;
/** Time without a leader of group 0 after which a node asks another one for the members, ms. */
export const MEMBERS_ASK_MS = 1_000;
/** Voters of group 0: two of them may be lost. */
export const SYSTEM_VOTERS_MAX = 5;
/** The interval at which a node compares its replicas with the placement while something moves, ms. */
export const PLACEMENT_LOOK_MS = 100;

/** The same while nothing moves, ms. */
export const PLACEMENT_CALM_MS = 400;

/** The same for a node that is the only member, ms; a node that joins hurries it. */
export const PLACEMENT_ALONE_MS = 15_000;
/** Partitions that move at the same time: their joint configurations cost two quorums a write. */
export const PLACEMENT_MOVES_AT_ONCE = 512;
/** The same while nodes depart: nobody waits for it, and callers must not notice. */
export const DEPARTURE_MOVES_AT_ONCE = 16;
/** Groups that this node reconfigures at the same time. */
export const RECONFIGURATIONS_AT_ONCE = 256;
/** Delay after which a request is repeated that not all members' programs know, ms. */
export const VERSION_RETRY_MS = 500;
/** The interval at which leaderships are spread, ms. */
export const LEADER_BALANCE_MS = 500;
/** The time without an arrival or a loss of a node after which leaderships are spread, ms. */
export const LEADER_BALANCE_CALM_MS = 2_000;
/** The time for which a log takes no writes before its node hands its leaderships over, ms. */
export const LEADER_UNWRITABLE_MS = 500;
/** The time for which a node that stops tries to hand its leaderships over, ms; others wait to be elected. */
export const STOP_HANDOVER_MS_MAX = 3_000;
/** The interval at which a node that stops looks whether it has handed all over, ms. */
export const STOP_HANDOVER_LOOK_MS = 20;
/** The difference between two nodes' numbers of leaderships that is left alone, as a part of a share. */
export const LEADER_BALANCE_TOLERANCE = 0.05;
/** Leaderships handed over at once by one node: each stops its group's writes for a round trip. */
export const LEADER_TRANSFERS_AT_ONCE = 64;
/** The same of a node that departs, which has time. */
export const DEPARTURE_TRANSFERS_AT_ONCE = 16;
/**
 * Delay between a change of placement and the push of the ring map to all sessions, ms, and what each
 * session adds to it: a map of 1,024 partitions has about 40 KB, so pushes stay below 10 MB/s. Until
 * then clients follow hints.
 */
export const RING_PUSH_MS = 1_000;
export const RING_PUSH_SESSION_MS = 4;
/** Partitions that a status names; it tells how many more there are. */
export const PARTITIONS_NAMED_MAX = 32;
/** The interval at which a node looks for changes of its cluster to log, ms. */
export const CLUSTER_LOG_LOOK_MS = 1_000;
/** The shortest time between two lines about leaderships, ms: changes between them are summed. */
export const CLUSTER_LOG_PAUSE_MS = 10_000;
/** The interval at which partitions without a leader are looked for, ms: twice that of an election. */
export const LEADERLESS_LOOK_MS = 5_000;
/** Partitions that a log line names. */
export const PARTITIONS_LOGGED_MAX = 8;
