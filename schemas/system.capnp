@0xc4a19d27e8f5036b;
# Group 0's log entries about nodes, replicas, placement and versions. A put names the revision that
# it replaces and is refused if that revision is no longer current.

using import "codec.capnp".bytes;
using Wire = import "wire.capnp";

struct AdmitMemberCommand {
  # Admits a node as a member, or updates a member's description of itself.
  nodeId @0 :UInt32;
  # 0: the next free number.
  applyVersionMax @1 :UInt32;
  # The highest apply version that the node supports.
  folderId :group $bytes { high @2 :UInt64; low @3 :UInt64; }
  # Random, created with the node's data folder.
  zone @4 :Text;
  host @5 :Text;
  # Failure domains, the larger one first; empty: not known.
  detail @6 :Text;
  # For the audit log.
  program @7 :Text;
  # The version of the node's program, for operators; empty: not known.
  ringId @8 :UInt32;
  # In images only: the node whose points on the ring this one has; 0: its own.
}

struct AssignReplicasCommand {
  # Assigns to each place a replica id that was never used before. Ids ascend in the order of the
  # list.
  places @0 :List(ReplicaPlace);
}

struct ReplicaPlace {
  groupId @0 :UInt32;
  nodeId @1 :UInt32;
}

struct RetireReplicasCommand {
  # Retires replicas that are no longer in any configuration; their ids are never used again.
  replicas @0 :List(UInt64);
}

struct ReplicaRecord {
  # In images only.
  replica @0 :UInt64;
  groupId @1 :UInt32;
  nodeId @2 :UInt32;
}

struct ReplicaTableCommand {
  # In images only: the next id, and part of the table.
  next @0 :UInt64;
  replicas @1 :List(ReplicaRecord);
}

struct PutPlacementCommand {
  # The replicas of a partition, and the current step of a change of them.
  partition @0 :UInt32;
  replacedRevision @1 :UInt64;
  # 0: there is no placement of the partition yet.
  configurationIndex @2 :UInt64;
  # Index of the group's configuration that the placement describes or is changing.
  replicas @3 :List(PlacedReplica);
}

enum PlacedRole {
  # The roles of a placed replica: joining until it holds the log, leaving until it is removed. A
  # joining one that is given up is withdrawn until it is removed.
  unset @0;
  voter @1;
  learner @2;
  joining @3;
  leaving @4;
  withdrawn @5;
}

struct PlacedReplica {
  replica @0 :UInt64;
  role @1 :PlacedRole;
}

struct PlacementRecord {
  # In images only.
  partition @0 :UInt32;
  revision @1 :UInt64;
  configurationIndex @2 :UInt64;
  replicas @3 :List(PlacedReplica);
}

struct RaiseApplyVersionCommand {
  # From this entry on the group applies commands as this version defines them.
  version @0 :UInt32;
}

struct RaiseGenerationCommand {
  # Raises the generation after a restore or an unsafe recovery; a lower value is refused.
  generation @0 :UInt32;
}

struct PutRegionCommand {
  # Adds a peer region, or changes the settings of one.
  replacedRevision @0 :UInt64;
  # 0: there is no such region yet.
  bytesPerSecondMax @1 :UInt64;
  # Of what is received from it.
  preference @2 :UInt32;
  # Order in which mirrors of several regions answer; the lowest first.
  logPercentMax @3 :UInt16;
  # Share of the log's bytes that mirrors of the region may take.
  isPaused @4 :Bool;
  name @5 :Text;
  servers @6 :List(Text);
  # host:port each.
  bundle @7 :Text;
  # The region's trust bundle; empty: none.
  detail @8 :Text;
  # For the audit log.
}

struct RemoveRegionCommand {
  name @0 :Text;
  detail @1 :Text;
}

struct AcceptFeedCommand {
  # Accepts the cluster that a region is, and the generation of its data. Begins a new generation of
  # the feed.
  clusterId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  generation @2 :UInt32;
  isFirst @3 :Bool;
  # Only if none was accepted yet: by the registry itself, at the first contact.
  name @4 :Text;
  detail @5 :Text;
}

struct AssignPullerCommand {
  # Makes a node follow a shard of a region.
  replacedFence @0 :UInt64;
  # The fence of the assignment that it replaces; 0: none.
  shard @1 :UInt32;
  nodeId @2 :UInt32;
  name @3 :Text;
}

struct RegionRecord {
  # In images only.
  settings @0 :PutRegionCommand;
  revision @1 :UInt64;
  clusterId :group $bytes { high @2 :UInt64; low @3 :UInt64; }
  generation @4 :UInt32;
  feed @5 :UInt32;
  pullers @6 :List(PullerRecord);
  bansDigest @7 :Data;
  bans @8 :List(Wire.RegionBan);
}

