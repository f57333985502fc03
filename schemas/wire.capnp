@0xa8e5b3f07c26d194;
# Messages of a session, in standard Cap'n Proto stream framing; clients send one segment per
# message.
#
# A session's first stream (kind control) carries the proof of identity, Hello, and HelloReply;
# after these, control frames and requests in one direction, and control frames and responses in the
# other. A frame whose root struct has one word of data and one pointer is a ControlFrame. Further
# streams (kind request) carry requests and responses only; clients open one for large answers.

using import "codec.capnp".bytes;
using Record = import "record.capnp";
using Governance = import "governance.capnp";

struct StreamPreface {
  # The first frame of every stream, 24 bytes, written by the transport.
  magic @0 :UInt32;
  # 0x41435253
  kind @1 :UInt16;
  # 1 control, 2 request, 3 peer, 4 bulk.
  version @2 :UInt16;
}

enum ControlKind {
  # The kinds of control frames, by what their bodies are.
  unset @0;
  hello @1;
  helloReply @2;
  goodbye @3;
  ringMap @4;
  streamOpening @5;
  # Without a body.
}

struct ControlFrame {
  # A frame of the first stream, in both directions. This struct never grows: its size distinguishes
  # it from requests and responses.
  kind @0 :ControlKind;
  body @1 :AnyPointer;
}

struct Hello {
  versionMin @0 :UInt16;
  versionMax @1 :UInt16;
  features @2 :UInt64;
  # Bit 0: the client announces each further stream by a streamOpening, after HelloReply.
  clusterId :group $bytes { high @3 :UInt64; low @4 :UInt64; }
  # All zero: any cluster.
  region @5 :Text;
  agent @6 :Text;
  # Name and version of the program, for logs.
}

struct HelloReply {
  version @0 :UInt16;
  features @1 :UInt64;
  clusterId :group $bytes { high @2 :UInt64; low @3 :UInt64; }
  nodeId @4 :UInt32;
  region @5 :Text;
  frameBytesMax @6 :UInt32;
  requestsInFlightMax @7 :UInt32;
  ringMap @8 :RingMap;
}

struct Goodbye {
  code @0 :UInt16;
  # An error code; 0: the session ends without an error.
  message @1 :Text;
  retryAfterMs @2 :UInt32;
}

struct RingMap {
  epoch :group { generation @0 :UInt32; number @1 :UInt64; }
  partitionCount @2 :UInt32;
  hashKey :group $bytes { high @3 :UInt64; low @4 :UInt64; }
  nodes @5 :List(RingNode);
  placements @6 :List(RingPlacement);
  # One entry if all partitions have the same placement, otherwise one per partition.
}

struct RingNode {
  nodeId @0 :UInt32;
  addresses @1 :List(RingAddress);
  currentPin @2 :Data;
  # SHA-256 of the certificate that the node currently presents.
  nextPin @3 :Data;
  zone @4 :Text;
  # Failure domain, for clients that read at the nearest replica; empty: not known.
}

struct RingAddress {
  transport @0 :Text;
  host @1 :Text;
  port @2 :UInt16;
}

struct RingPlacement {
  leader @0 :UInt32;
  # Node id; 0: not known.
  replicas @1 :List(UInt32);
  # Node ids.
}

struct Request {
  id @0 :UInt32;
  # Chosen by the client; unique among its pending requests on this stream.
  timeoutMs @1 :UInt32;
  # Counted from the arrival of the request; 0: the server's own limit.
  ringEpoch :group { generation @2 :UInt32; number @3 :UInt64; }
  # Unused, always 0: ring maps are pushed when they change, and fetched after a refusal.
  maxStalenessMs @4 :UInt32;
  # 0: linearizable.
  operation @5 :UInt16;
  body @6 :AnyPointer;
  delegation @7 :UInt32;
  # The delegation, opened on this session, as which the request is served; 0: the session's own
  # identity.
}

struct Response {
  id @0 :UInt32;
  retryAfterMs @1 :UInt32;
  cacheMs @2 :UInt32;
  # Time for which a negative answer may be cached.
  leaderHint @3 :UInt32;
  # Node id; 0: not known.
  current :group { generation @4 :UInt32; index @5 :UInt64; }
  # For incarnation_mismatch and superseded: the record's current incarnation.
  code @6 :UInt16;
  # 0: success, else an error code.
  message @7 :Text;
  # Description of the error, for people.
  field @8 :Text;
  # The field that caused the error.
  receipts @9 :List(Receipt);
  body @10 :AnyPointer;
  leaderTerm @11 :UInt64;
  # The term in which leaderHint leads; 0: not known. The hint with the higher term wins.
}

struct HomeRegion {
  # A region that a record belongs to. Body of a refusal with foreign_region.
  name @0 :Text;
}

struct Receipt {
  # Source and maximum age of one part of an answer.
  appliedIndex @0 :UInt64;
  term @1 :UInt64;
  node @2 :UInt32;
  partition @3 :UInt32;
  ageBoundMs @4 :UInt32;
}

struct IdRequest {
  # Request of GetAgent and GetGateway.
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  home @2 :HomeRegion;
  # This region for own records, another one for its mirrors. Absent: the own record, else the best
  # mirror.
}

struct RecordReply {
  record @0 :Data;
  # The stored form of an Agent or a Gateway.
  remainingMs @1 :UInt32;
  # Of a mirror 0: only its home knows the lease.
  source @2 :RecordSource;
  # Absent: the record is of this region.
}

struct RecordSource {
  # The origin of a mirror in an answer.
  revision :group { generation @0 :UInt32; index @1 :UInt64; }
  # Position of the record's last change, in its home.
  ageMs @2 :UInt32;
  # Everything that changed there up to this long ago is mirrored; 0xffffffff: not known.
  isSuspended @3 :Bool;
  # The home has been out of reach for so long that the record may have ended.
  home @4 :Text;
}

struct RegisterRequest {
  # Request of RegisterAgent and RegisterGateway.
  record @0 :Data;
  # The stored form; fields that the registry adds are ignored. An id of zeros selects the caller's
  # own id.
  expected :group { generation @1 :UInt32; index @2 :UInt64; }
}

struct RegisterReply {
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  incarnation :group { generation @2 :UInt32; index @3 :UInt64; }
  revision :group { generation @4 :UInt32; index @5 :UInt64; }
  remainingMs @6 :UInt32;
  renewAfterMs @7 :UInt32;
  created @8 :Bool;
}

struct RegisterManyRequest {
  items @0 :List(RegisterItem);
}

struct RegisterItem {
  record @0 :Data;
  expected :group { generation @1 :UInt32; index @2 :UInt64; }
  kind @3 :UInt16;
  # 1 agent, 2 gateway.
}

struct RegisterManyReply {
  items @0 :List(RegisterOutcome);
}

