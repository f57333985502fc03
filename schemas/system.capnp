@0xc4a19d27e8f5036b;
# What group 0 logs about nodes, replicas, placement and versions. A put names the revision of what it
# replaces and is refused where that moved on.

using import "codec.capnp".bytes;

struct AdmitMemberCommand {
  # A node becomes a member, or a member describes itself anew.
  nodeId @0 :UInt32;
  # 0: the next free one.
  applyVersionMax @1 :UInt32;
  # The highest apply version that the node supports.
  folderId :group $bytes { high @2 :UInt64; low @3 :UInt64; }
  # Random, made with the node's data folder.
  zone @4 :Text;
  host @5 :Text;
  # Failure domains, the larger one first; empty: none is known.
  detail @6 :Text;
  # For the audit log.
}

struct AssignReplicasCommand {
  # Each place gets a replica id that no replica had before. Ids ascend in the order of the list.
  places @0 :List(ReplicaPlace);
}

struct ReplicaPlace {
  groupId @0 :UInt32;
  nodeId @1 :UInt32;
}

struct RetireReplicasCommand {
  # The replicas are members of no configuration any more, and never will be again.
  replicas @0 :List(UInt64);
}

struct ReplicaRecord {
  # In images only.
  replica @0 :UInt64;
  groupId @1 :UInt32;
  nodeId @2 :UInt32;
}

struct ReplicaTableCommand {
  # In images only: the next id, and a part of the table.
  next @0 :UInt64;
  replicas @1 :List(ReplicaRecord);
}

struct PutPlacementCommand {
  # Which replicas a partition has, and in which step of which change.
  partition @0 :UInt32;
  replacedRevision @1 :UInt64;
  # 0: there is no placement of the partition yet.
  configurationIndex @2 :UInt64;
  # Index of the group's configuration that the placement describes or leads away from.
  replicas @3 :List(PlacedReplica);
}

struct PlacedReplica {
  replica @0 :UInt64;
  role @1 :UInt16;
  # 1 voter, 2 learner, 3 joining, 4 leaving.
}

struct PlacementRecord {
  # In images only.
  partition @0 :UInt32;
  revision @1 :UInt64;
  configurationIndex @2 :UInt64;
  replicas @3 :List(PlacedReplica);
}

struct RaiseApplyVersionCommand {
  # From here on the group applies commands as this version defines them.
  version @0 :UInt32;
}

struct RaiseGenerationCommand {
  # After a restore or an unsafe recovery; lower is refused.
  generation @0 :UInt32;
}
