/**
 * Every limit of the registry, with its reason. A queue, frame, batch, retry or timer that is not
 * bounded here is bounded by nothing, and so a defect.
 */

// Frames and streams.

/** A request frame from a client: 1,000 renewals take 40 KB, so a batch fits several times over. */
export const REQUEST_FRAME_BYTES_MAX = 256 * 1024;
/** A response frame: a page of 1,000 records of 200 bytes, with room. */
export const RESPONSE_FRAME_BYTES_MAX = 1024 * 1024;
/** A frame on the control stream: a ring map of 8,192 placements of three replicas fits. */
export const CONTROL_FRAME_BYTES_MAX = 1024 * 1024;
/** Segments accepted where foreign tools write; our own writers use one. */
export const FRAME_SEGMENTS_MAX = 16;
/** Nesting of pointers in one message; no schema of ours goes deeper than 8. */
export const POINTER_DEPTH_MAX = 16;
/** Steps that reading a message may cost, a word: an honest one is read several times over. */
export const TRAVERSAL_STEPS_PER_WORD = 16;
/** Steps that even the smallest message may cost, so that a record can be looked at often. */
export const TRAVERSAL_STEPS_MIN = 1_024;
/** The most bytes that one encoded segment may take: far above every frame and record. */
export const SEGMENT_BYTES_MAX = 64 * 1024 * 1024;

// Records.

/** Shortest lease, ms: below it renewals would cost more than what they prove. */
export const TTL_MS_MIN = 5_000;
/** Lease when none is asked for, ms. */
export const TTL_MS_DEFAULT = 30_000;
/** Longest lease, ms: a day. */
export const TTL_MS_MAX = 86_400_000;
/** Longest domain name (RFC 1035 §2.3.4), without the trailing dot. */
export const DOMAIN_BYTES_MAX = 253;
/** Longest part of a domain name between dots (RFC 1035 §2.3.4). */
export const DOMAIN_LABEL_BYTES_MAX = 63;
/** Longest region name. */
export const REGION_BYTES_MAX = 63;
/** Labels of one record. */
export const LABELS_MAX = 16;
/** Bytes of a label's key, and of its value. */
export const LABEL_KEY_BYTES_MAX = 63;
export const LABEL_VALUE_BYTES_MAX = 255;
/** All keys and values of a record's labels: sixteen of the longest, or fewer that are sealed. */
export const LABELS_BYTES_MAX = LABELS_MAX * (LABEL_KEY_BYTES_MAX + LABEL_VALUE_BYTES_MAX);
/** A credential hash: up to SHA-512. */
export const CREDENTIAL_HASH_BYTES_MAX = 64;
/** A record's stored form; all the limits above together stay below it. */
export const RECORD_BYTES_MAX = 8_184;
/** Processes remembered as superseded, and for how long they stay refused. */
export const SUPERSEDED_PROCESSES_MAX = 4;
export const SUPERSEDED_MS = 600_000;
/** For how long a removed record's process and sequence are kept against delayed duplicates. */
export const TOMBSTONE_MS = 600_000;

// Time.

/** The cover that is logged, in leases: a renewal that ends inside it costs no log entry. */
export const COVER_TTLS = 2;
/** How far a monotonic clock may run from true time, parts per million; two part by twice as much. */
export const CLOCK_DRIFT_PPM = 500;

// Requests.

/** Items of one RegisterMany, RenewMany or ResolveMany. */
export const RENEW_ITEMS_MAX = 4_096;
export const REGISTER_ITEMS_MAX = 512;
export const RESOLVE_ITEMS_MAX = 256;
/** Records of one page, and of one ResolveGateways. */
export const LIST_ITEMS_MAX = 1_000;
export const RESOLVE_GATEWAYS_MAX = 256;
/** A request's time when it names none, and the most it may name, ms. */
export const REQUEST_TIMEOUT_MS_DEFAULT = 5_000;
export const REQUEST_TIMEOUT_MS_MAX = 60_000;

// Groups.

/** Commands of one group that wait for the disk; beyond it a caller is told to come back. */
export const GROUP_PROPOSALS_MAX = 8_192;

/** Reads of one group that wait for permission; beyond it a caller is told to come back. */
export const GROUP_READS_MAX = 8_192;
/** What a caller is told to wait when that many commands or reads wait already, ms. */
export const GROUP_RETRY_MS = 50;
/** A read that a follower asked its leader for and heard nothing of is asked for anew after this, ms. */
export const GROUP_READ_AGAIN_MS = 300;
/** Rounds of work that a group gets in one turn, so that no group holds up the others. */
export const GROUP_ROUNDS_MAX = 16;

/** A record this old that is not durable, ms: the disk is stuck, and this node stops leading. */
export const STALL_MS = 1_000;
/** Ticks between the elections of two replicas of a group whose leader is not supported any more. */
export const RANK_TICKS = 3;

