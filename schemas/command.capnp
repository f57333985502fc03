@0xb57c0e92d4f1a683;
# Commands that a partition's group logs, one per entry. A command contains everything that apply
# needs, so that apply is a pure function of the state and the entry.

using import "codec.capnp".bytes;
using import "record.capnp".MirrorCursor;

struct Command {
  timeMs @0 :UInt64;
  # The proposer's group time. Apply never lets the group's time go back.
  unixS @1 :UInt32;
  # Wall-clock time, for lastSeen.
  writer @2 :UInt32;
  # Lineage of the requesting identity; 0: the registry itself.
  kind @3 :UInt16;
  # Type of the command in `body`; see src/record/command.ts.
  body @4 :AnyPointer;
}

struct PutCommand {
  # Registers a record: creates it, renews it with new content, or takes it over.
  record @0 :Data;
  # The stored form of an Agent or Gateway; fields that the registry adds are ignored.
  kind @1 :UInt16;
  # Kind of the record.
  expected :group { generation @2 :UInt32; index @3 :UInt64; }
  # The incarnation to take over from; zero: none given.
}

struct ExtendCommand {
  # Extends the covers of many records at once: each to its renewal time + twice its ttl.
  items @0 :List(ExtendItem);
}

struct ExtendItem {
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  incarnation :group { generation @2 :UInt32; index @3 :UInt64; }
  kind @4 :UInt16;
  renewedAgo @5 :UInt16;
  # Age of the owner's renewal at the command's time, in steps of 250 ms rounded down, at most
  # 65,535. The cover counts from the renewal, so that gathering extensions never lengthens a cover.
}

struct RemoveCommand {
  # Deregisters a record.
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  incarnation :group { generation @2 :UInt32; index @3 :UInt64; }
  process @4 :UInt64;
  # 0: the request does not come from the owner's process.
  sequence @5 :UInt32;
  kind @6 :UInt16;
}

struct ExpireCommand {
  # Removes records that the leader saw expire, or marks them as stale instead. An item whose record
  # has changed since is refused individually.
  items @0 :List(ExpireItem);
}

struct ExpireItem {
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  incarnation :group { generation @2 :UInt32; index @3 :UInt64; }
  leaseExpiryMs @4 :UInt64;
  # The cover that the leader saw.
  kind @5 :UInt16;
  permit @6 :UInt64;
  # The permit of group 0 to remove it, which no other item has; 0: none.
}

struct ReportCommand {
  # A gateway's usage and state.
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
  # 0: the request does not come from the owner's process and has no place in the owner's order.
  sequence @14 :UInt32;
}

struct ClaimCommand {
  # In the domain's group: creates a pending alias. Its claim is (generation, 2^40 x partition +
  # index of this entry).
  domain @0 :Text;
  agentId :group $bytes { high @1 :UInt64; low @2 :UInt64; }
  replaces :group { generation @3 :UInt32; index @4 :UInt64; }
  # A claim that was revoked in its agent's group and may be replaced; zero: none.
}

struct ConfirmCommand {
  # In the domain's group: confirms the alias, after the agent's group logged the register with this
  # claim.
  domain @0 :Text;
  agentId :group $bytes { high @1 :UInt64; low @2 :UInt64; }
  claim :group { generation @3 :UInt32; index @4 :UInt64; }
}

struct RevokeCommand {
  # In the agent's group: refuses the claim from now on, unless the agent holds it.
  agentId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  claim :group { generation @2 :UInt32; index @3 :UInt64; }
  isForAnother @4 :Bool;
  # Another agent claims the domain: one that is stale gives it up.
}

struct ReleaseCommand {
  # In the domain's group: releases the domain, after the claim was revoked.
  domain @0 :Text;
  claim :group { generation @1 :UInt32; index @2 :UInt64; }
}

struct MirrorFenceCommand {
  # Makes one puller the only one whose batches of a shard are applied.
  home @0 :Text;
  # Name of the region that the mirrors come from.
  fence @1 :UInt64;
  # Higher than all fences before, of any region.
  shard @2 :UInt32;
}

struct MirrorBatchCommand {
  # Changes of a region's records, in any order: each names its revision.
  home @0 :Text;
  fence @1 :UInt64;
  number @2 :UInt64;
  # Counts the batches of the fence in this partition from 1.
  settled @3 :UInt64;
  # No change of the batches up to this one can come again: the cursors saved are behind them.
  shard @4 :UInt32;
  feed @5 :UInt32;
  settledEarlier @6 :Bool;
  # The same of all batches of earlier fences.
  puts @7 :List(MirrorPut);
  removals @8 :List(MirrorRemoval);
  sweeps @9 :List(MirrorSweep);
  aliases @10 :List(MirrorAliasItem);
  aliasRemovals @11 :List(MirrorAliasItem);
  aliasSweeps @12 :List(MirrorAliasSweep);
  cursors @13 :List(MirrorCursor);
}

struct MirrorPut {
  revision :group { generation @0 :UInt32; index @1 :UInt64; }
  kind @2 :UInt16;
  record @3 :Data;
}

struct MirrorRemoval {
  # The home region removed the record, or it left the global scope.
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  revision :group { generation @2 :UInt32; index @3 :UInt64; }
  # Position of the removal.
  kind @4 :UInt16;
}

struct MirrorSweep {
  # A complete listing of the source did not have the record. Has no effect unless the mirror is as it
  # was seen, and the listing came after.
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  revision :group { generation @2 :UInt32; index @3 :UInt64; }
  # The revision seen.
  listed :group { generation @4 :UInt32; index @5 :UInt64; }
  # Position of the listing in the record's partition of the source.
  feed @6 :UInt32;
  # The feed of the mirror seen.
  kind @7 :UInt16;
}

struct MirrorAliasItem {
  # An agent obtained a claim on a domain, or gave it up.
  agentId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  claim :group { generation @2 :UInt32; index @3 :UInt64; }
  revision :group { generation @4 :UInt32; index @5 :UInt64; }
  # Position of the agent's change.
  domain @6 :Text;
}

struct MirrorAliasSweep {
  # No agent of a complete listing holds the claim. Has no effect unless the alias is as it was seen.
  claim :group { generation @0 :UInt32; index @1 :UInt64; }
  revision :group { generation @2 :UInt32; index @3 :UInt64; }
  listed :group { generation @4 :UInt32; index @5 :UInt64; }
  # Position of the listing in the agent's partition of the source.
  feed @6 :UInt32;
  domain @7 :Text;
}

struct MirrorDropCommand {
  # Removes mirrors of a region that is no peer any more, some at a time, and refuses its pullers.
  home @0 :Text;
  fence @1 :UInt64;
  # Higher than the fences of all its pullers.
}

struct GenesisCommand {
  # The first entry of the system group, with the values fixed when a cluster is created.
  clusterId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  hashKey :group $bytes { high @2 :UInt64; low @3 :UInt64; }
  partitionCount @4 :UInt32;
  generation @5 :UInt32;
  region @6 :Text;
}

struct PutMemberCommand {
  # System group: stores a node and its addresses.
  nodeId @0 :UInt32;
  addresses @1 :List(MemberAddress);
  pin :group $bytes { a @2 :UInt64; b @3 :UInt64; c @4 :UInt64; d @5 :UInt64; }
  nextPin :group $bytes { a @6 :UInt64; b @7 :UInt64; c @8 :UInt64; d @9 :UInt64; }
  applyVersionMax @10 :UInt32;
  # The highest apply version that the node's program knows, if it was not admitted; 0: the first.
}

struct RemoveMemberCommand {
  # System group: removes a member; its node id is never used again.
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