struct RegisterOutcome {
  # One for each item, in the same order.
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  incarnation :group { generation @2 :UInt32; index @3 :UInt64; }
  # On a refusal: the record's current incarnation.
  revision :group { generation @4 :UInt32; index @5 :UInt64; }
  remainingMs @6 :UInt32;
  renewAfterMs @7 :UInt32;
  code @8 :UInt16;
  created @9 :Bool;
  message @10 :Text;
  home @11 :HomeRegion;
  # For foreign_region: the region that the record belongs to.
}

struct RenewRequest {
  items @0 :List(RenewItem);
}

struct RenewItem {
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  incarnation :group { generation @2 :UInt32; index @3 :UInt64; }
  kind @4 :UInt16;
}

struct RenewReply {
  renewAfterMs @0 :UInt32;
  # Time until the next renewal of all items is due.
  renewed @1 :UInt32;
  failures @2 :List(RenewFailure);
  # The items that were not renewed.
}

struct RenewFailure {
  position @0 :UInt32;
  # Index in the request's list.
  code @1 :UInt16;
  current :group { generation @2 :UInt32; index @3 :UInt64; }
  home @4 :HomeRegion;
  # For foreign_region: the region that the record belongs to.
}

struct DeregisterRequest {
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  incarnation :group { generation @2 :UInt32; index @3 :UInt64; }
  process @4 :UInt64;
  sequence @5 :UInt32;
  withAgents @6 :Bool;
  # For a gateway: removes its agents too.
}

struct DeregisterReply {
  removed @0 :UInt32;
  # 0 if the record was already gone.
}

struct ReportRequest {
  # Reports a gateway's usage, and whether a gateway or agent is draining.
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  incarnation :group { generation @2 :UInt32; index @3 :UInt64; }
  used :group {
    cpu @4 :Float32;
    memoryMiB @5 :UInt32;
    storageMiB @6 :UInt32;
    bandwidthMbps @7 :Float32;
    connections @8 :UInt32;
  }
  state @9 :UInt16;
  setUsed @10 :Bool;
  setState @11 :Bool;
  kind @12 :UInt16;
  process @13 :UInt64;
  # As in DeregisterRequest.
  sequence @14 :UInt32;
}

struct ReportReply {
  revision :group { generation @0 :UInt32; index @1 :UInt64; }
}

struct ResolveRequest {
  domain @0 :Text;
  home @1 :HomeRegion;
  # As in IdRequest.
}

enum ResolvedPart {
  # The states of a part of the answer for a domain.
  none @0;
  # The agent names no gateway, or nothing was looked up.
  included @1;
  notFound @2;
  elsewhere @3;
  # Another node holds the part's partition: fetch it by its id.
}

struct ResolveReply {
  # An agent and its gateway. Receipts: domain, agent, gateway, as far as this node was asked for
  # them.
  agent @0 :Data;
  gateway @1 :Data;
  agentId :group $bytes { high @2 :UInt64; low @3 :UInt64; }
  gatewayId :group $bytes { high @4 :UInt64; low @5 :UInt64; }
  agentRemainingMs @6 :UInt32;
  gatewayRemainingMs @7 :UInt32;
  agentPart @8 :ResolvedPart;
  gatewayPart @9 :ResolvedPart;
  claim :group { generation @10 :UInt32; index @11 :UInt64; }
  # The alias' claim; an agent fetched from another node must have the same claim.
  agentSource @12 :RecordSource;
  gatewaySource @13 :RecordSource;
  candidates @14 :ResolveCandidates;
  # Only if the agent is held by another node: agents of other regions that may hold the domain.
}

struct ResolveCandidates {
  agents @0 :List(ResolveCandidate);
  # The preferred first; agentId of the reply comes before them, unless it is all zero.
}

struct ResolveCandidate {
  agentId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  claim :group { generation @2 :UInt32; index @3 :UInt64; }
  home @4 :Text;
}

struct ResolveManyRequest {
  domains @0 :List(Text);
  home @1 :HomeRegion;
  # As in IdRequest.
}

struct ResolveManyReply {
  items @0 :List(ResolveOutcome);
}

struct ResolveOutcome {
  # One for each domain, in the same order.
  reply @0 :ResolveReply;
  code @1 :UInt16;
  cacheMs @2 :UInt32;
  receipts @3 :List(Receipt);
}

struct ResolveGatewaysRequest {
  region @0 :Text;
  limit @1 :UInt32;
  cursor @2 :Data;
  # A cursor of src/wire/list_cursor.ts that names the wanted partitions; the reply's cursor names
  # those held by other nodes. Empty: all partitions; the request is refused if another node holds
  # one of them.
}

struct ListRequest {
  # Request of ListAgentsByRegion and ListGatewaysByRegion.
  region @0 :Text;
  cursor @1 :Data;
  # Empty: from the start; the request is refused if another node holds a partition. A client that
  # asks several nodes sends a cursor of src/wire/list_cursor.ts, which names the partitions held by
  # other nodes.
  limit @2 :UInt32;
}

struct ListReply {
  # Reply of ResolveGateways, ListAgentsByRegion and ListGatewaysByRegion.
  items @0 :List(RecordReply);
  nextCursor @1 :Data;
  # Empty: this was the last page.
}

struct Empty {}

struct StatusReply {
  nodeId @0 :UInt32;
  partitionCount @1 :UInt32;
  clusterId :group $bytes { high @2 :UInt64; low @3 :UInt64; }
  agents @4 :UInt32;
  gateways @5 :UInt32;
  aliases @6 :UInt32;
  sessions @7 :UInt32;
  uptimeMs @8 :UInt64;
  logBytes @9 :UInt64;
  memoryBytes @10 :UInt64;
  version @11 :Text;
  region @12 :Text;
  ready @13 :Bool;
  reason @14 :Text;
  # Reason why the node is not ready.
  recordBytes @15 :UInt64;
  members @16 :UInt32;
  # Count of the cluster's members, and of those with which the node has a session, itself included.
  connected @17 :UInt32;
  held @18 :UInt32;
  # Count of partitions of which the node holds a replica, that it leads, and without a known leader.
  leading @19 :UInt32;
  leaderless @20 :UInt32;
  followerReads @21 :UInt64;
  # Count of parts of answers that were served with a proven age, of those that were not, with the
  # leader as the hint and without one, and percentiles of the ages.
  followerReadsRedirected @22 :UInt64;
  followerReadsRefused @23 :UInt64;
  followerReadAgeMsP50 @24 :UInt32;
  followerReadAgeMsP99 @25 :UInt32;
  stale @26 :UInt32;
  # Count of stale records held by the node.
}

struct JoinTokenRequest {
  # Request of CreateJoinToken.
  subject @0 :Text;
  # The SPIFFE id for which the token is valid.
  domains @1 :List(Text);
  gateways @2 :List(Text);
  credentialHashes @3 :Bool;
  reads @4 :List(ReadLimitRecord);
}

struct ReadLimitRecord {
  # Conditions on the records that an identity may read; an empty list is no condition.
  regions @0 :List(Text);
  labels @1 :List(Record.Label);
  domains @2 :List(Text);
}

