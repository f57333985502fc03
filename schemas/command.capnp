@0xb57c0e92d4f1a683;
# What a partition's group logs: one command an entry. A command says all that apply needs, so that
# apply is a pure function of the state and the entry.

using import "codec.capnp".bytes;

struct Command {
  timeMs @0 :UInt64;
  # The proposer's group time. Apply never lets the group's time go back.
  unixS @1 :UInt32;
  # Wall time, for lastSeen.
  writer @2 :UInt32;
  # Lineage of the identity that asked; 0: the registry itself.
  kind @3 :UInt16;
  # Which command `body` holds; see src/record/command.ts.
  body @4 :AnyPointer;
}

struct PutCommand {
  # Register: create, renew with new content, or take over.
  record @0 :Data;
  # The stored form of an Agent or Gateway; fields that the registry adds are ignored.
  kind @1 :UInt16;
  # The kind of record.
  expected :group { generation @2 :UInt32; index @3 :UInt64; }
  # The incarnation taken over from; zero: none named.
}

struct ExtendCommand {
  # Extends the covers of many records at once: each to the time of its renewal + twice its ttl.
  items @0 :List(ExtendItem);
}

struct ExtendItem {
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  incarnation :group { generation @2 :UInt32; index @3 :UInt64; }
  kind @4 :UInt16;
  renewedAgo @5 :UInt16;
  # How long before the command's time its owner renewed it, in steps of 250 ms rounded down, at most
  # 65,535: the cover counts from the renewal, so that a gathered extension gives nothing away.
}

struct RemoveCommand {
  # Deregister.
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  incarnation :group { generation @2 :UInt32; index @3 :UInt64; }
  process @4 :UInt64;
  # 0: somebody other than the owner's process.
  sequence @5 :UInt32;
  kind @6 :UInt16;
}

struct ExpireCommand {
  # Removes what the leader saw expire; an item whose record moved on is refused by itself.
  items @0 :List(ExpireItem);
}

struct ExpireItem {
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  incarnation :group { generation @2 :UInt32; index @3 :UInt64; }
  leaseExpiryMs @4 :UInt64;
  # The cover that the leader saw.
  kind @5 :UInt16;
}

struct ReportCommand {
  # A gateway's use and state.
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
  # 0: somebody other than the owner's process, whose word has no place in the owner's order.
  sequence @14 :UInt32;
}

struct ClaimCommand {
  # In the domain's group: a pending alias. Its claim is (generation, 2^40 x partition + index of
  # this entry).
  domain @0 :Text;
  agentId :group $bytes { high @1 :UInt64; low @2 :UInt64; }
  replaces :group { generation @3 :UInt32; index @4 :UInt64; }
  # A claim that was revoked in its agent's group and may be replaced; zero: none.
}

struct ConfirmCommand {
  # In the domain's group, after the agent's group logged the register with this claim.
  domain @0 :Text;
  agentId :group $bytes { high @1 :UInt64; low @2 :UInt64; }
  claim :group { generation @3 :UInt32; index @4 :UInt64; }
}

struct RevokeCommand {
  # In the agent's group: refuses the claim from now on, unless the agent holds it.
  agentId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  claim :group { generation @2 :UInt32; index @3 :UInt64; }
}

struct ReleaseCommand {
  # In the domain's group, after the claim was revoked: gives the domain up.
  domain @0 :Text;
  claim :group { generation @1 :UInt32; index @2 :UInt64; }
}

struct GenesisCommand {
  # The first entry of the system group: what is fixed when a cluster is created.
  clusterId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  hashKey :group $bytes { high @2 :UInt64; low @3 :UInt64; }
  partitionCount @4 :UInt32;
  generation @5 :UInt32;
  region @6 :Text;
}

struct PutMemberCommand {
  # System group: a node and where it is reached.
  nodeId @0 :UInt32;
  addresses @1 :List(MemberAddress);
  pin :group $bytes { a @2 :UInt64; b @3 :UInt64; c @4 :UInt64; d @5 :UInt64; }
  nextPin :group $bytes { a @6 :UInt64; b @7 :UInt64; c @8 :UInt64; d @9 :UInt64; }
}

struct RemoveMemberCommand {
  # System group: a node is no member any more, nor ever again under this number.
  nodeId @0 :UInt32;
  detail @1 :Text;
  # For the audit log.
}

struct MemberAddress {
  transport @0 :Text;
  # quic, webtransport or tls.
  host @1 :Text;
  port @2 :UInt16;
}