/** A tick of the groups that are awake, ms. */
export const RAFT_TICK_MS = 100;
/** Ticks without a leader after which a replica campaigns, and up to twice as many: 1 to 2 s. */
export const RAFT_ELECTION_TICKS = 10;
/** Ticks between two heartbeats: five of them fit into the shortest election timeout. */
export const RAFT_HEARTBEAT_TICKS = 2;
/** Entries that a replica keeps in memory for those behind it; an image is no dearer than more. */
export const REPLICA_LOG_BYTES = 128 * 1024;
/** The same while somebody catches up with them, or they are not applied. */
export const REPLICA_LOG_BYTES_MAX = 8 * 1024 * 1024;

/** A frame to another node is closed at this size. */
export const PEER_FRAME_BYTES = 1024 * 1024;
/** The largest frame to another node: one entry of the largest size, with room. */
export const PEER_FRAME_BYTES_MAX = 8 * 1024 * 1024;
/** Messages in one frame: each group has something to say, several times over. */
export const PEER_MESSAGES_MAX = 32_768;
/** What one turn may send to one node; what is beyond it counts as lost. */
export const PEER_TURN_BYTES_MAX = 64 * 1024 * 1024;
/** Images on their way from one node to others, all together. */
export const PEER_IMAGES_AT_ONCE = 4;
/** The largest image that is taken from another node: a partition of several million records. */
export const PEER_IMAGE_BYTES_MAX = 1024 * 1024 * 1024;

// Transport.

/** Sessions of one listener: at 25 KB each they take half a gigabyte. */
export const SESSIONS_MAX = 20_000;
/**
 * Sessions of one remote address (IPv6: one /64), loopback excepted: the pods of four machines behind
 * one NAT fit, of some 250 each, and it takes twenty addresses to fill a node.
 */
export const SESSIONS_PER_ADDRESS_MAX = 1_024;
/** Sessions that are ready and that nobody accepted yet: a burst while the process is in one turn. */
export const SESSIONS_BACKLOG_MAX = 1_024;
/** Streams of one session, both sides together: control, a few of requests, peer, some of bulk. */
export const STREAMS_PER_SESSION_MAX = 16;
/**
 * One-way streams that a peer may open: HTTP/3 needs three (RFC 9114 §6.2), the others are room for
 * reserved types (§6.2.3). None is read further than its beginning, and each holds up to 1.25 MB.
 */
export const UNIDIRECTIONAL_STREAMS_MAX = 8;
/** The first bytes of a stream of HTTP/3, SETTINGS or a request: browsers send a few hundred. */
export const HTTP3_START_BYTES_MAX = 4_096;
/**
 * From the end of a WebTransport session to its connection's, ms: a peer that closes both says why with
 * the second.
 */
export const WEBTRANSPORT_END_MS = 100;
/** Handshakes in progress, each some 50 KB: more than a second's worth of what two cores can do. */
export const HANDSHAKES_MAX = 2_048;
/**
 * Connections by TLS that one address may begin in a second, as a share of the sessions it may have
 * (64 of 1,024), after a burst of all of them: a fleet behind one NAT reconnects at once, and a
 * stranger then costs a tenth of a core.
 */
export const CONNECTION_RATE_SHARE = 1 / 16;
/** Addresses whose rate is known, at some 200 bytes each. */
export const CONNECTION_RATE_ADDRESSES_MAX = 8_192;
/** Connections by TLS at once that are only taken to be told that there is no room. */
export const REFUSALS_MAX = 64;
/** How often a TCP address that accepted nothing is looked at, ms. */
export const ACCEPT_LOOK_MS = 5_000;
/** Connections between two looks that bring the next look forward. */
export const ACCEPT_BURST = 32;
/** How long the connection of such a look may wait, ms: it goes over loopback. */
export const ACCEPT_PROBE_MS = 250;
/** From a look that found trouble to the next, ms; doubled for each bind in vain, up to ten minutes. */
export const ACCEPT_RETRY_MS = 500;
export const ACCEPT_LOOK_MS_MAX = 600_000;
/** The most that a TLS handshake, and after it an HTTP/3 upgrade, may take, ms: five round trips. */
export const HANDSHAKE_MS_MAX = 5_000;
/** From a stream's first byte to its whole preface, ms: it is one packet. */
export const PREFACE_MS_MAX = 5_000;
/** The most that connecting may take when the caller names no time, ms. */
export const DIAL_MS_MAX = 5_000;
/** A client's session: how often it is kept alive, and after what silence it is given up, ms. */
export const CLIENT_KEEP_ALIVE_MS = 15_000;
export const CLIENT_IDLE_MS = 45_000;
/** Pending writes get this long when a session says goodbye, ms; a stuck peer must not hold us. */
export const GOODBYE_WRITES_MS_MAX = 1_000;
/** Then the last bytes on their way get this long, unless the peer closes first, ms. */
export const GOODBYE_LINGER_MS = 50;
/** Bytes of one stream over TLS that may be on their way unread; 16 of them make 8 MB a session. */
export const TLS_STREAM_WINDOW_BYTES = 512 * 1024;
/** Payload of one frame over TLS: four TLS records, so that no stream holds up the others for long. */
export const TLS_FRAME_BYTES_MAX = 64 * 1024;
/** What may wait to be sent over TLS: data stays far below, so a peer above it does not read at all. */
export const TLS_OUTPUT_BYTES_MAX = 4 * 1024 * 1024;
/** The text that goes with a close: it must fit one packet of 1,200 bytes, whatever its script. */
export const CLOSE_MESSAGE_BYTES_MAX = 256;

