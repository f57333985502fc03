@0xc9a3f6d1b8e24570;
# Data that a partition stores. The stored form of a record is one canonical segment, root pointer
# first, without a segment table; replies embed these bytes unchanged.
#
# Every UInt64 holds an integer below 2^53. Times named `…Ms` without another word are group time.

using import "codec.capnp".bytes;

struct Agent {
  # An agent: its owner's data and the fields that the registry adds. 15 words of data, 3 pointers.
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  gatewayId :group $bytes { high @2 :UInt64; low @3 :UInt64; }
  # The gateway it is attached to; all zero: none.
  address :group $bytes { high @4 :UInt64; low @5 :UInt64; }
  # IPv6, or IPv4 mapped into it (RFC 4291 §2.5.5.2); all zero: none.
  process @6 :UInt64;
  # Id of the owner's process, random for each start; 0: none.
  leaseExpiryMs @7 :UInt64;
  # The logged cover, in group time: the record does not expire before.
  incarnation :group { generation @8 :UInt32; index @9 :UInt64; }
  revision :group { generation @10 :UInt32; index @11 :UInt64; }
  claim :group { generation @12 :UInt32; index @13 :UInt64; }
  # The claim that binds its domain; zero: no domain.
  sequence @14 :UInt32;
  # Increases with each request of the process.
  ttlMs @15 :UInt32;
  lastSeenUnixS @16 :UInt32;
  # Wall-clock time, for people.
  writer @17 :UInt32;
  # Lineage of the identity of the last write.
  port @18 :UInt16;
  state @19 :UInt8;
  # 0 active, 1 draining; 2 is added while the record is stale, by the registry only.
  domain @20 :Text;
  region @21 :Text;
  extra @22 :Extra;
  scope @23 :UInt8;
  # 0 global: mirrored by other regions; 1 region: never leaves its own. Programs that do not know it
  # read it as part of the state, and refuse the record.
}

struct Gateway {
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  address :group $bytes { high @2 :UInt64; low @3 :UInt64; }
  process @4 :UInt64;
  leaseExpiryMs @5 :UInt64;
  incarnation :group { generation @6 :UInt32; index @7 :UInt64; }
  revision :group { generation @8 :UInt32; index @9 :UInt64; }
  sequence @10 :UInt32;
  ttlMs @11 :UInt32;
  lastSeenUnixS @12 :UInt32;
  writer @13 :UInt32;
  capacity :group {
    # Total capacity. Zero: not stated.
    cpu @14 :Float32;
    # Cores.
    memoryMiB @15 :UInt32;
    storageMiB @16 :UInt32;
    bandwidthMbps @17 :Float32;
    connections @18 :UInt32;
  }
  used :group {
    # The part of the capacity that is in use.
    cpu @19 :Float32;
    memoryMiB @20 :UInt32;
    storageMiB @21 :UInt32;
    bandwidthMbps @22 :Float32;
    connections @23 :UInt32;
  }
  port @24 :UInt16;
  wssPort @25 :UInt16;
  state @26 :UInt8;
  domain @27 :Text;
  region @28 :Text;
  extra @29 :Extra;
  scope @30 :UInt8;
  # As that of an agent.
}

struct Relay {
  # A relay: a process through which agents are reached, named by another system.
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  # Derived from the relay's name.
  owner :group $bytes { high @2 :UInt64; low @3 :UInt64; }
  # The identity that registered it; all zero: a front, for a caller without an identity, or the
  # development identity.
  process @4 :UInt64;
  # A random number for each registration, so that a delayed one is not applied after a later one.
  leaseExpiryMs @5 :UInt64;
  incarnation :group { generation @6 :UInt32; index @7 :UInt64; }
  revision :group { generation @8 :UInt32; index @9 :UInt64; }
  sequence @10 :UInt32;
  ttlMs @11 :UInt32;
  lastSeenUnixS @12 :UInt32;
  writer @13 :UInt32;
  grpcPort @14 :UInt32;
  # An Int32 of its owner's protocol, in two's complement.
  state @15 :UInt8;
  scope @16 :UInt8;
  domain @17 :Text;
  # Empty.
  region @18 :Text;
  extra @19 :Extra;
  relayId @20 :Text;
  # The whole name; two names may have the same id.
  address @21 :Text;
  # As its owner wrote it.
}

