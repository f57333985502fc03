/**
 * All limits of the registry, each with its reason. A queue, frame, batch, retry or timer without a
 * limit in this file is unbounded, which is a defect.
 */

// Frames and streams.

/** Request frame from a client: 1,000 renewals take 40 KB, so several such batches fit. */
export const REQUEST_FRAME_BYTES_MAX = 256 * 1024;
/** Response frame: a page of 1,000 records of 200 bytes fits with room to spare. */
export const RESPONSE_FRAME_BYTES_MAX = 1024 * 1024;
/** Control frame of a server: a ring map of 8,192 placements of three replicas fits. */
export const CONTROL_FRAME_BYTES_MAX = 1024 * 1024;
/** Segments accepted per message from foreign writers; our own writers use one. */
export const FRAME_SEGMENTS_MAX = 16;
/** Pointer nesting in one message; no schema of the project nests deeper than 8. */
export const POINTER_DEPTH_MAX = 16;
/** Traversal steps allowed per word of a message: enough to read a valid one several times. */
export const TRAVERSAL_STEPS_PER_WORD = 16;
/** Traversal steps allowed for even the smallest message, so that a record can be read often. */
export const TRAVERSAL_STEPS_MIN = 1_024;
/** Size of one encoded segment: far above every frame and record. */
export const SEGMENT_BYTES_MAX = 64 * 1024 * 1024;

// Records.

/** Shortest lease, ms: below it renewals would cost more than the liveness they prove is worth. */
export const TTL_MS_MIN = 5_000;
/** Default lease, ms. */
export const TTL_MS_DEFAULT = 30_000;
/** Longest lease, ms: one day. */
export const TTL_MS_MAX = 86_400_000;
/** Longest domain name (RFC 1035 §2.3.4), without the trailing dot. */
export const DOMAIN_BYTES_MAX = 253;
/** Longest label of a domain name (RFC 1035 §2.3.4). */
export const DOMAIN_LABEL_BYTES_MAX = 63;
/** Longest region name. */
export const REGION_BYTES_MAX = 63;
/** Labels per record. */
export const LABELS_MAX = 16;
/** Size of a label's key, and of its value. */
export const LABEL_KEY_BYTES_MAX = 63;
export const LABEL_VALUE_BYTES_MAX = 255;
/**
 * Total size of the keys and values of a record's labels: 16 of the longest, or fewer sealed ones.
 */
export const LABELS_BYTES_MAX = LABELS_MAX * (LABEL_KEY_BYTES_MAX + LABEL_VALUE_BYTES_MAX);
/** Size of a credential hash: up to SHA-512. */
export const CREDENTIAL_HASH_BYTES_MAX = 64;
/** Size of a record's stored form; a record at all limits above stays below it. */
export const RECORD_BYTES_MAX = 8_184;
/** Superseded processes remembered per record, and for how long they are refused, ms. */
export const SUPERSEDED_PROCESSES_MAX = 4;
export const SUPERSEDED_MS = 600_000;
/** Retention of a removed record's process and sequence, to refuse delayed duplicates, ms. */
export const TOMBSTONE_MS = 600_000;

// Time.

/** Length of a logged cover, in leases: a renewal that ends inside the cover costs no log entry. */
export const COVER_TTLS = 2;
/**
 * Maximum drift of a monotonic clock, parts per million; two clocks diverge by up to twice that.
 */
export const CLOCK_DRIFT_PPM = 500;

// Requests.

/** Items of one RegisterMany, RenewMany and ResolveMany. */
export const RENEW_ITEMS_MAX = 4_096;
export const REGISTER_ITEMS_MAX = 512;
export const RESOLVE_ITEMS_MAX = 256;
/** Records per page, and per ResolveGateways. */
export const LIST_ITEMS_MAX = 1_000;
export const RESOLVE_GATEWAYS_MAX = 256;
/** Default and maximum timeout of a request, ms. */
export const REQUEST_TIMEOUT_MS_DEFAULT = 5_000;
export const REQUEST_TIMEOUT_MS_MAX = 60_000;

// Groups.

/** Commands per group waiting for the disk; above it new ones are refused with a retry hint. */
export const GROUP_PROPOSALS_MAX = 8_192;

/** Reads per group waiting for permission; above it new ones are refused with a retry hint. */
export const GROUP_READS_MAX = 8_192;
/** Retry hint when the limit on waiting commands or reads is reached, ms. */
export const GROUP_RETRY_MS = 50;
/** Delay after which a follower repeats an unanswered read request to its leader, ms. */
export const GROUP_READ_AGAIN_MS = 300;
/** Rounds of work per group and turn, so that no group delays the others. */
export const GROUP_ROUNDS_MAX = 16;

/** Age at which a record that is not durable means a stuck disk, ms: the node stops leading. */
export const STALL_MS = 1_000;
/** Ticks between the elections of two replicas of a group whose leader has lost support. */
export const RANK_TICKS = 3;

/** Raft tick of active groups, ms. */
export const RAFT_TICK_MS = 100;
/** Ticks without a leader before a replica campaigns, randomized up to twice as many: 1 to 2 s. */
export const RAFT_ELECTION_TICKS = 10;
/** Ticks between heartbeats: five fit into the shortest election timeout. */
export const RAFT_HEARTBEAT_TICKS = 2;
/** Entries a replica keeps in memory for lagging followers; beyond that an image costs no more. */
export const REPLICA_LOG_BYTES = 128 * 1024;
/** The same limit while a follower catches up with the entries, or they are not applied yet. */
export const REPLICA_LOG_BYTES_MAX = 8 * 1024 * 1024;