// The shared log and its images.

/** Batches begin at multiples of this, and a search after damage looks only there: a disk page. */
export const WAL_PAGE_BYTES = 4_096;
/** One entry's data: a RegisterMany of 512 records of the largest size, with room. */
export const WAL_ENTRY_BYTES_MAX = 6 * 1024 * 1024;
/** A record's payload: the largest entry, or a segment header of 8,193 groups with images. */
export const WAL_PAYLOAD_BYTES_MAX = 8 * 1024 * 1024;
/** A batch is closed at this size: one write of it takes a few ms. */
export const WAL_BATCH_BYTES = 2 * 1024 * 1024;
/** Submitted and not yet durable; above it appends are refused: about a second of disk writes. */
export const WAL_PENDING_BYTES_MAX = 64 * 1024 * 1024;
/** Batches written and not yet synced: one under the running sync, one for the next. */
export const WAL_WRITTEN_BATCHES_MAX = 2;
/** A segment: small enough to free often, large enough that its making does not count. */
export const WAL_SEGMENT_BYTES = 64 * 1024 * 1024;
/** Log on disk above which compaction runs: replayed in about a second. */
export const WAL_SOFT_BYTES = 128 * 1024 * 1024;
/** Log on disk at which appends are refused: sixteen times the soft one, for compaction to catch up. */
export const WAL_HARD_BYTES = 2 * 1024 * 1024 * 1024;
/** Zeros laid down ahead of the log, so that a sync need not wait for the file system's journal. */
export const WAL_PREALLOCATE_BYTES = 2 * 1024 * 1024;
/** Without a write for this long, ms, a watermark is written. */
export const WAL_IDLE_MS = 200;
/**
 * How long the log's mark rests between two updates under load, ms: each is a write and a sync of one
 * sector, which so take a hundredth of a core. What was acknowledged meanwhile may be lost unseen.
 */
export const WAL_MARK_MS = 25;
/** The rest is so many times what the last update took, at least: a slow disk has better to do. */
export const WAL_MARK_REST = 10;
/** How often room on a full disk is looked for, ms. */
export const WAL_PROBE_MS = 500;
/** What a caller is told to wait when the log is near its hard limit, or too much is pending, ms. */
export const WAL_RETRY_MS = 200;
/** One read of recovery: large enough that the disk streams. */
export const WAL_READ_BYTES = 8 * 1024 * 1024;
/** One chunk of an image, and one write of it. */
export const IMAGE_CHUNK_BYTES_MAX = 4 * 1024 * 1024;
export const IMAGE_WRITE_BYTES = 1024 * 1024;
/** A group's configuration in an image: some hundred members. */
export const IMAGE_CONFIGURATION_BYTES_MAX = 64 * 1024;
/** Live bytes of a group in the oldest segment up to which they are moved instead of imaged. */
export const RELOCATE_BYTES_MAX = 16 * 1024;
/** One read of a segment that is moved while requests are served: about a millisecond of work. */
export const RELOCATE_READ_BYTES = 512 * 1024;
/** How often the log's size is looked at, ms: seconds of writes fit between soft and hard limit. */
export const COMPACTION_POLL_MS = 500;
/** Images written at once: their syncs wait for the disk together. */
export const IMAGES_AT_ONCE = 4;
/** The pause of compaction between two groups, ms: other turns go first. */
export const COMPACTION_PAUSE_MS = 2;

// Liveness of nodes.

/** Between two beats to one node, ms: five may be lost before a support of `SUPPORT_MS` runs out. */
export const BEAT_MS = 300;
/**
 * For how long one beat is answered with support, ms. Part of the format: a node that restarts waits
 * for as long as any version before it may have promised, so that a change needs a new format.
 */
export const SUPPORT_MS = 2_000;
/**
 * By how much wall and monotonic clock may part unnoticed, ms: steps of a wall clock that is set are
 * mostly smaller, a machine that is suspended sleeps for longer.
 */
export const CLOCK_JUMP_MS = 100;
/** How fast wall and monotonic clock may part without that being a jump, parts per million. */
export const CLOCK_SLEW_PPM = 2 * CLOCK_DRIFT_PPM;
/** Taken off every lease, ms: what clocks part by unnoticed, and that they may count in whole ms. */
export const LEASE_MARGIN_MS = 150;
/** The oldest beat of ours whose echo shows that we are heard, ms: three beats and a way back. */
export const ECHO_MS_MAX = 1_000;
/** A look at the clocks that comes this long after the one before, ms: this node was paused. */
export const TURN_LATE_MS = 1_000;
/** Beats whose send time is remembered, for each node: those of a support, answers too, with room. */
export const BEATS_REMEMBERED = 64;
/** Groups that one beat names of each kind: 16 KB of its frame; further ones go with the next. */
export const BEAT_GROUPS_MAX = 1_024;
/** When promises that both sides count differently are asked for again though neither changed, ms. */
export const ASK_AGAIN_MS = 5_000;
/** Nodes that one node has known in one run: what it withdrew from each is never forgotten. */
export const LIVENESS_PEERS_MAX = 4_096;