struct JoinTokenReply {
  token @0 :Text;
  # Shown once; the registry keeps its hash.
  expiresAtMs @1 :UInt64;
  readLimits @2 :UInt8;
  # The number of limits on reads that it has. A registry that knows none would ignore those asked for.
}

struct EnrolRequest {
  token @0 :Text;
  # Empty: the key is an administrator's, which needs no token.
  subject @1 :Text;
  request @2 :Data;
  # A certificate request (PKCS #10).
  timeMs @3 :UInt64;
  # For an administrator: creation time of the request, Unix ms.
  proof @4 :Data;
  # For an administrator: signature of the key over time and request.
}

struct RenewIdentityRequest {
  chain @0 :List(Data);
  # The current certificate first.
  request @1 :Data;
  # A certificate request, for the same key or another.
  timeMs @2 :UInt64;
  # Creation time of the request, Unix ms.
  proof @3 :Data;
  # Signature of the current certificate's key over time and request.
}

struct IdentityReply {
  # Reply of Enrol and RenewIdentity.
  chain @0 :List(Data);
  # The certificate first, without the root.
  bundle @1 :Text;
  # The trust bundle; empty if there is none.
}

struct MintTokenRequest {
  audience @0 :Text;
  lifeMs @1 :UInt32;
}

struct IssueTokenRequest {
  # Issues a token for another identity; sent by a controller.
  subject @0 :Text;
  # Its SPIFFE id; the token is bound to its latest certificate.
  audience @1 :Text;
  lifeMs @2 :UInt32;
  domains @3 :List(Text);
  gateways @4 :List(Text);
  credentialHashes @5 :Bool;
  reads @6 :List(ReadLimitRecord);
}

struct UseTokenRequest {
  # Applies to the session of the request, until it ends or presents another token.
  token @0 :Text;
}

struct UseTokenReply {
  expiresAtMs @0 :UInt64;
  # Time at which the token and with it the session end, Unix ms.
}

enum EvidenceKind {
  # Evidence that a front presents for one of its callers.
  unset @0;
  none @1;
  # The caller is anonymous.
  certificate @2;
  # A certificate whose key the caller has proven to hold, and perhaps a token bound to it.
  token @3;
  # A token bound to such a certificate, of which the hash is given.
  capability @4;
}

struct OpenDelegationRequest {
  evidence @0 :EvidenceKind;
  chain @1 :List(Data);
  # DER, the caller's certificate first, without the root.
  token @2 :Text;
  leafHash @3 :Data;
  # SHA-256 of the caller's certificate.
  capability @4 :Text;
  address @5 :Text;
  # Address of the caller; empty: not known.
}

struct OpenDelegationReply {
  id @0 :UInt32;
  # Valid on this session, for Request.delegation.
  expiresAtMs @1 :UInt64;
  # Unix ms; 0: it has no end of its own.
  subject @2 :Text;
  unchecked @3 :Data;
  # The caveats of a capability that the front must check against each request.
}

struct CloseDelegationRequest {
  id @0 :UInt32;
}

struct MintCapabilityRequest {
  caveats @0 :Data;
  # As identity/capabilities/caveat.ts encodes them, with a scope; the node adds the expiry.
  lifeMs @1 :UInt64;
}

struct VerifyCapabilityRequest {
  capability @0 :Text;
}

struct VerifyCapabilityReply {
  capabilityId @0 :Text;
  expiresAtMs @1 :UInt64;
  # Unix ms.
}

struct TextReply {
  # Reply of MintToken, IssueToken, GetTokenKeys and GetTrustBundle.
  text @0 :Text;
}

enum BanKind {
  # The kinds of ban, by what they name. The numbers are stored in logs.
  unset @0;
  subject @1;
  lineage @2;
  token @3;
  capability @4;
}

struct BanRequest {
  # Request of Ban and Unban.
  name @0 :Text;
  # A SPIFFE id, a lineage's number in decimal, or a token's id.
  reason @1 :Text;
  untilMs @2 :UInt64;
  # Unix ms; 0: until it is lifted.
  kind @3 :BanKind;
}

struct BanReply {
  # Reply of Ban.
  name @0 :Text;
  # The name as stored, in its normalized spelling.
  known @1 :Bool;
  # Whether the name is known: a certificate, or a token with grants, was issued for it.
}

struct BansRequest {
  first @0 :UInt32;
  # Count of bans to skip, in the order of their creation.
  limit @1 :UInt32;
}

struct BansReply {
  bans @0 :List(BanEntry);
  count @1 :UInt32;
  # Count of all bans.
}

struct BanEntry {
  name @0 :Text;
  reason @1 :Text;
  untilMs @2 :UInt64;
  # Unix ms; 0: until it is lifted.
  kind @3 :BanKind;
  writer @4 :UInt32;
  # Lineage of its author; 0: the registry itself, or a version that did not record it.
  unixS @5 :UInt32;
  # Creation time; 0: not known.
}

struct AuditRequest {
  first @0 :UInt64;
  # Number of the first wanted entry, from 1.
  limit @1 :UInt32;
}

struct AuditReply {
  entries @0 :List(Data);
  # As in audit.capnp, oldest first.
  count @1 :UInt64;
  # Count of all entries ever written.
  anchor :group $bytes { a @2 :UInt64; b @3 :UInt64; c @4 :UInt64; d @5 :UInt64; }
  # The hash of the entry before the oldest stored entry.
  head :group $bytes { e @6 :UInt64; f @7 :UInt64; g @8 :UInt64; h @9 :UInt64; }
  # The hash of the newest entry.
}

struct LineageRequest {
  lineage @0 :UInt32;
}

struct LineageReply {
  subject @0 :Text;
  generation @1 :UInt32;
  stopped @2 :Text;
  # stolen, replaced or banned; empty: not stopped.
  notAfterMs @3 :UInt64;
  # End of its latest certificate, Unix ms.
}

struct WhoAmIReply {
  subject @0 :Text;
  # As peers are named: a SPIFFE id; `capability:` and its id.
  role @1 :Text;
  region @2 :Text;
  lineage @3 :UInt32;
  # 0: none.
  expiresAtMs @4 :UInt64;
  # Unix ms; 0: never.
  domains @5 :List(Text);
  gateways @6 :List(Text);
  credentialHashes @7 :Bool;
  reads @8 :List(ReadLimitRecord);
  scopes @9 :List(Text);
  # Of a capability.
  front @10 :Text;
  # The front that acts for the caller; empty: none does.
}

struct RemoveMemberRequest {
  nodeId @0 :UInt32;
}

struct RemoveRecordRequest {
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  kind @2 :UInt16;
  # 1 agent, 2 gateway.
}