/** Size at which a frame to another node is closed. */
export const PEER_FRAME_BYTES = 1024 * 1024;
/** Largest frame to another node: one entry of the largest size, with room to spare. */
export const PEER_FRAME_BYTES_MAX = 8 * 1024 * 1024;
/** Messages per frame between nodes: several for each group. */
export const PEER_MESSAGES_MAX = 32_768;
/** Bytes sent to one node in one turn; messages beyond it count as lost. */
export const PEER_TURN_BYTES_MAX = 64 * 1024 * 1024;
/** Images in transfer from one node to others, in total. */
export const PEER_IMAGES_AT_ONCE = 4;
/** Largest image accepted from another node: a partition of several million records. */
export const PEER_IMAGE_BYTES_MAX = 1024 * 1024 * 1024;
/** Interval of pings on a session between two nodes, ms, and of the keep-alives of its transport. */
export const PEER_PING_MS = 1_000;
/** Silence after which a session between two nodes is given up, ms: three pings. */
export const PEER_SILENCE_MS = 3_000;
/** Time for which a process answers a ping, ms, before another process may take its node number. */
export const PEER_PROBE_MS = 500;
/**
 * Time for which a node is dialed, ms: QUIC sends its first packet again after 1 s, and a node that
 * starts meanwhile is reached by the next attempt at the latest.
 */
export const PEER_DIAL_MS = 2_000;
/** Longest delay before the first attempt to dial a node again, ms; doubled with each failure. */
export const PEER_REDIAL_MS = 50;
/** The same after many failures: a node that returns is reached within a second. */
export const PEER_REDIAL_MS_MAX = 1_000;
/** Frames queued for a node that does not read, bytes: 0.2 s of a link of 100 MB/s. */
export const PEER_BACKLOG_BYTES_MAX = 16 * 1024 * 1024;
/** Size of one write of queued frames: larger writes cost no less per byte. */
export const PEER_WRITE_BYTES = 256 * 1024;
/** Control frame between nodes: the largest is a hello. */
export const PEER_CONTROL_BYTES_MAX = 4_096;
/** Header of an image between nodes: one message without data, which may name 64 members. */
export const PEER_IMAGE_HEADER_BYTES_MAX = 64 * 1024;
/** Images that one node may be sending to another at once; the others have places left. */
export const PEER_IMAGES_IN_PER_NODE_MAX = 2;
/** Streams of operations that one node may have open on another. */
export const PEER_REQUEST_STREAMS_MAX = 4;
/** Members of a cluster. */
export const CLUSTER_NODES_MAX = 64;

// Transport.

/** Sessions per listener: at 25 KB each they take half a gigabyte. */
export const SESSIONS_MAX = 20_000;
/**
 * Sessions per remote address (IPv6: per /64), loopback excepted. Four machines of some 250 pods
 * each behind one NAT fit, and filling a node takes twenty addresses.
 */
export const SESSIONS_PER_ADDRESS_MAX = 1_024;
/** Ready sessions not yet accepted: a burst during one turn of the process. */
export const SESSIONS_BACKLOG_MAX = 1_024;
/**
 * Streams per session, both sides together: control, a few for requests, peer, some for bulk data.
 */
export const STREAMS_PER_SESSION_MAX = 16;
/**
 * Unidirectional streams that a peer may open: HTTP/3 needs three (RFC 9114 §6.2), the others allow
 * for reserved types (§6.2.3). Only the beginning of each is read, and each holds up to 1.25 MB.
 */
export const UNIDIRECTIONAL_STREAMS_MAX = 8;
/** First bytes of an HTTP/3 stream, SETTINGS or a request: browsers send a few hundred. */
export const HTTP3_START_BYTES_MAX = 4_096;
/**
 * Delay between the close of a WebTransport session and that of its connection, ms: a peer that
 * closes both gives its reason with the second.
 */
export const WEBTRANSPORT_END_MS = 100;
/** Handshakes in progress, some 50 KB each: more than two cores complete in a second. */
export const HANDSHAKES_MAX = 2_048;
/**
 * QUIC or TLS connections that one address may start per second, as a share of the sessions it may have (64
 * of 1,024), after a burst of all of them: a fleet behind one NAT reconnects at once, and an
 * unauthenticated client then costs a tenth of a core.
 */
export const CONNECTION_RATE_SHARE = 1 / 16;
/** Addresses whose rate is tracked, some 200 bytes each. */
export const CONNECTION_RATE_ADDRESSES_MAX = 8_192;
/** Concurrent TLS connections that are accepted only to be refused for lack of room. */
export const REFUSALS_MAX = 64;
/** Interval of checking a TCP address that accepted nothing, ms. */
export const ACCEPT_LOOK_MS = 5_000;
/** Connections between two checks that bring the next check forward. */
export const ACCEPT_BURST = 32;
/** Time for the connection of such a check, ms: it goes over loopback. */
export const ACCEPT_PROBE_MS = 250;
/** Delay after a check that failed, ms; doubled with each failed bind, up to ten minutes. */
export const ACCEPT_RETRY_MS = 500;
export const ACCEPT_LOOK_MS_MAX = 600_000;
/** Maximum duration of a TLS handshake, and of a following HTTP/3 upgrade, ms: five round trips. */
export const HANDSHAKE_MS_MAX = 5_000;
/** Maximum time from a stream's first byte to its complete preface, ms: a preface is one packet. */
export const PREFACE_MS_MAX = 5_000;
/** Default timeout for connecting, ms. */
export const DIAL_MS_MAX = 5_000;
/** Keep-alive interval and idle timeout of a client's session, ms. */
export const CLIENT_KEEP_ALIVE_MS = 15_000;
export const CLIENT_IDLE_MS = 45_000;
/**
 * Time for pending writes when a session says goodbye, ms, so that a stuck peer cannot delay us.
 */
export const GOODBYE_WRITES_MS_MAX = 1_000;
/**
 * Time for the last bytes in flight after that, unless the peer closes first, ms. Closing a QUIC
 * connection discards whatever the peer has not acknowledged: this covers several round trips of a
 * path between continents and the scheduling delays of a loaded machine. A peer that follows the
 * protocol closes as soon as it has read the goodbye.
 */
export const GOODBYE_LINGER_MS = 1_000;
/**
 * The same for a session that ends without replies in flight, or whose peer must not keep it: the
 * code of the close says the same as a goodbye frame that does not arrive.
 */
export const REFUSAL_LINGER_MS = 50;
/** Unread bytes in flight per TLS stream; 16 streams make 8 MB per session. */
export const TLS_STREAM_WINDOW_BYTES = 512 * 1024;
/**
 * Payload of one frame over TLS: four TLS records, so that no stream delays the others for long.
 */