// Consensus.

/** Entries in one append: a lost one costs this much to send again, and a frame holds it. */
export const RAFT_APPEND_BYTES_MAX = 256 * 1024;
/** Appends on their way to one follower: a round trip of 10 ms at 25,000 appends/s. */
export const RAFT_INFLIGHT_MESSAGES_MAX = 256;
/** Their entries: what a slow follower may make its leader hold for it. */
export const RAFT_INFLIGHT_BYTES_MAX = 8 * 1024 * 1024;
/** Proposals of one group that are not committed; without a quorum the log must not grow on. */
export const RAFT_UNCOMMITTED_BYTES_MAX = 32 * 1024 * 1024;
/** Committed entries of one group on their way to its state machine: some ms of work. */
export const RAFT_APPLYING_BYTES_MAX = 2 * 1024 * 1024;
/** Reads of one group that wait for a round of heartbeats, or for the term's first commit. */
export const RAFT_READS_PENDING_MAX = 16_384;
/** Members that one change of the configuration may name. */
export const RAFT_CHANGES_MAX = 64;
/** Replicas of one group, learners and both halves of a joint configuration included. */
export const RAFT_MEMBERS_MAX = 64;

// The store.

/** Memory is taken from the system in pieces of this size: few enough to be cheap, small enough. */
export const ARENA_CHUNK_BYTES = 4 * 1024 * 1024;
/** Regions with live records at once: their number takes 12 bits of a slot. */
export const REGIONS_INTERNED_MAX = 4_095;
/** The step of the leader's lease times: an expiry is late by at most this much for it. */
export const LEASE_TICK_MS = 250;
/** Extensions are gathered for this long, so that one log entry serves many renewals. */
export const EXTEND_GATHER_MS = 1_000;
/** Items of one extend command: 160 KB in the log. */
export const EXTEND_ITEMS_MAX = 4_096;
/** Items of one expire command, so that applying one never takes long. */
export const EXPIRE_ITEMS_MAX = 256;
/** After that long without effect, ms, an expiry is proposed again. */
export const EXPIRE_RETRY_MS = 2_000;
/** Tombstones dropped with one entry: more than one can make, so that they cannot pile up. */
export const FORGET_PER_ENTRY_MAX = 2 * EXPIRE_ITEMS_MAX;
/** Group time, ms: 8,900 years; sums with leases stay exact. */
export const GROUP_TIME_MS_MAX = 2 ** 48;
/** Bytes of an image's chunk, about. */
export const IMAGE_CHUNK_BYTES = 64 * 1024;

// Request streams of the node.

/** What an idle stream waits with: most requests fit, and ten thousand of them cost 10 MB. */
export const IDLE_READ_BYTES = 1_024;
/** What a busy one grows to: more brings no more frames a wakeup. */
export const STREAM_READ_BYTES_MAX = 64 * 1024;
/** Replies of a session that its peer has not taken: above `HIGH` it is not served, until `LOW`. */
export const REPLY_BACKLOG_BYTES_HIGH = 512 * 1024;
export const REPLY_BACKLOG_BYTES_LOW = 128 * 1024;
/** The most that one stream may gather: replies of requests that were under way already, and pages. */
export const REPLY_BACKLOG_BYTES_MAX = 64 * 1024 * 1024;
/** One write of replies: a peer that takes this much in `PEER_STALL_MS` is slow, and not stuck. */
export const REPLY_WRITE_BYTES_MAX = 256 * 1024;
/** Replies not taken and frames not finished that the node holds in all; beyond it the largest goes. */
export const NODE_HELD_BYTES_MAX = 64 * 1024 * 1024;
/** The same for all sessions of one identity: sixteen that do not read, or 64 large requests. */
export const IDENTITY_HELD_BYTES_MAX = 16 * 1024 * 1024;
/** Replies of which nothing is taken, or a frame that is not finished, for so long end a session, ms. */
export const PEER_STALL_MS = 15_000;
/** How often streams that hold something are looked at, ms. */
export const STALL_LOOK_MS = 1_000;
/** What lists get of each turn, ms: the most that another request waits for them. */
export const LIST_TURN_MS = 1;
/** Lists of one session that wait for their turn; further requests of it are not read meanwhile. */
export const LISTS_WAITING_MAX = 64;
/** Requests of one stream that are not answered yet; the next ones are told to come back. */
export const REQUESTS_IN_FLIGHT_MAX = 4_096;
/** From a session's first stream to its Hello, ms. */
export const HELLO_MS_MAX = 5_000;
/** For how long a negative answer may be cached, ms: shorter than anybody waits for a new agent. */
export const NEGATIVE_CACHE_MS = 1_000;
/** Bytes of records after which a page ends: a response frame holds it with its receipts. */
export const LIST_PAGE_BYTES = 512 * 1024;
/** A control frame from a client: Hello and Goodbye are all it sends. */
export const HELLO_BYTES_MAX = 4_096;

// The client.