struct Placement {
  # The relay through which an agent is reached. It counts only while that incarnation of the relay
  # lives.
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  # Derived from the agent's name.
  owner :group $bytes { high @2 :UInt64; low @3 :UInt64; }
  # The owner of the relay.
  relay :group $bytes { high @4 :UInt64; low @5 :UInt64; }
  # Id of the relay's record.
  process @6 :UInt64;
  # As that of a relay.
  leaseExpiryMs @7 :UInt64;
  incarnation :group { generation @8 :UInt32; index @9 :UInt64; }
  revision :group { generation @10 :UInt32; index @11 :UInt64; }
  relayIncarnation :group { generation @12 :UInt32; index @13 :UInt64; }
  sequence @14 :UInt32;
  ttlMs @15 :UInt32;
  lastSeenUnixS @16 :UInt32;
  writer @17 :UInt32;
  state @18 :UInt8;
  scope @19 :UInt8;
  domain @20 :Text;
  # Empty.
  region @21 :Text;
  extra @22 :Extra;
  agentId @23 :Text;
  relayId @24 :Text;
  # The whole names.
}

struct Extra {
  # Fields that most records leave empty.
  credentialHash @0 :Data;
  labels @1 :List(Label);
  # In ascending order of key, without duplicates.
  superseded @2 :List(SupersededProcess);
  # The last processes that lost the record, the newest last; their requests are refused until
  # untilMs.
}

struct Label {
  key @0 :Text;
  value @1 :Text;
}

struct SupersededProcess {
  process @0 :UInt64;
  untilMs @1 :UInt64;
}

struct MapsGateway {
  # A gateway of the Maps protocol, which its credential holds.
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  # Derived from gatewayId.
  owner :group $bytes { high @2 :UInt64; low @3 :UInt64; }
  # The identity that registered it; all zero: a front, for a caller without an identity, or the
  # development identity.
  address :group $bytes { high @4 :UInt64; low @5 :UInt64; }
  process @6 :UInt64;
  # A random number for each registration.
  leaseExpiryMs @7 :UInt64;
  incarnation :group { generation @8 :UInt32; index @9 :UInt64; }
  revision :group { generation @10 :UInt32; index @11 :UInt64; }
  sequence @12 :UInt32;
  ttlMs @13 :UInt32;
  lastSeenUnixS @14 :UInt32;
  writer @15 :UInt32;
  cpu @16 :UInt32;
  # Free capacity in the units of its owner, as last told. Zero: none, or not told.
  memory @17 :UInt32;
  storage @18 :UInt32;
  bandwidth @19 :UInt32;
  port @20 :UInt16;
  wssPort @21 :UInt16;
  state @22 :UInt8;
  scope @23 :UInt8;
  domain @24 :Text;
  # Empty.
  region @25 :Text;
  extra @26 :Extra;
  gatewayId @27 :Data;
  # 32 bytes: SHA-256 of credential, "|" and the address as its owner wrote it.
  credential @28 :Text;
}

struct MapsAgent {
  # An agent of the Maps protocol: who holds a domain, and by which gateway it is reached.
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  # Derived from the domain.
  owner :group $bytes { high @2 :UInt64; low @3 :UInt64; }
  # As that of a gateway.
  process @4 :UInt64;
  leaseExpiryMs @5 :UInt64;
  incarnation :group { generation @6 :UInt32; index @7 :UInt64; }
  revision :group { generation @8 :UInt32; index @9 :UInt64; }
  sequence @10 :UInt32;
  ttlMs @11 :UInt32;
  lastSeenUnixS @12 :UInt32;
  writer @13 :UInt32;
  state @14 :UInt8;
  scope @15 :UInt8;
  domain @16 :Text;
  region @17 :Text;
  extra @18 :Extra;
  agentId @19 :Data;
  # 32 bytes: SHA-256 of credential, "|" and the domain as its owner wrote it.
  gatewayId @20 :Data;
  # 32 bytes.
  credential @21 :Text;
}

struct MapsEndpoint {
  # The claim of a credential on an endpoint of a region, so that no other one announces a gateway there.
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  # Derived from region, address and port.
  owner :group $bytes { high @2 :UInt64; low @3 :UInt64; }
  # As that of a gateway.
  address :group $bytes { high @4 :UInt64; low @5 :UInt64; }
  process @6 :UInt64;
  leaseExpiryMs @7 :UInt64;
  incarnation :group { generation @8 :UInt32; index @9 :UInt64; }
  revision :group { generation @10 :UInt32; index @11 :UInt64; }
  sequence @12 :UInt32;
  ttlMs @13 :UInt32;
  lastSeenUnixS @14 :UInt32;
  writer @15 :UInt32;
  port @16 :UInt16;
  state @17 :UInt8;
  scope @18 :UInt8;
  domain @19 :Text;
  # Empty.
  region @20 :Text;
  extra @21 :Extra;
  credential @22 :Text;
}