export const TLS_FRAME_BYTES_MAX = 64 * 1024;
/**
 * Output queued for sending over TLS: data stays far below it, so a peer above it is not reading.
 */
export const TLS_OUTPUT_BYTES_MAX = 4 * 1024 * 1024;
/** Size of a close message: it must fit one packet of 1,200 bytes in any script. */
export const CLOSE_MESSAGE_BYTES_MAX = 256;

// The shared log and its images.

/** Alignment of batches, the size of a disk page: a search after damage looks only there. */
export const WAL_PAGE_BYTES = 4_096;
/** Data of one entry: a RegisterMany of 512 records of the largest size, with room to spare. */
export const WAL_ENTRY_BYTES_MAX = 6 * 1024 * 1024;
/** Payload of a record: the largest entry, or a segment header of 8,193 groups with images. */
export const WAL_PAYLOAD_BYTES_MAX = 8 * 1024 * 1024;
/** Size at which a batch is closed: writing it takes a few ms. */
export const WAL_BATCH_BYTES = 2 * 1024 * 1024;
/**
 * Bytes submitted and not yet durable, about a second of disk writes; above it appends are refused.
 */
export const WAL_PENDING_BYTES_MAX = 64 * 1024 * 1024;
/** Buffers of batches kept for reuse: one batch is committed while the next one is gathered. */
export const WAL_SPARE_BATCHES_MAX = 2;
/**
 * Size of a segment: small enough to be freed often, large enough to make its creation negligible.
 */
export const WAL_SEGMENT_BYTES = 64 * 1024 * 1024;
/** Size of the log on disk above which compaction runs: its replay takes about a second. */
export const WAL_SOFT_BYTES = 128 * 1024 * 1024;
/**
 * Size of the log on disk at which appends are refused: 16 times the soft limit, to let compaction
 * catch up.
 */
export const WAL_HARD_BYTES = 2 * 1024 * 1024 * 1024;
/** Zeros written ahead of the log, so that a sync need not wait for the file system's journal. */
export const WAL_PREALLOCATE_BYTES = 2 * 1024 * 1024;
/** Idle time without a write, ms, after which a watermark is written. */
export const WAL_IDLE_MS = 200;
/**
 * Minimum pause between two updates of the mark beside the log under load, ms: each update is a
 * write and a sync of one sector. If a power cut takes the tail mark, a loss of entries that were
 * acknowledged during the pause may go undetected.
 */
export const WAL_MARK_MS = 100;
/** Minimum pause as a multiple of the duration of the last update, to keep a slow disk free. */
export const WAL_MARK_REST = 10;
/** Interval of probing for free space on a full disk, ms. */
export const WAL_PROBE_MS = 500;
/** Retry hint when the log is near its hard limit or too much is pending, ms. */
export const WAL_RETRY_MS = 200;
/** Size of a recovery read: large enough that the disk streams. */
export const WAL_READ_BYTES = 8 * 1024 * 1024;
/** Size of one chunk of an image, and of one write of it. */
export const IMAGE_CHUNK_BYTES_MAX = 4 * 1024 * 1024;
export const IMAGE_WRITE_BYTES = 1024 * 1024;
/** Size of a group's configuration in an image: about a hundred members. */
export const IMAGE_CONFIGURATION_BYTES_MAX = 64 * 1024;
/** Live bytes of a group in the oldest segment up to which they are moved instead of imaged. */
export const RELOCATE_BYTES_MAX = 16 * 1024;
/**
 * Size of one read from a segment being moved while requests are served: about a millisecond of
 * work.
 */
export const RELOCATE_READ_BYTES = 512 * 1024;
/**
 * Interval of checking the log's size, ms: the gap between soft and hard limit lasts for seconds.
 */
export const COMPACTION_POLL_MS = 500;
/** Images written concurrently: their syncs wait for the disk together. */
export const IMAGES_AT_ONCE = 4;
/** Pause of compaction between two groups, ms, to let other turns run. */
export const COMPACTION_PAUSE_MS = 2;

// Liveness of nodes.

/** Interval of beats to one node, ms: five may be lost before a support of `SUPPORT_MS` expires. */
export const BEAT_MS = 300;
/**
 * Duration of the support granted in reply to a beat, ms. Part of the format: a restarted node
 * waits as long as any earlier version may have promised, so a change needs a new format.
 */
export const SUPPORT_MS = 2_000;
/**
 * Undetected divergence of wall and monotonic clock, ms: adjustments of a wall clock are mostly
 * smaller, and a suspended machine sleeps longer.
 */
export const CLOCK_JUMP_MS = 100;
/**
 * Rate of divergence of wall and monotonic clock that is not treated as a jump, parts per million.
 */
export const CLOCK_SLEW_PPM = 2 * CLOCK_DRIFT_PPM;
/**
 * Margin subtracted from every lease, ms: for undetected clock divergence and clocks that count
 * whole ms.
 */
export const LEASE_MARGIN_MS = 150;
/** Age up to which the echo of a beat proves that we are heard, ms: three beats and a way back. */
export const ECHO_MS_MAX = 1_000;
/** Delay between two clock checks that means this node was paused, ms. */
export const TURN_LATE_MS = 1_000;
/**
 * Beats per node whose send time is remembered: those of one support and their replies, with room.
 */
export const BEATS_REMEMBERED = 64;
/** Groups named in one beat, of each kind: 16 KB of its frame; more go with the next beat. */
export const BEAT_GROUPS_MAX = 1_024;
/**
 * Interval after which promises counted differently by both sides are requested again, even if
 * neither changed, ms.
 */
export const ASK_AGAIN_MS = 5_000;
/** Nodes known to one node in one run: a withdrawal of support from a node is never forgotten. */
export const LIVENESS_PEERS_MAX = 4_096;

// Consensus.