/** Requests of one connection in flight: what 12 bits of a request id tell apart. */
export const CLIENT_IN_FLIGHT_MAX = 4_096;
/** The same where nobody says more: keeps a connection busy at 150,000/s and 6 ms a round trip. */
export const CLIENT_IN_FLIGHT_DEFAULT = 1_024;
/** Calls that wait for a place, a connection or their next attempt; beyond it: `overloaded`. */
export const CLIENT_WAITING_MAX = 16_384;
/** What a caller is told to wait when that many wait already, ms. */
export const CLIENT_WAITING_RETRY_MS = 100;
/** Bytes that gather behind a write under way, above which calls wait: some ms of a slow link. */
export const CLIENT_OUTBOX_BYTES = 1024 * 1024;
/** The buffer of a read: an idle connection posts the least, a busy one grows to the most. */
export const CLIENT_READ_BYTES_MIN = 1_024;
export const CLIENT_READ_BYTES_MAX = 64 * 1024;
/** Replies that are due are read in so many turns: client and server then work at the same time. */
export const CLIENT_READ_SHARES = 6;
/** How coarse deadlines and retries are, ms: one timer a connection, not one a call. */
export const CLIENT_TICK_MS = 10;
/** Back-off of a repeated request, ms: full jitter up to base × 2^attempt, at most the cap. */
export const CLIENT_RETRY_MS_BASE = 25;
export const CLIENT_RETRY_MS_CAP = 1_000;
/** Back-off of a new connection, ms, in the same manner: a fleet must not come back at once. */
export const CLIENT_RECONNECT_MS_BASE = 100;
export const CLIENT_RECONNECT_MS_CAP = 10_000;
/**
 * The first attempt to connect gets this, ms, each further one twice as much up to `DIAL_MS_MAX`:
 * packets to a server that is just restarting are lost, and a new attempt is sooner than a resend.
 */
export const CLIENT_ATTEMPT_MS_BASE = 1_000;
/** A connection that lived this long, ms, ends the count of failed attempts. */
export const CLIENT_STABLE_MS = 5_000;
/** An abandoned request keeps its place this long beyond its deadline, ms: the server has it still. */
export const CLIENT_ABANDONED_MS = 1_000;
/** Silence with requests in flight after which the server is probed, and again given up, ms. */
export const CLIENT_SILENCE_MS = 1_000;
/** How long a server that said goodbye may take to answer what is in flight, ms. */
export const CLIENT_DRAIN_MS = 1_000;
/** Last known answers that a client keeps, about 1 KB each. */
export const CLIENT_CACHE_ENTRIES_MAX = 4_096;
/** Leases of one client: two renewals requests of the largest size a second at the shortest ttl. */
export const CLIENT_LEASES_MAX = 32_768;
/**
 * Back-off of failed renewals, ms, in the same manner; it is one for all leases of a client, and
 * half of the shortest ttl bounds it too, so that a lease is renewed in time when the server returns.
 */
export const CLIENT_RENEW_RETRY_MS_BASE = 1_000;
export const CLIENT_RENEW_RETRY_MS_CAP = 10_000;
/** Expired leases that a client registers again at once: a registry that returns is not flooded. */
export const CLIENT_RECOVERIES_MAX = 32;
/** Stored bytes in one RegisterMany: its frame stays below the server's limit. */
export const CLIENT_REGISTER_BYTES_MAX = 192 * 1024;
/** Times a claim is tried again after another was faster. */
export const DOMAIN_CLAIM_TRIES_MAX = 4;
/** How often leases, covers and the time of groups are looked at, at most, ms. */
export const GROUP_TICK_MS = 100;
/**
 * Between two looks for an outage of the node, ms: so much of each outage may count as time in which
 * the node ran, far less than the grace that follows; four wakeups a second cost nothing.
 */
export const AVAILABLE_PULSE_MS = 250;
/** The least grace after an outage, ms: a client gives up a silent session after two times silence. */
export const OUTAGE_GRACE_MS_MIN = 2 * CLIENT_SILENCE_MS;
/** The most, ms: a client that just began its longest back-off dials, and then its renewal is served. */
export const OUTAGE_GRACE_MS_MAX = CLIENT_RECONNECT_MS_CAP + DIAL_MS_MAX +
  REQUEST_TIMEOUT_MS_DEFAULT;
/** Graces that outages in a row may use up, ms: three of the longest; then time runs between them. */
export const OUTAGE_GRACE_CREDIT_MS = 3 * OUTAGE_GRACE_MS_MAX;
/** Partitions whose leases are looked at in one turn: a few ms where each proposes something. */
export const LEASE_LOOKS_AT_ONCE_MAX = 256;
/** Bounds of the time between two logged times of a group that has something to expire, ms. */
export const TIME_LOG_MS_MIN = 5_000;
export const TIME_LOG_MS_MAX = 60_000;
/** Groups log their time together, at multiples of this, ms: so a node syncs for it 12 times a minute at most. */
export const TIME_LOG_GATHER_MS = 5_000;
/** How long the janitor takes to look at every alias once, ms. */
export const ALIAS_SWEEP_MS = 60_000;
/** Repairs of aliases under way at once, and pending claims remembered between two rounds. */
export const ALIAS_REPAIRS_MAX = 64;
export const ALIAS_SUSPECTS_MAX = 10_000;
/** The longest time between two renewals, ms: a lost place is noticed within it. */
export const RENEW_AFTER_MS_MAX = 600_000;
/** Times a register is tried again whose claim was revoked meanwhile. */
export const REGISTER_TRIES_MAX = 3;
/** Agents of a removed gateway that are removed at once, so that others are served in between. */
export const REMOVE_AGENTS_AT_ONCE = 256;
/** How often the process's memory is read at most, ms: a burst of registrations adds 100 MB at most. */
export const MEMORY_SAMPLE_MS = 250;