struct PutRegionBansCommand {
  # Replaces the bans of a region's nodes by those that the region itself has.
  name @0 :Text;
  digest @1 :Data;
  # Names the list, as the region does.
  bans @2 :List(Wire.RegionBan);
}

struct PullerRecord {
  fence @0 :UInt64;
  shard @1 :UInt32;
  nodeId @2 :UInt32;
}

struct RemovedRegionsRecord {
  # In images only.
  next @0 :UInt64;
  # The number that is assigned next.
  regions @1 :List(RemovedRegion);
}

struct RemovedRegion {
  name @0 :Text;
  fence @1 :UInt64;
}

struct PutDepartureCommand {
  # Begins the departure of a node, or gives it another goal.
  nodeId @0 :UInt32;
  successor @1 :UInt32;
  # The node that is to take its place; 0: whichever.
  replacedRevision @2 :UInt64;
  # 0: the node is not departing.
  goal @3 :Wire.DepartureGoal;
  isFewerAllowed @4 :Bool;
  # Whether partitions may be left with fewer replicas than wished.
  isAutomatic @5 :Bool;
  # By the registry itself, because the node is silent.
  detail @6 :Text;
  # Who asked for it.
}

struct EndDepartureCommand {
  # Ends a departure: the node may hold partitions again, or is gone.
  nodeId @0 :UInt32;
  revision @1 :UInt64;
  # Of the departure; another one is refused.
  detail @2 :Text;
}

struct HandedOverCommand {
  # The departing node leads nothing any more.
  nodeId @0 :UInt32;
  revision @1 :UInt64;
}

struct RemoveDepartedCommand {
  # Removes a member whose departure has that goal, and that holds nothing.
  nodeId @0 :UInt32;
  revision @1 :UInt64;
}

struct DepartureRecord {
  # In images only.
  put @0 :PutDepartureCommand;
  revision @1 :UInt64;
  beganMs @2 :UInt64;
  # Group time.
  heldAtFirst @3 :UInt32;
  # Replicas of partitions that the node held then.
  hasHandedOver @4 :Bool;
}

struct PreferLeaderCommand {
  # Names the node that is to lead a partition, as long as it can.
  partition @0 :UInt32;
  nodeId @1 :UInt32;
  detail @2 :Text;
  # Who asked for it.
}

struct DrawPermitsCommand {
  # A leader of partitions asks for permits to expire records, for each region for which it needs any.
  draw @0 :UInt64;
  # A random number. The same one again changes nothing, and has the same outcome.
  ledFromMs @1 :UInt64;
  # Group time since which the proposer leads group 0: it has no permits from before.
  nodeId @2 :UInt32;
  sharePermille @3 :UInt32;
  floor @4 :UInt32;
  # The budget of a region per minute: that share of its records, and at least the floor.
  items @5 :List(Wire.PermitDemand);
}

struct SteerExpiryCommand {
  # Holds the expiry of a region's records, ends that, or releases its stale records.
  forMs @0 :UInt64;
  # Time from the command on; 0: ends it.
  action @1 :Wire.ExpiryAction;
  region @2 :Text;
  # Empty: all regions.
  detail @3 :Text;
  # Who asked for it.
}

struct ExpiryRecord {
  # In images only.
  nextPermit @0 :UInt64;
  term @1 :UInt64;
  ledFromMs @2 :UInt64;
  # Of the last draw.
  releases @3 :UInt64;
  # Index of the last command that released stale records.
  budgets @4 :List(ExpiryBudgetRecord);
  draws @5 :List(ExpiryDrawRecord);
  steered @6 :List(SteeredRegionRecord);
}

struct ExpiryBudgetRecord {
  milliPermits @0 :UInt64;
  atMs @1 :UInt64;
  region @2 :Text;
}

struct ExpiryDrawRecord {
  draw @0 :UInt64;
  nodeId @1 :UInt32;
  grants @2 :List(Wire.PermitGrant);
}

struct SteeredRegionRecord {
  holdUntilMs @0 :UInt64;
  releaseUntilMs @1 :UInt64;
  region @2 :Text;
}

struct PauseMovesCommand {
  # Whether replicas are to stay where they are, unless one is missing or its node departs.
  arePaused @0 :Bool;
  detail @1 :Text;
  # Who asked for it.
}

struct ForgetLeadersCommand {
  # Ends all preferences: leaderships are spread evenly again.
  detail @0 :Text;
}