/** Size of one append's entries: the cost of resending a lost one; a frame holds it. */
export const RAFT_APPEND_BYTES_MAX = 256 * 1024;
/** Appends in flight to one follower: a round trip of 10 ms at 25,000 appends/s. */
export const RAFT_INFLIGHT_MESSAGES_MAX = 256;
/** Size of their entries: the memory a slow follower may occupy at its leader. */
export const RAFT_INFLIGHT_BYTES_MAX = 8 * 1024 * 1024;
/** Size of a group's uncommitted proposals, so that the log stops growing without a quorum. */
export const RAFT_UNCOMMITTED_BYTES_MAX = 32 * 1024 * 1024;
/** Size of a group's committed entries on their way to its state machine: some ms of work. */
export const RAFT_APPLYING_BYTES_MAX = 2 * 1024 * 1024;
/** Reads per group waiting for a round of heartbeats, or for the term's first commit. */
export const RAFT_READS_PENDING_MAX = 16_384;
/** Terms by which a message may be ahead of its recipient: 256 generations of 2^32 terms. */
export const RAFT_TERM_AHEAD_MAX = 2 ** 40;
/** Members named in one configuration change. */
export const RAFT_CHANGES_MAX = 64;
/** Members of a cluster: their ids and addresses must fit a control frame. */
export const MEMBERS_MAX = 1_024;

/** Bytes of the name of a zone or a host: those of a DNS label. */
export const MEMBER_NAME_BYTES_MAX = 63;

/** Replica ids assigned by one command: those of all partitions for one step of a usual plan. */
export const REPLICAS_ASSIGNED_MAX = 1_024;

/** Replicas that exist at once: three of each of 8,192 partitions, and as many in the middle of a move. */
export const REPLICAS_MAX = 65_536;

/** Replicas in one placement: seven voters, all being replaced at once, and a learner. */
export const PLACED_REPLICAS_MAX = 15;

/** Replicas per group, including learners and both halves of a joint configuration. */
export const RAFT_MEMBERS_MAX = 64;

/** Requests per second of another node; each is on a stream of its own. */
export const NODE_REQUESTS_PER_SECOND = 100_000;

/** Requests that another node may send in a burst above that. */
export const NODE_REQUESTS_BURST = 100_000;

/** How often a node that is not described in group 0 as it is tells the leader again, ms. */
export const ANNOUNCE_RETRY_MS = 500;

/** How long a node tries to join before its start fails, ms. */
export const JOIN_MS_MAX = 60_000;

/** The delay between attempts to join, ms. */
export const JOIN_RETRY_MS = 500;

/** How often the members that a node dials are compared with group 0, ms. */
export const MEMBERS_LOOK_MS = 200;

/** Voters of group 0: two of them may be lost. */
export const SYSTEM_VOTERS_MAX = 5;

/** How often a node compares its part of the placement with group 0, ms. */
export const PLACEMENT_LOOK_MS = 100;

/** Partitions that move at the same time: their joint configurations cost two quorums a write. */
export const PLACEMENT_MOVES_AT_ONCE = 512;

/** Groups that this node reconfigures at the same time. */
export const RECONFIGURATIONS_AT_ONCE = 256;

/** How often leaderships are spread, ms. */
export const LEADER_BALANCE_MS = 500;

/** For how long no node must have come or gone before leaderships are spread, ms. */
export const LEADER_BALANCE_CALM_MS = 2_000;

/** The difference between two nodes' numbers of leaderships that is left alone, as a part of a share. */
export const LEADER_BALANCE_TOLERANCE = 0.05;

/** Leaderships handed over at once by one node: each stops its group's writes for a round trip. */
export const LEADER_TRANSFERS_AT_ONCE = 64;

// The store.

/** Size of a memory allocation: large enough that few are needed, small enough to waste little. */
export const ARENA_CHUNK_BYTES = 4 * 1024 * 1024;
/** Regions with live records at the same time: a region's number takes 12 bits of a slot. */
export const REGIONS_INTERNED_MAX = 4_095;
/** Resolution of the leader's lease times, ms: it delays an expiry by at most this much. */
export const LEASE_TICK_MS = 250;
/** Time for which extensions are gathered, ms, so that one log entry serves many renewals. */
export const EXTEND_GATHER_MS = 1_000;
/** Items per extend command: 160 KB in the log. */
export const EXTEND_ITEMS_MAX = 4_096;
/** Items per expire command, so that applying one never takes long. */
export const EXPIRE_ITEMS_MAX = 256;
/** Delay after which an expiry without effect is proposed again, ms. */
export const EXPIRE_RETRY_MS = 2_000;
/** Tombstones dropped per entry: more than one entry can create, so that they cannot accumulate. */
export const FORGET_PER_ENTRY_MAX = 2 * EXPIRE_ITEMS_MAX;
/** Maximum group time, ms: 8,900 years; sums with leases stay exact. */
export const GROUP_TIME_MS_MAX = 2 ** 48;
/** Approximate size of an image's chunk. */
export const IMAGE_CHUNK_BYTES = 64 * 1024;

// Streams of the node that carry requests.

/** Read buffer of an idle stream: a get fits; after a full read the next buffer is larger. */
export const IDLE_READ_BYTES = 256;
/** Read buffer of a busy stream: a larger one yields no more frames per wakeup. */
export const STREAM_READ_BYTES_MAX = 64 * 1024;
/**
 * Unread replies per session: above `HIGH` the session is not served until they fall below `LOW`.
 */
export const REPLY_BACKLOG_BYTES_HIGH = 512 * 1024;
export const REPLY_BACKLOG_BYTES_LOW = 128 * 1024;
/** Maximum replies gathered by one stream: those of requests already in progress, and pages. */
export const REPLY_BACKLOG_BYTES_MAX = 64 * 1024 * 1024;
/**
 * Size of one write of replies: a peer that takes it within `PEER_STALL_MS` is slow but not stuck.
 */
export const REPLY_WRITE_BYTES_MAX = 256 * 1024;
/**
 * Unread replies and unfinished frames held by the node in total; above it the largest holder is
 * closed.
 */