// Command line.

/**
 * How long a command tries to reach a server that was named, ms, where it is told nothing else: two
 * attempts. No runtime tells of a UDP port at which nobody listens.
 */
export const CLI_CONNECT_MS = 2_000;
/** Refusals in a row after which `crs … keep` gives up: one may come from a node that just starts. */
export const KEEP_REFUSALS_MAX = 3;
/** How often `crs … keep` tells a person that renewals still fail as before, ms. */
export const KEEP_REMINDER_MS = 60_000;
/** A file of one record that the command line reads: the largest record as JSON, many times over. */
export const CLI_FILE_BYTES_MAX = 256 * 1024;
/** Gateways, agents and proxies of a demonstration: beyond it the machine itself is measured. */
export const DEMO_GATEWAYS_MAX = 200;
export const DEMO_AGENTS_MAX = 100_000;
export const DEMO_PROXIES_MAX = 1_000;

// Identity.

/** Life of a development server certificate, ms: 13 days, a day below what pinning allows. */
export const SERVER_CERTIFICATE_LIFE_MS = 13 * 86_400_000;
/** Life of a development CA, ms: 10 years; made anew when it cannot outlive what it signs. */
export const DEVELOPMENT_CA_LIFE_MS = 3_650 * 86_400_000;
/** Certificates are valid from this much earlier, ms, for clients whose clock is behind. */
export const CERTIFICATE_BACKDATE_MS = 3_600_000;
/** Between two looks at the clock for a rotation, ms: clocks are set, and a look costs nothing. */
export const ROTATION_LOOK_MS = 30_000;
/** A rotation that failed is tried again after this, ms: a disk has room again within minutes. */
export const ROTATION_RETRY_MS = 60_000;
/** A file of keys, certificates or `node.json`: none comes near it. */
export const IDENTITY_FILE_BYTES_MAX = 64 * 1024;
/** Addresses of one node: one a transport and family. */
export const NODE_ADDRESSES_MAX = 16;
/** Longest trust domain: the SPIFFE id with the longest region and role keeps below its own limit. */
export const TRUST_DOMAIN_BYTES_MAX = 253;
/** Longest SPIFFE id: prefix, trust domain, region, role and UUID. */
export const SPIFFE_ID_BYTES_MAX = 400;
/** A certificate: the largest that is issued, an agent's with all its grants, has some 9 KiB. */
export const CERTIFICATE_BYTES_MAX = 12 * 1024;
/** Certificates of a path, root included: root, one further CA of an organization, region, leaf. */
export const CERTIFICATE_PATH_MAX = 4;
/** Roots, and intermediates, of a trust store: two of each region, and room to rotate. */
export const TRUST_AUTHORITIES_MAX = 128;
/** Extensions of a certificate; ours have at most eight. */
export const CERTIFICATE_EXTENSIONS_MAX = 16;
/** Names of a certificate, and subtrees of its name constraints. */
export const CERTIFICATE_NAMES_MAX = 32;
/** Domains and gateways that an identity may name; more are granted by a pattern. */
export const GRANT_DOMAINS_MAX = 32;
export const GRANT_GATEWAYS_MAX = 16;
/** A certificate request: a key and a signature over it, some 200 bytes. */
export const CERTIFICATE_REQUEST_BYTES_MAX = 1024;
/** Life of an identity's leaf, ms: one hour (design §8). */
export const IDENTITY_LIFE_MS = 3_600_000;
/** An identity's leaf is valid from this much earlier, ms, for peers whose clock is behind. */
export const IDENTITY_BACKDATE_MS = 300_000;
/** A leaf that would live no longer is not issued, ms: its owner could hardly renew it in time. */
export const IDENTITY_LIFE_MS_MIN = 300_000;
/** Life of a join token, ms: long enough to carry it to a new machine by hand. */
export const JOIN_TOKEN_LIFE_MS = 600_000;
/** How long after its end a leaf may still be renewed, ms, by default: an outage of a day. */
export const RENEWAL_GRACE_MS_DEFAULT = 86_400_000;
/** The same for a node whose key stands in the member list, ms: a cluster that was off for a month. */
export const MEMBER_RENEWAL_GRACE_MS_DEFAULT = 30 * 86_400_000;
/** The longest grace that can be configured, ms: intermediates are kept as long for it. */
export const RENEWAL_GRACE_MS_MAX = 30 * 86_400_000;
/** Bounds of the time between two tries to renew, ms: a leaf's half life holds a hundred of them. */
export const RENEWAL_RETRY_MS_MIN = 1_000;
export const RENEWAL_RETRY_MS_MAX = 60_000;
/** A certificate with less life than this, ms, is renewed before it is shown: it may end meanwhile. */
export const RENEWAL_SESSION_LEFT_MS_MIN = 30_000;
/** How long a renewal that is due waits for a client to connect, ms: as long as that may take. */
export const RENEWAL_SESSION_WAIT_MS = 5_000;
/** Life of a region's intermediate, ms; its follower is made at half of it, so that two overlap. */
export const INTERMEDIATE_LIFE_MS = 180 * 86_400_000;
/** An intermediate signs nothing until the trust bundle has carried it for so long, ms. */
export const INTERMEDIATE_LEAD_MS = 3_600_000;
/** The longest life of a server's TLS certificate, ms: browsers pin none that lives longer. */
export const SERVER_CERTIFICATE_LIFE_MS_MAX = 14 * 86_400_000;
/** A trust bundle: 256 CAs of 600 bytes and 1,024 servers of 350, in base64url. */
export const TRUST_BUNDLE_BYTES_MAX = 768 * 1024;
/** Servers of a trust bundle, and addresses of each: one a transport and family. */
export const TRUST_SERVERS_MAX = 1_024;
export const TRUST_SERVER_ADDRESSES_MAX = 8;
/** Hosts that a node says it is dialed by: a member has room for 8 addresses, three a host. */
export const ADVERTISED_HOSTS_MAX = 2;
/** The longest life of a certificate that signs trust bundles, ms: its key is not offline. */
export const BUNDLE_SIGNER_LIFE_MS = 90 * 86_400_000;
/** Each stage of `registry-auth/1`, ms: a round trip over the whole earth, a resend, a busy node. */
export const AUTH_STAGE_MS_MAX = 3_000;
/** A chain in the handshake: leaf and CAs, without the root, which the other side has. */
export const AUTH_CHAIN_CERTIFICATES_MAX = CERTIFICATE_PATH_MAX - 1;
/** Its bytes: the largest leaf, and CAs of some 600 bytes each. */
export const AUTH_CHAIN_BYTES_MAX = 16 * 1024;
/** Host and port as dialed: a name of 253 characters, brackets, a colon, five digits. */
export const AUTH_AUTHORITY_BYTES_MAX = 261;
/** A protocol name of ALPN: `crs`, `h3`, with room. */
export const AUTH_ALPN_BYTES_MAX = 16;
/** A token in the handshake, as long as any may be. */
export const AUTH_TOKEN_BYTES_MAX = 4 * 1024;
/** Handshakes of one node that are not through; beyond it the oldest gives way: 40 MB at most. */
export const AUTH_HALF_OPEN_MAX = 2_048;
/** Of them, those of one address: as many clients behind one NAT may come back at once. */
export const AUTH_HALF_OPEN_PER_ADDRESS_MAX = 1_024;
/** The longest time a session lives before its identity is proven again, ms: a leaf's life. */
export const AUTH_SESSION_MS_MAX = 3_600_000;
/** How often an open session's expiry is compared with the wall clock at least, ms: it may be set. */
export const SESSION_LIFE_CHECK_MS = 60_000;
/** A session's proof may be renewed this long after the one before, ms: it costs some signatures. */
export const AUTH_RENEW_MS_MIN = 500;
/** A renewal of a session's proof that failed is tried again after this, ms; nor more often. */
export const AUTH_RENEW_RETRY_MS = 1_000;