struct JoinClusterRequest {
  # Admits a node as a member, or updates a member's description of itself.
  nodeId @0 :UInt32;
  # 0: the next free number.
  partitionCount @1 :UInt32;
  applyVersionMax @2 :UInt32;
  folderId :group $bytes { high @3 :UInt64; low @4 :UInt64; }
  # Random, created with the data folder.
  clusterId :group $bytes { high @5 :UInt64; low @6 :UInt64; }
  # The cluster that the folder belongs to; zeros: none.
  region @7 :Text;
  zone @8 :Text;
  host @9 :Text;
  # Failure domains; empty: not known.
  addresses @10 :List(RingAddress);
  pin @11 :Data;
  nextPin @12 :Data;
  program @13 :Text;
  # The version of the node's program; empty: a program that does not say it.
  isStandby @14 :Bool;
  # Whether the node is to hold nothing until it takes the place of another one, or is told to stay.
}

struct JoinClusterReply {
  nodeId @0 :UInt32;
  generation @1 :UInt32;
  replica @2 :UInt64;
  # The node's replica of group 0.
  clusterId :group $bytes { high @3 :UInt64; low @4 :UInt64; }
  partitionCount @5 :UInt32;
  region @6 :Text;
  members @7 :List(ClusterMember);
  systemReplicas @8 :List(SystemReplica);
  # The replicas of group 0.
}

struct ClusterMember {
  nodeId @0 :UInt32;
  addresses @1 :List(RingAddress);
  pin @2 :Data;
  nextPin @3 :Data;
  folderId :group $bytes { high @4 :UInt64; low @5 :UInt64; }
}

struct SystemReplica {
  replica @0 :UInt64;
  nodeId @1 :UInt32;
}

struct ReportPlacementRequest {
  # Placement changes that the leaders of the partitions have completed.
  changes @0 :List(MadeChange);
  handedOver @1 :UInt64;
  # Revision of the departure for which the node has handed over all that it led; 0: it has not.
}

struct MadeChange {
  partition @0 :UInt32;
  revision @1 :UInt64;
  # Revision of the placement that requested the change.
  configurationIndex @2 :UInt64;
  # An index at which the new configuration was in force.
}

struct ClusterStatusReply {
  # The cluster as one node sees it. The fields about its own replicas are exact; the others are
  # from its copy of group 0.
  nodeId @0 :UInt32;
  partitionCount @1 :UInt32;
  clusterId :group $bytes { high @2 :UInt64; low @3 :UInt64; }
  generation @4 :UInt32;
  ring @5 :UInt64;
  # The epoch of its ring map.
  systemLeader @6 :UInt32;
  # Node id of the leader of group 0; 0: not known.
  systemTerm @7 :UInt64;
  systemApplied @8 :UInt64;
  systemVoters @9 :List(UInt32);
  systemLearners @10 :List(UInt32);
  # Node ids.
  replicas @11 :UInt32;
  leading @12 :UInt32;
  # Count of partitions that the node holds, and that it leads.
  leaderlessCount @13 :UInt32;
  leaderless @14 :List(UInt32);
  # Partitions that the node holds without knowing their leader; the list contains the first of
  # them.
  underReplicatedCount @15 :UInt32;
  underReplicated @16 :List(UInt32);
  # Partitions that the node leads and that have too few reachable replicas; the list contains the
  # first of them.
  moving @17 :UInt32;
  # Count of partitions whose placement is changing.
  members @18 :List(MemberStatus);
  version @19 :Text;
  region @20 :Text;
  areMovesPaused @21 :Bool;
  # Whether replicas stay where they are, unless one is missing or its node departs.
}

struct MemberStatus {
  # A member as another node sees it.
  nodeId @0 :UInt32;
  zone @1 :Text;
  host @2 :Text;
  addresses @3 :List(RingAddress);
  currentPin @4 :Data;
  nextPin @5 :Data;
  isConnected @6 :Bool;
  roundTripUs @7 :UInt32;
  # 0: not known.
  laggingCount @8 :UInt32;
  lagEntriesMax @9 :UInt64;
  # For the partitions that the answering node leads: count of replicas on this member that lack
  # committed entries, and the maximum number of entries that one of them lacks.
  departure @10 :DepartureGoal;
  # Unset: the node is not departing.
}

struct UpgradeStatusReply {
  # The versions of a node, and those of the cluster as the node sees them.
  nodeId @0 :UInt32;
  applyVersion @1 :UInt32;
  # The apply version of group 0.
  applyVersionMax @2 :UInt32;
  # The highest apply version that the node's program supports.
  governedVersion @3 :UInt32;
  # The apply version of the governed plane; 0: the node does not hold it.
  clientVersionMin @4 :UInt16;
  clientVersionMax @5 :UInt16;
  peerVersionMin @6 :UInt16;
  peerVersionMax @7 :UInt16;
  # Version ranges of the protocol with clients and of that between nodes.
  program @8 :Text;
  files @9 :List(FileVersion);
  partitions @10 :List(PartitionVersionCount);
  # Of the partitions that the node holds.
  features @11 :List(ApplyFeature);
  # Features that the node's program knows and the cluster has not switched on yet.
  members @12 :List(MemberVersions);
}

struct FileVersion {
  # The version in which a node writes files of a kind. It reads that one and all before.
  name @0 :Text;
  version @1 :UInt32;
}

struct PartitionVersionCount {
  # The number of partitions that have an apply version.
  applyVersion @0 :UInt32;
  count @1 :UInt32;
}

struct ApplyFeature {
  # A feature that an apply version adds.
  applyVersion @0 :UInt32;
  name @1 :Text;
}

struct MemberVersions {
  # Versions that a member told group 0, and the answering node in its last session with it.
  nodeId @0 :UInt32;
  applyVersionMax @1 :UInt32;
  # The highest apply version that its program supports.
  isConnected @2 :Bool;
  peerVersion @3 :UInt16;
  # The version of the protocol that both nodes speak; 0: they have no session.
  program @4 :Text;
  # Empty: not known.
}

struct PartitionStatusRequest {
  partition @0 :UInt32;
}

struct PartitionStatusReply {
  # A partition as one node sees it.
  nodeId @0 :UInt32;
  partition @1 :UInt32;
  replica @2 :UInt64;
  # The node's replica; 0: it has none, and the fields up to `hasLease` are empty.
  role @3 :Text;
  term @4 :UInt64;
  leader @5 :UInt32;
  # Node id; 0: not known.
  applied @6 :UInt64;
  committed @7 :UInt64;
  last @8 :UInt64;
  hasLease @9 :Bool;
  # True if it may serve reads now without asking other replicas.
  revision @10 :UInt64;
  placed @11 :List(ReplicaStatus);
  # The placement in its copy of group 0.
  members @12 :List(ReplicaStatus);
  # The configuration in force, with the known progress of each member; empty unless the node leads.
  isAgeProven @13 :Bool;
  ageBoundMs @14 :UInt32;
  # The proven age of the replica's state; 0 at a leader with a lease.
}