export const NODE_HELD_BYTES_MAX = 64 * 1024 * 1024;
/** The same limit per identity: 16 sessions that do not read, or 64 large requests. */
export const IDENTITY_HELD_BYTES_MAX = 16 * 1024 * 1024;
/** Time without progress in reading replies or finishing a frame that ends a session, ms. */
export const PEER_STALL_MS = 15_000;
/** Interval of checking streams that hold data, ms. */
export const STALL_LOOK_MS = 1_000;
/** Time for lists per turn, ms: the longest that another request waits for them. */
export const LIST_TURN_MS = 1;
/** Lists per session waiting for their turn; above it the session's requests are not read. */
export const LISTS_WAITING_MAX = 64;
/** Unanswered requests per stream; above it new ones are refused with a retry hint. */
export const REQUESTS_IN_FLIGHT_MAX = 4_096;
/** Maximum time from a session's first stream to its Hello, ms. */
export const HELLO_MS_MAX = 5_000;
/** Cache time of a negative answer, ms: shorter than anybody waits for a new agent. */
export const NEGATIVE_CACHE_MS = 1_000;
/** Bytes of records after which a page ends: with its receipts it fits a response frame. */
export const LIST_PAGE_BYTES = 512 * 1024;
/** Control frame from a client: clients send only Hello and Goodbye. */
export const HELLO_BYTES_MAX = 4_096;

// The client.

/** Requests in flight per connection: as many as 12 bits of a request id distinguish. */
export const CLIENT_IN_FLIGHT_MAX = 4_096;
/** Default of the same: keeps a connection busy at 150,000/s and a round trip of 6 ms. */
export const CLIENT_IN_FLIGHT_DEFAULT = 1_024;
/** Calls waiting for a slot, a connection or their next attempt; above it: `overloaded`. */
export const CLIENT_WAITING_MAX = 16_384;
/** Retry hint when that limit is reached, ms. */
export const CLIENT_WAITING_RETRY_MS = 100;
/** Bytes queued behind a write in progress above which calls wait: some ms of a slow link. */
export const CLIENT_OUTBOX_BYTES = 1024 * 1024;
/** Read buffer: an idle connection posts the minimum, a busy one grows to the maximum. */
export const CLIENT_READ_BYTES_MIN = 1_024;
export const CLIENT_READ_BYTES_MAX = 64 * 1024;
/** Number of turns over which due replies are read, so that client and server work concurrently. */
export const CLIENT_READ_SHARES = 6;
/** Resolution of deadlines and retries, ms: one timer per connection, not one per call. */
export const CLIENT_TICK_MS = 10;
/** Back-off of a repeated request, ms: full jitter up to base × 2^attempt, at most the cap. */
export const CLIENT_RETRY_MS_BASE = 25;
export const CLIENT_RETRY_MS_CAP = 1_000;
/**
 * Back-off of a new connection, ms, by the same rule, so that a fleet does not reconnect at once.
 */
export const CLIENT_RECONNECT_MS_BASE = 100;
export const CLIENT_RECONNECT_MS_CAP = 10_000;
/**
 * Timeout of the first attempt to connect, ms; it doubles with each further attempt up to
 * `DIAL_MS_MAX`. Packets to a server that is just restarting are lost, and a new attempt comes
 * sooner than a resend.
 */
export const CLIENT_ATTEMPT_MS_BASE = 1_000;
/** Lifetime of a connection, ms, that resets the count of failed attempts. */
export const CLIENT_STABLE_MS = 5_000;
/**
 * Time for which an abandoned request keeps its slot after its deadline, ms: the server still has
 * it.
 */
export const CLIENT_ABANDONED_MS = 1_000;
/**
 * Silence with requests in flight after which the server is probed, and after the same again given
 * up, ms.
 */
export const CLIENT_SILENCE_MS = 1_000;
/** The same where other nodes can answer instead, ms: waiting longer would only cost time. */
export const CLIENT_NODE_SILENCE_MS = 300;
/**
 * Time for a first connection to a node, ms, after which the calls for it are sent to others: as
 * long as a silent node takes to be given up.
 */
export const CLIENT_NODE_PATIENCE_MS = 2 * CLIENT_NODE_SILENCE_MS;
/** Nodes to which a client connects: those of the largest cluster. */
export const CLIENT_NODES_MAX = 64;
/** Time without calls after which the connection to a node is closed, ms. */
export const CLIENT_NODE_IDLE_MS = 60_000;
/**
 * Nodes asked at once for one call before it pauses: the leader, a node that knows a newer one, and
 * that one, with one to spare.
 */
export const CLIENT_HOPS_MAX = 4;
/** Minimum interval of fetching the ring map because nodes refused calls, ms. */
export const CLIENT_MAP_REFRESH_MS = 250;
/**
 * Delay between a change of placement and the push of the ring map to all sessions, ms, and what each
 * session adds to it: a map of 1,024 partitions has about 40 KB, so pushes stay below 10 MB/s. Until
 * then clients follow hints.
 */
export const RING_PUSH_MS = 1_000;
export const RING_PUSH_SESSION_MS = 4;
/** Time for a server that said goodbye to answer the requests in flight, ms. */
export const CLIENT_DRAIN_MS = 1_000;
/** Last known answers cached by a client, about 1 KB each. */
export const CLIENT_CACHE_ENTRIES_MAX = 4_096;
/** Leases per client: two renewal requests of the largest size a second at the shortest ttl. */
export const CLIENT_LEASES_MAX = 32_768;
/**
 * Back-off of failed renewals, ms, by the same rule. It is shared by all leases of a client, and
 * half of the shortest ttl is a second bound, so that a lease is renewed in time when the server
 * returns.
 */
export const CLIENT_RENEW_RETRY_MS_BASE = 1_000;
export const CLIENT_RENEW_RETRY_MS_CAP = 10_000;
/**
 * Expired leases that a client registers again concurrently, so that a returning registry is not
 * flooded.
 */