struct MapsSeeder {
  # A front that serves the Maps protocol, where its clients begin.
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  # Derived from address and port.
  owner :group $bytes { high @2 :UInt64; low @3 :UInt64; }
  # As that of a gateway.
  address :group $bytes { high @4 :UInt64; low @5 :UInt64; }
  process @6 :UInt64;
  leaseExpiryMs @7 :UInt64;
  incarnation :group { generation @8 :UInt32; index @9 :UInt64; }
  revision :group { generation @10 :UInt32; index @11 :UInt64; }
  sequence @12 :UInt32;
  ttlMs @13 :UInt32;
  lastSeenUnixS @14 :UInt32;
  writer @15 :UInt32;
  port @16 :UInt16;
  state @17 :UInt8;
  scope @18 :UInt8;
  domain @19 :Text;
  # Its host name; empty: none.
  region @20 :Text;
  extra @21 :Extra;
  name @22 :Text;
  # For people.
  pin @23 :Data;
  # SHA-256 of its TLS certificate, by which clients know it; empty: it serves plain text.
}

enum AliasState {
  pending @0;
  # No register with its claim was seen yet.
  confirmed @1;
  # Its agent registered with its claim.
}

struct Alias {
  # Maps a domain to its agent, in the domain's own partition.
  agentId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  claim :group { generation @2 :UInt32; index @3 :UInt64; }
  # Position at which the claim was logged, 2^40 x partition + index, and therefore unique.
  state @4 :AliasState;
  domain @5 :Text;
}

struct Tombstone {
  # The remains of a removed agent or gateway, which prevent a delayed duplicate from recreating it.
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  process @2 :UInt64;
  forgetAtMs @3 :UInt64;
  incarnation :group { generation @4 :UInt32; index @5 :UInt64; }
  sequence @6 :UInt32;
  kind @7 :UInt16;
  # Kind of the removed record.
  superseded @8 :List(SupersededProcess);
}

struct Revocation {
  # A revoked claim, in the agent's partition: a late register with that claim is refused.
  agentId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  claim :group { generation @2 :UInt32; index @3 :UInt64; }
  forgetAtMs @4 :UInt64;
}

struct Mirror {
  # A read-only copy of a record of another region, in the partition of the record's key.
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  kind @2 :UInt16;
  # Kind of the record. Mirrors are found by id and kind, those of several regions side by side.
  feed @3 :UInt32;
  # Generation of the feed: what a later one says is newer than all that earlier ones said.
  revision :group { generation @4 :UInt32; index @5 :UInt64; }
  # Position of the last change, in the home region.
  home @6 :Text;
  record @7 :Data;
  # The stored form, unchanged.
}

struct MirrorAlias {
  # The agent that holds a domain in another region, in the domain's own partition.
  agentId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  claim :group { generation @2 :UInt32; index @3 :UInt64; }
  revision :group { generation @4 :UInt32; index @5 :UInt64; }
  # Position of the agent's change that named the claim, in the home region.
  feed @6 :UInt32;
  home @7 :Text;
  domain @8 :Text;
}

# Only in images: what a partition knows of the feeds that its mirrors come from.

struct MirrorFloor {
  fence @0 :UInt64;
  # The highest fence of a region that was removed.
  itemCount @1 :UInt32;
  # Count of the items that follow.
}

struct MirrorSource {
  # A region. Its cursors and tombstones follow.
  feed @0 :UInt32;
  home @1 :Text;
  shards @2 :List(MirrorShard);
}

struct MirrorShard {
  number @0 :UInt32;
  fence @1 :UInt64;
  batch @2 :UInt64;
}

struct MirrorCursor {
  # Everything of a partition of the source up to this position is mirrored durably, in all partitions
  # here.
  index @0 :UInt64;
  generation @1 :UInt32;
  ordinal @2 :UInt32;
  partition @3 :UInt32;
}

struct MirrorTombstone {
  # A removed mirror: changes up to the revision have no effect any more.
  id :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  revision :group { generation @2 :UInt32; index @3 :UInt64; }
  fence @4 :UInt64;
  batch @5 :UInt64;
  # The batch that removed it.
  shard @6 :UInt32;
  feed @7 :UInt32;
  kind @8 :UInt16;
}