struct ReplicaStatus {
  replica @0 :UInt64;
  nodeId @1 :UInt32;
  # 0: not known.
  role @2 :Text;
  match @3 :UInt64;
}

# Operations between nodes: the steps of a write that spans partitions, each sent to the leader of
# another partition. lineage, subject and token identify the identity on whose behalf the step is
# made; 0 and empty: the registry itself.

struct ClaimDomainRequest {
  agentId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  replaces :group { generation @2 :UInt32; index @3 :UInt64; }
  # The revoked claim that it replaces; zero: none.
  lineage @4 :UInt32;
  domain @5 :Text;
  subject @6 :Text;
  token @7 :Text;
  # Id of the token whose grants are used; empty: none.
}

struct ClaimDomainReply {
  agentId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  # The agent that holds the claim: the requesting one, or another.
  claim :group { generation @2 :UInt32; index @3 :UInt64; }
  pending @4 :Bool;
}

struct RevokeClaimRequest {
  agentId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  # The agent whose claim is revoked.
  claim :group { generation @2 :UInt32; index @3 :UInt64; }
  claimant :group $bytes { high @4 :UInt64; low @5 :UInt64; }
  # The agent that claims the domain instead; zeros: the domain's own partition releases the domain.
  lineage @6 :UInt32;
  subject @7 :Text;
  token @8 :Text;
}

struct RevokeClaimReply {
  held @0 :Bool;
  # True if the agent is registered with the claim, so that nothing was revoked.
}

struct ConfirmClaimRequest {
  agentId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  claim :group { generation @2 :UInt32; index @3 :UInt64; }
  domain @4 :Text;
}

struct ReleaseDomainReply {
  released @0 :Bool;
  # False if the domain has another claim by now.
}

struct RemoveAgentsRequest {
  gatewayId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  lineage @2 :UInt32;
  partitions @3 :List(UInt32);
  # Partitions in which agents of the gateway are removed.
  subject @4 :Text;
  token @5 :Text;
}

struct RemoveAgentsReply {
  removed @0 :UInt32;
  left @1 :List(UInt32);
  # Partitions that the node does not lead, or whose leader changed meanwhile; the caller asks again
  # for these.
}

struct NoteRemovalRequest {
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  kind @2 :UInt16;
  lineage @3 :UInt32;
  subject @4 :Text;
  # Subject of the administrator; empty: the registry itself.
  detail @5 :Text;
}

struct EnrolNodeRequest {
  # A node that is to join and has no certificate yet.
  nodeId @0 :UInt32;
  # 0: the next free number.
  partitionCount @1 :UInt32;
  applyVersionMax @2 :UInt32;
  folderId :group $bytes { high @3 :UInt64; low @4 :UInt64; }
  # Random, made with the data folder.
  region @5 :Text;
  zone @6 :Text;
  host @7 :Text;
  token @8 :Text;
  # A join token for a node.
  request @9 :Data;
  # A certificate request (PKCS #10).
}

struct EnrolNodeReply {
  nodeId @0 :UInt32;
  # The number that was given to the data folder.
  subject @1 :Text;
  chain @2 :List(Data);
  # The certificate first, without the root.
  bundle @3 :Text;
}

struct ProposeSystemRequest {
  command @0 :Data;
  # A command of group 0 about identities or a new member.
  proof @1 :Data;
  # Shows that the sender has the authority's keys (proposal_rights.ts); empty: none.
}

struct ProposeSystemReply {
  assigned @0 :UInt64;
  # The number that the command assigned; 0: none.
}

struct SystemReadPointReply {
  appliedIndex @0 :UInt64;
  # A replica of group 0 that has applied it has seen all that was committed at the request.
}

struct SignServerRequest {
  publicKey @0 :Data;
  # P-256, the uncompressed point.
  names @1 :List(Text);
  # The hosts that clients dial.
  notBeforeMs @2 :UInt64;
}

struct SignServerReply {
  certificate @0 :Data;
  issuer @1 :Data;
  # Both DER.
}

# Watches: many replies to one request, under its id. The last one has a code, or isLast.

struct WatchRequest {
  # Request of Watch, ListAndWatch and RegionFeed; the last one has no conditions.
  kind @0 :UInt16;
  # 1 agent, 2 gateway, 3 alias; 0: agents and gateways.
  region @1 :Text;
  # Empty: any.
  labels @2 :List(Record.Label);
  # The record must have all of them.
  ids @3 :List(Data);
  # 16 bytes each; empty: any.
  domains @4 :List(Text);
  # The names of aliases; empty: any.
  positions @5 :List(WatchPosition);
  # The partitions that this node is to serve.
  progressMs @6 :UInt32;
  # Interval of progress replies; 0: the default.
  withBefore @7 :Bool;
  # Events carry the record before the change too.
  follower @8 :Text;
  # Of RegionFeed: the region that follows; else empty.
  withMirrors @9 :Bool;
  # Mirrors of records of other regions are watched too.
}

enum WatchStart {
  # Where a watch starts in a partition: behind the position, with the next change, or with the state.
  position @0;
  next @1;
  state @2;
}

struct WatchPosition {
  # A position in a partition's history: everything up to it has been received.
  partition @0 :UInt32;
  generation @1 :UInt32;
  index @2 :UInt64;
  ordinal @3 :UInt32;
  # Number of the event in its entry, from 1; 2^32 - 1: all events of the entry.
  start @4 :WatchStart;
  # The position is read for `position`, and for `state` with afterId.
  afterId @5 :Data;
  # For `state`: the state up to this id was received, as of the position; 16 bytes. Empty: none of
  # it.
}

struct WatchReply {
  parts @0 :List(WatchPart);
  progress @1 :Bool;
  # Sent periodically, from the start on; its receipt has the largest proven age of the partitions,
  # and is absent while the age of one is not proven. A partition is named if its position moved.
  isLast @2 :Bool;
  # After CancelWatch, and when no partition is left.
  nonce @3 :UInt32;
  # Of a progress that AskProgress asked for: its nonce; else 0.
}

enum WatchPhase {
  # The phases of a part of a watch.
  changes @0;
  reset @1;
  # The history behind the position is gone, and the state follows.
  state @2;
  stateEnd @3;
  ended @4;
  # This node serves the partition no longer, or not at all; the watch of the others goes on.
}

struct WatchPart {
  partition @0 :UInt32;
  generation @1 :UInt32;
  index @2 :UInt64;
  ordinal @3 :UInt32;
  # The position behind this part.
  phase @4 :WatchPhase;
  events @5 :List(WatchEvent);
  code @6 :UInt16;
  # Of phase `ended`: why.
  leaderHint @7 :UInt32;
  retryAfterMs @8 :UInt32;
}

enum WatchEventType {
  # The types of events of a watch.
  unset @0;
  put @1;
  superseded @2;
  # Another process took the record over.
  deregistered @3;
  expired @4;
  domainLost @5;
  # An agent gave its domain up, or an alias ended.
  stale @6;
  # The lease is over, and the record stays because many end at once.
  recovered @7;
  # A stale record was renewed.
}