export const CLIENT_RECOVERIES_MAX = 32;
/** Stored bytes in one RegisterMany: its frame stays below the server's limit. */
export const CLIENT_REGISTER_BYTES_MAX = 192 * 1024;
/** Attempts of a claim after losing to a concurrent one. */
export const DOMAIN_CLAIM_TRIES_MAX = 4;
/** Minimum interval of checking leases, covers and the time of groups, ms. */
export const GROUP_TICK_MS = 100;
/**
 * Interval of checking for an outage of the node, ms. Up to this much of each outage may count as
 * time in which the node ran, which is far less than the grace that follows; four wakeups a second
 * cost nothing.
 */
export const AVAILABLE_PULSE_MS = 250;
/**
 * Minimum grace after an outage, ms: a client gives up a silent session after two times silence.
 */
export const OUTAGE_GRACE_MS_MIN = 2 * CLIENT_SILENCE_MS;
/**
 * Maximum grace, ms: a client that just began its longest back-off dials, and then its renewal is
 * served.
 */
export const OUTAGE_GRACE_MS_MAX = CLIENT_RECONNECT_MS_CAP + DIAL_MS_MAX +
  REQUEST_TIMEOUT_MS_DEFAULT;
/** Total grace for consecutive outages, ms: three of the longest; then time runs between them. */
export const OUTAGE_GRACE_CREDIT_MS = 3 * OUTAGE_GRACE_MS_MAX;
/** Partitions whose leases are checked in one turn: a few ms when each proposes something. */
export const LEASE_LOOKS_AT_ONCE_MAX = 256;
/** Bounds of the interval of logging the time of a group that has something to expire, ms. */
export const TIME_LOG_MS_MIN = 5_000;
export const TIME_LOG_MS_MAX = 60_000;
/**
 * Groups log their time together, at multiples of this, ms, so that a node syncs for it at most 12
 * times a minute.
 */
export const TIME_LOG_GATHER_MS = 5_000;
/** Time in which the janitor checks every alias once, ms. */
export const ALIAS_SWEEP_MS = 60_000;
/** Concurrent repairs of aliases, and pending claims remembered between two rounds. */
export const ALIAS_REPAIRS_MAX = 64;
export const ALIAS_SUSPECTS_MAX = 10_000;
/** Maximum time between two renewals, ms: the loss of a record is noticed within it. */
export const RENEW_AFTER_MS_MAX = 600_000;
/** Attempts of a register whose claim was revoked in the meantime. */
export const REGISTER_TRIES_MAX = 3;
/**
 * Agents of a removed gateway that are removed at once, so that other requests are served in
 * between.
 */
export const REMOVE_AGENTS_AT_ONCE = 256;
/**
 * Minimum interval of sampling the process's memory, ms: a burst of registrations adds at most 100
 * MB in it.
 */
export const MEMORY_SAMPLE_MS = 250;
/**
 * Interval at which a node compares the wall clock with the monotonic one, ms: what depends on the
 * wall clock is notified of a step within it.
 */
export const WALL_LOOK_MS = 2_000;
/** A difference of this much is a step of the wall clock, ms; NTP slews by 0.5 ms a second. */
export const WALL_STEP_MS = 1_000;

// Command line.

/**
 * Default time for a command to reach the named server, ms: two attempts. No runtime reports a UDP
 * port on which nobody listens.
 */
export const CLI_CONNECT_MS = 2_000;
/**
 * Consecutive refusals after which `crs … keep` gives up: one may come from a node that just
 * starts.
 */
export const KEEP_REFUSALS_MAX = 3;
/** Interval at which `crs … keep` repeats that renewals still fail, ms. */
export const KEEP_REMINDER_MS = 60_000;
/** File of one record read by the command line: many times the largest record as JSON. */
export const CLI_FILE_BYTES_MAX = 256 * 1024;
/** Gateways, agents and proxies of a demonstration: above it the machine itself is measured. */
export const DEMO_GATEWAYS_MAX = 200;
export const DEMO_AGENTS_MAX = 100_000;
export const DEMO_PROXIES_MAX = 1_000;

// Identity.

/**
 * Lifetime of a development server certificate, ms: 13 days, one day below the limit of pinning.
 */
export const SERVER_CERTIFICATE_LIFE_MS = 13 * 86_400_000;
/**
 * Lifetime of a development CA, ms: 10 years; replaced when it would expire before what it signs.
 */
export const DEVELOPMENT_CA_LIFE_MS = 3_650 * 86_400_000;
/** Backdating of certificates, ms, for clients whose clock is behind. */
export const CERTIFICATE_BACKDATE_MS = 3_600_000;
/**
 * Interval of checking the clock for a rotation, ms: clocks are adjusted, and a check costs
 * nothing.
 */
export const ROTATION_LOOK_MS = 30_000;
/** Delay before a failed rotation is retried, ms: a disk has space again within minutes. */
export const ROTATION_RETRY_MS = 60_000;
/** File of keys or certificates, or `node.json`: all are far smaller. */
export const IDENTITY_FILE_BYTES_MAX = 64 * 1024;
/** Addresses of one node: one per transport and address family. */
export const NODE_ADDRESSES_MAX = 16;
/**
 * Longest trust domain: a SPIFFE id with it and the longest region and role is within its own
 * limit.
 */
export const TRUST_DOMAIN_BYTES_MAX = 253;
/** Longest SPIFFE id: prefix, trust domain, region, role and UUID. */
export const SPIFFE_ID_BYTES_MAX = 400;
/** Size of a certificate: the largest issued, an agent's with all its grants, has some 9 KiB. */
export const CERTIFICATE_BYTES_MAX = 12 * 1024;
/** Certificates of a path, root included: root, one more CA of an organization, region, leaf. */
export const CERTIFICATE_PATH_MAX = 4;
/** Roots, and intermediates, of a trust store: two per region, and room for rotation. */
export const TRUST_AUTHORITIES_MAX = 128;
/** Extensions of a certificate; issued ones have at most eight. */
export const CERTIFICATE_EXTENSIONS_MAX = 16;
/** Names of a certificate, and subtrees of its name constraints. */
export const CERTIFICATE_NAMES_MAX = 32;
/** Domains and gateways that an identity may name; more are granted by a pattern. */
export const GRANT_DOMAINS_MAX = 32;
export const GRANT_GATEWAYS_MAX = 16;
/** Size of a certificate request: a key and a signature over it, some 200 bytes. */
export const CERTIFICATE_REQUEST_BYTES_MAX = 1024;
/** Lifetime of an identity's leaf, ms: one hour (design §8). */
export const IDENTITY_LIFE_MS = 3_600_000;
/** Backdating of an identity's leaf, ms, for peers whose clock is behind. */
export const IDENTITY_BACKDATE_MS = 300_000;
/** Minimum lifetime of an issued leaf, ms: its owner could hardly renew a shorter one in time. */
export const IDENTITY_LIFE_MS_MIN = 300_000;
/** Lifetime of a join token, ms: long enough to carry it to a new machine by hand. */
export const JOIN_TOKEN_LIFE_MS = 600_000;
/**
 * Default time after its expiry during which a leaf may still be renewed, ms: an outage of a day.
 */