/** Life of a root, ms: its key is offline, and all that believe it must be told of the next. */
export const ROOT_LIFE_MS = 3_650 * 86_400_000;
/** How far the time in a request for renewal may be from the node's clock, ms: as a leaf allows. */
export const RENEWAL_PROOF_MS = 300_000;
/** Sessions at once that ask for a certificate without a proof; idle ones give way, oldest first. */
export const STRANGERS_MAX = 1_024;
/**
 * Of them, those of one address (IPv6: one /64), some 9 MB: a request takes milliseconds, so a site needs
 * few; more than a few idle ones at once spare the node the handshakes of those that come again.
 */
export const STRANGERS_PER_ADDRESS_MAX = 128;
/** What somebody is told to wait whose address has that many under way, ms: some requests' time. */
export const STRANGERS_RETRY_MS = 250;
/** How long a stranger's session lasts, ms: one request, with a few looks at group 0. */
export const STRANGER_SESSION_MS = 10_000;
/** How often a decision on an identity is made anew when another came before it. */
export const IDENTITY_DECISIONS_MAX = 8;
/** How long a trust bundle is to be believed, ms; it is made anew at half of that. */
export const TRUST_BUNDLE_LIFE_MS = 30 * 86_400_000;
/** How often a node looks whether bundle, token keys or its own certificate need work, ms. */
export const IDENTITY_CHECK_MS = 60_000;
/** How often a node says that the root must sign something, ms: it has weeks. */
export const ROOT_REMINDER_MS = 86_400_000;
/** Entries of the audit log that group 0 keeps, 200 bytes each: 13 MB, some days of renewals. */
export const AUDIT_ENTRIES_MAX = 65_536;
/** Entries of one page in an image: 100 KB, well below what a message may have. */
export const AUDIT_PAGE_ENTRIES = 512;
/** Join tokens in group 0: a rollout of some thousands at once, each of 300 bytes. */
export const JOIN_TOKENS_MAX = 16_384;
/** Lineages in group 0, 600 bytes each: 150 MB when all are there. */
export const LINEAGES_MAX = 262_144;
/** A document of group 0: the trust bundle is the largest. */
export const DOCUMENT_BYTES_MAX = 768 * 1024;
/** A token: with the most grants that are of use it has some 2 KiB; it is sent with a session. */
export const TOKEN_BYTES_MAX = 4 * 1024;
/** Tokens with grants in group 0, 400 bytes each: half of all lineages at once, 52 MB. */
export const TOKEN_GRANTS_MAX = 131_072;
/** The same of one lineage: a token every minute, each with the longest life. */
export const TOKEN_GRANTS_PER_LINEAGE_MAX = 16;
/** An ended grant is remembered for so long, ms: records that rest on it end long before. */
export const TOKEN_GRANT_KEPT_MS = 86_400_000;
/**
 * How long a record outlives the token that granted it, ms: whoever issues the next one as the last
 * one ends needs a moment, and the clocks of issuer and leader differ.
 */