struct WatchEvent {
  type @0 :WatchEventType;
  kind @1 :UInt16;
  ordinal @2 :UInt32;
  index @3 :UInt64;
  # With the generation of the part, the event's position; of a state, the record's revision.
  record @4 :Data;
  # The stored form after the change; for types 3 to 5, the form before.
  before @5 :Data;
  # On request, for types 1 and 2: the form before, if there was one.
  remainingMs @6 :UInt32;
  # Of types 1 and 2: time until the record's logged cover ends.
  left @7 :Bool;
  # The record no longer matches the request, as its form before did.
  home @8 :Text;
  # Of a mirror: the region that the record belongs to; else empty. Its type is put or deregistered.
}

struct CancelWatchRequest {
  id @0 :UInt32;
  # The id of the watch's request, on the same stream.
}

struct AskProgressRequest {
  # Asks for a progress reply of a watch, behind all events that are there when it is asked. Its
  # sender knows when it asked, and so how old the proof is at most.
  id @0 :UInt32;
  # The id of the watch's request, on the same stream.
  nonce @1 :UInt32;
  # Not 0. Of several that were asked for, the newest is answered.
}

struct AddRegionRequest {
  # Adds a peer region, whose records are mirrored here.
  bytesPerSecondMax @0 :UInt64;
  # Of what is received from it. 0: the default; of all limits below too.
  preference @1 :UInt32;
  # Order in which mirrors of several regions answer, the lowest first.
  logPercentMax @2 :UInt16;
  # Share of the log's bytes that its mirrors may take.
  name @3 :Text;
  servers @4 :List(Text);
  # host:port each.
  bundle @5 :Text;
  # Its trust bundle; empty: none.
}

enum RegionPause {
  # Whether a region's mirrors are to be kept current.
  unchanged @0;
  pause @1;
  resume @2;
}

struct SetRegionRequest {
  # Changes settings of a peer region; 0 or empty: unchanged.
  bytesPerSecondMax @0 :UInt64;
  preference @1 :UInt32;
  logPercentMax @2 :UInt16;
  pause @3 :RegionPause;
  name @4 :Text;
  servers @5 :List(Text);
  bundle @6 :Text;
}

struct RemoveRegionRequest {
  name @0 :Text;
}

struct RegionServersRequest {
  # Asks where the servers of a peer region are, for clients that go to a record's home.
  name @0 :Text;
}

struct RegionServersReply {
  servers @0 :List(RegionServer);
  # None: it is the region of this cluster.
  authorities @1 :Text;
  # Certificates of the CAs by which its servers are verified, in PEM; empty: by their pins.
}

struct RegionServer {
  address @0 :Text;
  # host:port.
  pins @1 :List(Data);
  # SHA-256 of its current and of its next certificate, as far as they are known.
}

struct ListRegionsReply {
  regions @0 :List(PeerRegionEntry);
  # In the order of their preference.
  own @1 :Text;
  # The region of this cluster.
}

struct PeerRegionEntry {
  bytesPerSecondMax @0 :UInt64;
  mirrors @1 :UInt64;
  # Number of its records that this node mirrors.
  clusterId :group $bytes { high @2 :UInt64; low @3 :UInt64; }
  # The accepted cluster; zeros: none was accepted yet.
  generation @4 :UInt32;
  preference @5 :UInt32;
  logPercentMax @6 :UInt16;
  isPaused @7 :Bool;
  hasBundle @8 :Bool;
  name @9 :Text;
  servers @10 :List(Text);
  replicatedAgeMs @11 :UInt32;
  # Age of its mirrors: all its changes up to that long ago are mirrored. 2^32 - 1: unknown.
  contactAgeMs @12 :UInt32;
  # Time since it answered; 2^32 - 1: unknown.
  lagEntries @13 :UInt64;
  # Changes that were received here and are not applied.
  lagBytes @14 :UInt64;
  # Their size.
  resyncs @15 :UInt64;
  # Partitions of it that were listed because their history was gone.
  refused @16 :UInt64;
  # Changes that were refused here.
  seenClusterId :group $bytes { high @17 :UInt64; low @18 :UInt64; }
  seenGeneration @19 :UInt32;
  # The cluster and generation that the region reports, if they are not the accepted ones; else zeros.
  pullerNode @20 :UInt32;
  # Node of its first puller; 0: none.
  state @21 :Text;
  # following, syncing, connecting, refused, paused or unassigned.
  error @22 :Text;
  # The last one of its pullers.
}

struct AcceptGenerationRequest {
  # Accepts the cluster that a region is now, as an operator has confirmed it.
  clusterId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  generation @2 :UInt32;
  name @3 :Text;
}

# Between the nodes of a cluster, for pullers: a puller writes to partitions that other nodes lead, and
# every node knows how fresh the mirrors are.

struct LogMirrorsRequest {
  # Logs a fence or a batch in a partition.
  partition @0 :UInt32;
  command @1 :Data;
}

struct LogMirrorsReply {
  count @0 :UInt32;
  # Changes that took effect.
  refused @1 :UInt32;
}

struct ReadMirrorsRequest {
  # Asks for what a partition has of a region: its cursors, and a page of its mirrors and aliases.
  partition @0 :UInt32;
  page @1 :UInt32;
  pages @2 :UInt32;
  # The page has the records whose last four bytes of the id leave this rest. 0 pages: no mirrors.
  home @3 :Text;
}

struct ReadMirrorsReply {
  count @0 :UInt64;
  # Of all mirrors and aliases.
  feed @1 :UInt32;
  # Generation of the feed; 0: none.
  cursors @2 :List(Record.MirrorCursor);
  mirrors @3 :List(HeldMirror);
  aliases @4 :List(HeldAlias);
}

struct HeldMirror {
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  revision :group { generation @2 :UInt32; index @3 :UInt64; }
  feed @4 :UInt32;
  kind @5 :UInt16;
}

struct HeldAlias {
  agentId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  claim :group { generation @2 :UInt32; index @3 :UInt64; }
  revision :group { generation @4 :UInt32; index @5 :UInt64; }
  feed @6 :UInt32;
  domain @7 :Text;
}

struct PullerStatesReply {
  pullers @0 :List(PullerState);
}

struct PullerState {
  # A puller on the answering node, as of the answer.
  fence @0 :UInt64;
  lagEntries @1 :UInt64;
  lagBytes @2 :UInt64;
  resyncs @3 :UInt64;
  refused @4 :UInt64;
  shard @5 :UInt32;
  feed @6 :UInt32;
  ageMs @7 :UInt32;
  # Age of the shard's mirrors; 2^32 - 1: unknown.
  contactAgeMs @8 :UInt32;
  # Time since the region answered; 2^32 - 1: unknown.
  seenGeneration @9 :UInt32;
  seenClusterId :group $bytes { high @10 :UInt64; low @11 :UInt64; }
  region @12 :Text;
  state @13 :Text;
  error @14 :Text;
}