export const RENEWAL_GRACE_MS_DEFAULT = 86_400_000;
/** The same for a node whose key is in the member list, ms: a cluster that was off for a month. */
export const MEMBER_RENEWAL_GRACE_MS_DEFAULT = 30 * 86_400_000;
/** Longest grace that can be configured, ms; intermediates are kept for as long. */
export const RENEWAL_GRACE_MS_MAX = 30 * 86_400_000;
/**
 * Bounds of the interval between attempts to renew, ms: half a leaf's life holds a hundred of them.
 */
export const RENEWAL_RETRY_MS_MIN = 1_000;
export const RENEWAL_RETRY_MS_MAX = 60_000;
/**
 * Remaining lifetime below which a certificate is renewed before it is presented, ms: it might
 * expire in the meantime.
 */
export const RENEWAL_SESSION_LEFT_MS_MIN = 30_000;
/** Time a due renewal waits for a client to connect, ms: as long as connecting may take. */
export const RENEWAL_SESSION_WAIT_MS = 5_000;
/**
 * Lifetime of a region's intermediate, ms; its successor is issued at half of it, so that they
 * overlap.
 */
export const INTERMEDIATE_LIFE_MS = 180 * 86_400_000;
/** Time for which the trust bundle must have carried an intermediate before it signs, ms. */
export const INTERMEDIATE_LEAD_MS = 3_600_000;
/** Longest lifetime of a server's TLS certificate, ms: browsers do not pin longer-lived ones. */
export const SERVER_CERTIFICATE_LIFE_MS_MAX = 14 * 86_400_000;
/** Size of a trust bundle: 256 CAs of 600 bytes and 1,024 servers of 350, in base64url. */
export const TRUST_BUNDLE_BYTES_MAX = 768 * 1024;
/** Servers of a trust bundle, and addresses of each: one per transport and address family. */
export const TRUST_SERVERS_MAX = 1_024;
export const TRUST_SERVER_ADDRESSES_MAX = 8;
/** Hosts that a node advertises: a member has room for 8 addresses, three per host. */
export const ADVERTISED_HOSTS_MAX = 2;
/** Longest lifetime of a certificate that signs trust bundles, ms: its key is not offline. */
export const BUNDLE_SIGNER_LIFE_MS = 90 * 86_400_000;
/**
 * Timeout of each stage of `registry-auth/1`, ms: a round trip around the earth, a resend, a busy
 * node.
 */
export const AUTH_STAGE_MS_MAX = 3_000;
/** Certificates of a chain in the handshake: leaf and CAs, without the root, which the peer has. */
export const AUTH_CHAIN_CERTIFICATES_MAX = CERTIFICATE_PATH_MAX - 1;
/** Size of that chain: the largest leaf, and CAs of some 600 bytes each. */
export const AUTH_CHAIN_BYTES_MAX = 16 * 1024;
/** Size of host and port as dialed: a name of 253 characters, brackets, a colon, five digits. */
export const AUTH_AUTHORITY_BYTES_MAX = 261;
/** Size of an ALPN protocol name: `crs`, `h3`, with room to spare. */
export const AUTH_ALPN_BYTES_MAX = 16;
/** Size of a token in the handshake, equal to the limit of tokens. */
export const AUTH_TOKEN_BYTES_MAX = 4 * 1024;
/** Unfinished handshakes of one node; above it the oldest is evicted: at most 40 MB. */
export const AUTH_HALF_OPEN_MAX = 2_048;
/** The same per address: as many clients behind one NAT may reconnect at once. */
export const AUTH_HALF_OPEN_PER_ADDRESS_MAX = 1_024;
/** Longest life of a session before its identity is proven again, ms: the lifetime of a leaf. */
export const AUTH_SESSION_MS_MAX = 3_600_000;
/**
 * Maximum interval of comparing a session's expiry with the wall clock, which may be adjusted, ms.
 */
export const SESSION_LIFE_CHECK_MS = 60_000;
/** Minimum interval of renewals of a session's proof, ms: each costs some signatures. */
export const AUTH_RENEW_MS_MIN = 500;
/** Delay before a failed renewal of a session's proof is retried, ms; also the minimum interval. */
export const AUTH_RENEW_RETRY_MS = 1_000;

/** Lifetime of a root, ms: its key is offline, and all that trust it must be given the next one. */
export const ROOT_LIFE_MS = 3_650 * 86_400_000;
/**
 * Allowed difference of a renewal request's time from the node's clock, ms: equal to a leaf's
 * backdating.
 */
export const RENEWAL_PROOF_MS = 300_000;
/**
 * Concurrent sessions that ask for a certificate without a proof; the oldest idle one is evicted.
 */
export const STRANGERS_MAX = 1_024;
/**
 * The same per address (IPv6: per /64), some 9 MB. A request takes milliseconds, so a site needs
 * few; a generous limit on idle ones spares the node the handshakes of clients that reconnect after
 * eviction.
 */
export const STRANGERS_PER_ADDRESS_MAX = 128;
/** Retry hint for an address at that limit, ms: the time of some requests. */
export const STRANGERS_RETRY_MS = 250;
/**
 * Lifetime of an unauthenticated client's session, ms: one request, with a few reads of group 0.
 */