export const RECORD_GRANT_GRACE_MS = 10_000;
/** How often a leader looks whether rights of records that it leads have ended, ms. */
export const RECORD_RIGHTS_CHECK_MS = 1_000;
/** How often all bans and grants are looked through again, ms: who leads since may have missed one. */
export const RECORD_RIGHTS_ROUND_MS = 60_000;
/** Bans and grants that one turn looks at, some 2 µs each, so that requests are served in between. */
export const RECORD_RIGHTS_AT_ONCE = 1_024;
/** The longest life of a token, ms: what a stolen one is worth. */
export const TOKEN_LIFE_MS_MAX = 900_000;
/** An issuer's and an audience's name: a SPIFFE id or a host, with room. */
export const TOKEN_NAME_BYTES_MAX = 400;
/** By how much a token's issuer may be ahead of who checks it, ms: both follow a time service. */
export const TOKEN_SKEW_MS = 30_000;
/** Keys that tokens are checked with at once: one a rotation, and rotations are hours apart. */
export const TOKEN_KEYS_MAX = 8;
/** A new token key is published this long before it signs, ms: everybody fetches keys oftener. */
export const TOKEN_KEY_LEAD_MS = 300_000;
/** A published set of token keys: 8 keys of some 170 bytes, with room. */
export const JWKS_BYTES_MAX = 4 * 1024;
/** Bans at once: group 0 holds them, some 100 bytes each, and a node all of them in memory. */
export const BANS_MAX = 100_000;
/** Bans of one reply: 700 bytes each at most, well below what a frame holds. */
export const BANS_PAGE_MAX = 512;
/** Bans and stopped lineages, as a node lists them: all that group 0 can hold, or some would not count. */
export const LISTED_BANS_MAX = BANS_MAX + LINEAGES_MAX;
/** Of refused identities one is logged in this time, ms: a stranger shall not fill the disk. */
export const REFUSAL_SAMPLE_MS = 1_000;
/** Reasons by which refused identities are counted apart: all that there are, and room for more. */
export const REFUSAL_REASONS_MAX = 128;
/** Why somebody was banned, in words. */
export const BAN_REASON_BYTES_MAX = 255;
/** A sealed label's value: four recipients of 250 bytes each, and the longest plain value. */
export const SEALED_LABEL_BYTES_MAX = 2_048;
/** Who can open one sealed label: each more costs its record 250 bytes. */
export const SEALED_RECIPIENTS_MAX = 4;

// Operating a node.

/** A file of settings has some twenty lines; a larger one is another file. */
export const CONFIG_FILE_BYTES_MAX = 64 * 1024;
/** Characters of a found value that a mistake in the configuration shows. */
export const CONFIG_FOUND_CHARACTERS_MAX = 64;
/** Causes that are logged of one error; a longer chain is cut. */
export const LOG_ERROR_CAUSES_MAX = 4;
/** Regions with metrics of their own; records of further ones are summed. */
export const METRICS_REGIONS_MAX = 256;
/** Places that caught errors are counted under; further ones are summed. */
export const METRICS_ERROR_STAGES_MAX = 64;
/** Bytes of an operator's request line and headers; a scrape sends some 300. */
export const OPS_HEADER_BYTES_MAX = 8 * 1024;
/** Time for an operator's request to arrive, ms, and for an idle connection to stay. */
export const OPS_REQUEST_MS_MAX = 5_000;
export const OPS_IDLE_MS_MAX = 30_000;
/** How often these times are looked at, ms. */
export const OPS_CHECK_MS = 1_000;
/**
 * File descriptors that connections by TLS leave to others: 64 of the operator's port, 64 that are only
 * told that there is no room, segments and images of the log, timers and modules of the runtime.
 */
export const DESCRIPTORS_KEPT = 256;
/** Those that a node needs without any connection: an idle one has some 40 open. */
export const DESCRIPTORS_OF_NODE = 64;
/** Connections of the operator's port: a scraper, a probe and some people at once. */
export const OPS_CONNECTIONS_MAX = 64;