# Operations between regions. Each names the asking region: a certificate must be of it, and without
# certificates it is believed.

struct RegionStatusRequest {
  follower @0 :Text;
  bundleSequence @1 :UInt64;
  # Sequence of the trust bundle that the asking region has of this one; 0: none.
  bansDigest @2 :Data;
  # The digest of the bans that it has; empty: none.
}

struct RegionStatusReply {
  clusterId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  generation @2 :UInt32;
  # Of the cluster.
  partitionCount @3 :UInt32;
  region @4 :Text;
  bundle @5 :Text;
  # The trust bundle, if it is newer than the one named; else empty.
  bansDigest @6 :Data;
  bans @7 :List(RegionBan);
  # The bans of this region's nodes, if they are not those named; else empty.
  hashKey :group $bytes { high @8 :UInt64; low @9 :UInt64; }
  # By which the region maps keys to its partitions.
}

struct RegionBan {
  # A ban of a region's node.
  untilMs @0 :UInt64;
  # Unix ms; 0: until it is lifted.
  lineage @1 :UInt32;
  # 0: the subject is banned.
  subject @2 :Text;
}

# The governed plane. Documents are in their canonical JSON form, since that is what is signed.

struct SignerKey {
  publicKey @0 :Data;
  # Ed25519, 32 bytes.
  id @1 :Text;
}

struct InitGovernanceRequest {
  # The genesis: the first signers. The keys of checkpoints are those of the nodes.
  threshold @0 :UInt16;
  signers @1 :List(SignerKey);
}

struct InitGovernanceReply {
  genesis @0 :Data;
}

struct ProposeRequest {
  payload @0 :Data;
  signatures @1 :List(Governance.PayloadSignatureRecord);
}

struct SignProposalRequest {
  proposal @0 :UInt64;
  signatures @1 :List(Governance.PayloadSignatureRecord);
}

struct ProposalRequest {
  # Request of ApplyProposal and GetProposal.
  proposal @0 :UInt64;
}

struct ProposalState {
  # Reply of Propose, SignProposal and ApplyProposal.
  proposal @0 :UInt64;
  version @1 :UInt64;
  # The global version of its entry; 0: it is not applied.
  missing @2 :UInt32;
  # Signatures that it lacks.
}

struct ProposalReply {
  proposal @0 :UInt64;
  version @1 :UInt64;
  # As in ProposalState.
  createdUnixS @2 :UInt64;
  remainingMs @3 :UInt32;
  # Time until it expires; 0 if it is applied.
  missing @4 :UInt32;
  payload @5 :Data;
  caller @6 :Text;
  signatures @7 :List(Governance.PayloadSignatureRecord);
}

struct GovernanceStatusReply {
  version @0 :UInt64;
  # The number of applied payloads.
  signerSet @1 :UInt64;
  openProposals @2 :UInt32;
  threshold @3 :UInt16;
  isFrozen @4 :Bool;
  genesis @5 :Text;
  # Its hash; empty: there is no genesis.
  signers @6 :List(SignerKey);
  home @7 :Text;
  # The region in which proposals are made; empty: this one.
  contactAgeMs @8 :UInt32;
  # In a mirror: time since its home answered; 0xffffffff: not known.
  refusal @9 :Text;
  # In a mirror: why the newest entries of its home were refused; empty: they were taken.
  checkpointKey @10 :Data;
  # The newest key of the answering node that signs checkpoints once the signers list it; empty: none.
}

struct MirrorGovernanceRequest {
  region @0 :Text;
  genesis @1 :Text;
  # Hash of the genesis that the region must have.
}

struct MirrorGovernanceReply {
  version @0 :UInt64;
  # The global version that is mirrored so far.
}

struct GovernedLogRequest {
  after @0 :UInt64;
  # Global version after which entries are wanted.
  waitMs @1 :UInt32;
  # Time for which the node waits if there are none.
  knowsGenesis @2 :Bool;
  id @3 :Text;
  # Only entries of this descriptor; empty: all.
}

struct GovernedLogReply {
  version @0 :UInt64;
  # The newest one there is; with an id, of its entries.
  ageBoundMs @1 :UInt32;
  # The answer is complete up to this long ago; 0xffffffff: not known.
  genesis @2 :Data;
  # Empty: there is none, or the caller knows it.
  entries @3 :List(Governance.GovernedEntryRecord);
  # As many as fit, in order.
}

struct GovernedBundleRequest {
  since @0 :UInt64;
  # Size of the caller's last checkpoint; 0: none.
  id @1 :Text;
}

struct SignCheckpointRequest {
  # Between nodes.
  size @0 :UInt64;
  origin @1 :Text;
  # Empty: only the public key is asked for.
  root @2 :Data;
  keys @3 :List(Data);
  # The public keys of which one must sign.
}

struct SignCheckpointReply {
  publicKey @0 :Data;
  note @1 :Text;
}

struct GovernanceAuditRequest {
  after @0 :UInt64;
  # Number of the record after which records are wanted.
  limit @1 :UInt16;
}

struct GovernanceAuditReply {
  count @0 :UInt64;
  # Records ever made; the oldest ones are not kept.
  records @1 :List(Governance.GovernanceAuditRecord);
}

struct RegisterRelayRequest {
  relayId @0 :Text;
  address @1 :Text;
  grpcPort @2 :UInt32;
  # An Int32 in two's complement.
  ttlMs @3 :UInt32;
  # 0: the default.
  credentialHash @4 :Data;
  # Empty, or the hash under which alone the relay may be written.
  process @5 :UInt64;
  # A random number for each registration, the same when it is repeated.
}

struct HeartbeatRelayRequest {
  relayId @0 :Text;
  credentialHash @1 :Data;
}

struct PlaceAgentRequest {
  agentId @0 :Text;
  relayId @1 :Text;
  ttlMs @2 :UInt32;
  # 0: the default.
  credentialHash @3 :Data;
  # That of the relay.
  process @4 :UInt64;
  # As in RegisterRelayRequest.
}

struct HeartbeatAgentRequest {
  agentId @0 :Text;
  relayId @1 :Text;
  # The relay that must hold the agent; empty: any.
  credentialHash @2 :Data;
  # That of the relay.
}

struct HeartbeatReply {
  renewAfterMs @0 :UInt32;
}

struct GetRelayRequest {
  relayId @0 :Text;
}

struct GetRelayReply {
  relay @0 :Data;
  # The stored form of a Relay.
  remainingMs @1 :UInt32;
  unixMs @2 :UInt64;
  # The node's wall clock.
}

struct GetPlacementRequest {
  agentId @0 :Text;
}

struct GetPlacementReply {
  placement @0 :Data;
  # The stored form of a Placement.
  remainingMs @1 :UInt32;
  relayPart @2 :UInt8;
  # One of RESOLVED_PARTS. notFound: the relay's incarnation has ended; elsewhere: another node knows.
  unixMs @3 :UInt64;
}