export const STRANGER_SESSION_MS = 10_000;
/** Attempts of a decision on an identity that lost to a concurrent one. */
export const IDENTITY_DECISIONS_MAX = 8;
/** Validity of a trust bundle, ms; a new one is issued at half of it. */
export const TRUST_BUNDLE_LIFE_MS = 30 * 86_400_000;
/**
 * Interval at which a node checks whether bundle, token keys or its own certificate need work, ms.
 */
export const IDENTITY_CHECK_MS = 60_000;
/**
 * Interval at which a node reminds that the root must sign something, ms: there are weeks for it.
 */
export const ROOT_REMINDER_MS = 86_400_000;
/** Entries of group 0's audit log, 200 bytes each: 13 MB, some days of renewals. */
export const AUDIT_ENTRIES_MAX = 65_536;
/** Entries per page in an image: 100 KB, well below the limit of a message. */
export const AUDIT_PAGE_ENTRIES = 512;
/** Join tokens in group 0: a rollout of some thousands at once, 300 bytes each. */
export const JOIN_TOKENS_MAX = 16_384;
/** Lineages in group 0, 600 bytes each: 150 MB at the limit. */
export const LINEAGES_MAX = 262_144;
/** Size of a document of group 0: the trust bundle is the largest. */
export const DOCUMENT_BYTES_MAX = 768 * 1024;
/**
 * Size of a token, which is sent with each session: with the most useful grants it has some 2 KiB.
 */
export const TOKEN_BYTES_MAX = 4 * 1024;
/** Tokens with grants in group 0, 400 bytes each: half of all lineages at once, 52 MB. */
export const TOKEN_GRANTS_MAX = 131_072;
/** The same per lineage: a token every minute, each with the longest life. */
export const TOKEN_GRANTS_PER_LINEAGE_MAX = 16;
/** Retention of an ended grant, ms: records that depend on it end long before. */
export const TOKEN_GRANT_KEPT_MS = 86_400_000;
/**
 * Time by which a record outlives the token that granted it, ms: issuing the next token as the last
 * one expires takes a moment, and the clocks of issuer and leader differ.
 */
export const RECORD_GRANT_GRACE_MS = 10_000;
/** Interval at which a leader checks whether rights of its records have ended, ms. */
export const RECORD_RIGHTS_CHECK_MS = 1_000;
/** Interval of checking all bans and grants again, ms: a new leader may have missed one. */
export const RECORD_RIGHTS_ROUND_MS = 60_000;
/** Bans and grants checked per turn, some 2 µs each, so that requests are served in between. */
export const RECORD_RIGHTS_AT_ONCE = 1_024;
/** Longest lifetime of a token, ms: the window in which a stolen one can be used. */
export const TOKEN_LIFE_MS_MAX = 900_000;
/** Name of an issuer or audience: a SPIFFE id or a host, with room to spare. */
export const TOKEN_NAME_BYTES_MAX = 400;
/** Allowed lead of a token issuer's clock over the verifier's, ms: both follow a time service. */
export const TOKEN_SKEW_MS = 30_000;
/**
 * Keys that tokens are verified with at one time: one per rotation, and rotations are hours apart.
 */
export const TOKEN_KEYS_MAX = 8;
/**
 * Time for which a new token key is published before it signs, ms: verifiers fetch keys more often.
 */
export const TOKEN_KEY_LEAD_MS = 300_000;
/** Size of a published set of token keys: 8 keys of some 170 bytes, with room to spare. */
export const JWKS_BYTES_MAX = 4 * 1024;
/** Bans at one time, some 100 bytes each in group 0; every node holds all of them in memory. */
export const BANS_MAX = 100_000;
/** Bans per reply: at most 700 bytes each, well below the limit of a frame. */
export const BANS_PAGE_MAX = 512;
/**
 * Bans and stopped lineages listed for a node: all that group 0 can hold, so that none is ignored.
 */
export const LISTED_BANS_MAX = BANS_MAX + LINEAGES_MAX;
/** Sampling interval of logging refused identities, ms, so that clients cannot fill the disk. */
export const REFUSAL_SAMPLE_MS = 1_000;
/**
 * Reasons by which refused identities are counted separately: all existing ones, and room for more.
 */
export const REFUSAL_REASONS_MAX = 128;
/** Text of a ban's reason. */
export const BAN_REASON_BYTES_MAX = 255;
/** Value of a sealed label: four recipients of 250 bytes each, and the longest plain value. */
export const SEALED_LABEL_BYTES_MAX = 2_048;
/** Recipients of one sealed label: each adds 250 bytes to its record. */
export const SEALED_RECIPIENTS_MAX = 4;

// Operating a node.

/** Configuration file: a real one has some twenty lines. */
export const CONFIG_FILE_BYTES_MAX = 64 * 1024;
/** Characters of an invalid value shown in a configuration error. */
export const CONFIG_FOUND_CHARACTERS_MAX = 64;
/** Causes logged per error; longer chains are cut. */
export const LOG_ERROR_CAUSES_MAX = 4;
/** Regions with their own metrics; records of further ones are summed. */
export const METRICS_REGIONS_MAX = 256;
/** Places under which caught errors are counted; further ones are summed. */
export const METRICS_ERROR_STAGES_MAX = 64;
/** Request line and headers of an operator's request; a scrape sends some 300 bytes. */
export const OPS_HEADER_BYTES_MAX = 8 * 1024;
/** Timeout of receiving an operator's request, ms, and of an idle connection. */
export const OPS_REQUEST_MS_MAX = 5_000;
export const OPS_IDLE_MS_MAX = 30_000;
/** Interval of checking these timeouts, ms. */
export const OPS_CHECK_MS = 1_000;
/**
 * File descriptors that TLS connections leave free: for 64 connections of the operator's port, 64
 * connections that are only refused, segments and images of the log, timers and modules of the
 * runtime.
 */
export const DESCRIPTORS_KEPT = 256;
/** File descriptors that a node needs without any connection: an idle one has some 40 open. */
export const DESCRIPTORS_OF_NODE = 64;
/** Connections of the operator's port: a scraper, a probe and some people at the same time. */
export const OPS_CONNECTIONS_MAX = 64;