struct ListRelaysRequest {
  cursor @0 :Data;
  # As in ListRequest.
  limit @1 :UInt32;
}

struct ListPlacementsRequest {
  relayId @0 :Text;
  # Empty: the placements at all relays.
  cursor @1 :Data;
  limit @2 :UInt32;
}

struct ListNamedReply {
  items @0 :List(RecordReply);
  # Stored forms of a Relay or a Placement.
  nextCursor @1 :Data;
  unixMs @2 :UInt64;
}

struct FindRelayRequest {
  # Between nodes.
  relayId @0 :Text;
  credentialHash @1 :Data;
}

struct FindRelayReply {
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  owner :group $bytes { high @2 :UInt64; low @3 :UInt64; }
  incarnation :group { generation @4 :UInt32; index @5 :UInt64; }
  # Zero: the relay is not registered.
  isSameCredential @6 :Bool;
}

enum DepartureGoal {
  # Where the departure of a node ends: it holds nothing any more, or it is no member any more.
  unset @0;
  drained @1;
  removed @2;
}

struct DepartRequest {
  # Begins the departure of a node, or gives it another goal.
  nodeId @0 :UInt32;
  successor @1 :UInt32;
  # The node that is to take its place; 0: whichever.
  goal @2 :DepartureGoal;
  isFewerAllowed @3 :Bool;
  # Whether partitions may be left with fewer replicas than wished.
}

struct TransferLeaderRequest {
  # Makes a node the leader of a partition, as long as it can be.
  partition @0 :UInt32;
  nodeId @1 :UInt32;
}

struct RebalanceRequest {
  # Ends all choices of leaders, and lets what is pending go on.
  isDryRun @0 :Bool;
  # Changes nothing, and says what would be done.
}

struct PauseMovesRequest {
  # Lets replicas stay where they are, or move again.
  arePaused @0 :Bool;
}

struct RebalanceReply {
  chosenLeaders @0 :UInt32;
  # Partitions whose leader an operator has chosen, which ends.
  changing @1 :UInt32;
  # Partitions whose placement is changing already.
  moves @2 :List(PlannedMove);
  # Of replicas, which the planner makes by itself.
  arePaused @3 :Bool;
  # Whether it begins only those of replicas that are missing, or whose nodes depart.
}

struct PlannedMove {
  partition @0 :UInt32;
  isBegun @1 :Bool;
  joining @2 :List(UInt32);
  leaving @3 :List(UInt32);
  # Node ids.
  bytes @4 :UInt64;
  # Of the partition's records, for each joining node; 0: the node that answers has no replica of it.
}

struct StayRequest {
  # Ends the departure of a node, which may then hold partitions again.
  nodeId @0 :UInt32;
}

struct DeparturesReply {
  departures @0 :List(DepartureStatus);
}

struct DepartureStatus {
  # A node that is leaving, as the leader of group 0 sees it.
  nodeId @0 :UInt32;
  successor @1 :UInt32;
  goal @2 :DepartureGoal;
  isAutomatic @3 :Bool;
  hasHandedOver @4 :Bool;
  # Whether it has handed over everything that it led.
  isVoter @5 :Bool;
  # Whether it still votes in group 0.
  isMember @6 :Bool;
  holds @7 :UInt32;
  heldAtFirst @8 :UInt32;
  # Replicas of partitions on it: now, and at the beginning.
  elapsedMs @9 :UInt64;
  # Time since the beginning.
}

struct ReadImageRequest {
  # Reads the next part of a group's image, for a backup.
  groupId @0 :UInt32;
  imageId @1 :UInt64;
  # 0: makes a new image, current as of now. Otherwise the number of the image that a reply named.
  offset @2 :UInt64;
  # Where the part begins.
}

struct ReadImageReply {
  imageId @0 :UInt64;
  nodeId @1 :UInt32;
  isLeader @2 :Bool;
  # Whether the node led the group when it made the image.
  index @3 :UInt64;
  # Index of the last entry that the image contains.
  term @4 :UInt64;
  # Term of the group at that time.
  totalBytes @5 :UInt64;
  records @6 :UInt64;
  # Live records and domains in it; for group 0 members, for the governed plane entries of its log.
  part @7 :Data;
}

struct PermitDemand {
  # The records of a region in the partitions that a node leads, and those of them that are to end.
  region @0 :Text;
  live @1 :UInt32;
  # All with a lease, the stale ones included.
  silent @2 :UInt32;
  # Those that missed their last two renewals, and stale ones whose loss is not confirmed.
  lapsed @3 :UInt32;
  # Those whose lease is over and that are not stale.
  stale @4 :UInt32;
  # Stale ones whose loss is not confirmed, and for which a permit is asked.
  confirmed @5 :UInt32;
  # Stale ones whose loss is confirmed, and for which a permit is asked.
  released @7 :UInt32;
  # Those of both that were stale when an operator released the region's, as far as the node saw it.
  fleet @6 :UInt32;
  # Estimate of the region's records in the whole cluster.
}

struct PermitGrant {
  first @0 :UInt64;
  # The permits are the numbers from it on.
  count @1 :UInt32;
  isMass @2 :Bool;
  # So many are silent at once that none of them gets a permit before its loss is confirmed.
  isHeld @3 :Bool;
  # An operator holds expiry.
  isReleased @4 :Bool;
  # The permits are for records that an operator released.
}

struct DrawPermitsRequest {
  draw @0 :UInt64;
  items @1 :List(PermitDemand);
}

struct DrawPermitsReply {
  grants @0 :List(PermitGrant);
  # One for each item, in the same order.
}

enum ExpiryAction {
  unset @0;
  hold @1;
  release @2;
}

struct SteerExpiryRequest {
  # Holds the expiry of a region's records for a time, ends that, or releases its stale records.
  action @0 :ExpiryAction;
  forMs @1 :UInt64;
  # Of a hold; 0 ends it.
  region @2 :Text;
  # Empty: all regions.
}

struct ExpiryStatusReply {
  # The expiry guard as a node sees it.
  sharePermille @0 :UInt32;
  floor @1 :UInt32;
  confirmMs @2 :UInt64;
  # Settings of the node.
  isGuarding @3 :Bool;
  # Whether all nodes of the cluster know the guard.
  regions @4 :List(RegionExpiry);
}

struct RegionExpiry {
  region @0 :Text;
  # Empty: what is held or released in all regions.
  live @1 :UInt32;
  stale @2 :UInt32;
  # In the partitions that the node leads.
  oldestStaleMs @3 :UInt64;
  # Age of its oldest stale record.
  holdLeftMs @4 :UInt64;
  releaseLeftMs @5 :UInt64;
  # As group 0 says.
  granted @6 :UInt64;
  denied @7 :UInt64;
  # Permits that the node drew, and that it asked for in vain, since its start.
}
