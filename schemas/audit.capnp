@0x9d1f7c2ab8e45063;
# Entries of the audit log in group 0. Each entry holds the hash of the previous entry, so that a
# changed, missing or inserted entry is detected.

using import "codec.capnp".bytes;

enum AuditAction {
  # Audited actions. The numbers are stored in logs.
  unset @0;
  joinToken @1;
  enrol @2;
  renew @3;
  lineageStopped @4;
  ban @5;
  unban @6;
  tokenKey @7;
  trustBundle @8;
  member @9;
  removeMember @10;
  removeRecord @11;
  token @12;
  addRegion @13;
  setRegion @14;
  removeRegion @15;
  acceptFeed @16;
  capability @17;
  depart @18;
  stay @19;
  preferLeader @20;
  rebalance @21;
  holdExpiry @22;
  releaseStale @23;
  backup @24;
  pauseMoves @25;
}

struct AuditEntry {
  number @0 :UInt64;
  # Entry number, from 1, without gaps.
  unixS @1 :UInt32;
  writer @2 :UInt32;
  # Lineage of the identity that acted; 0: the registry itself.
  action @3 :AuditAction;
  subject @4 :Text;
  # The target of the action: a SPIFFE URI, or the name of a member, key or record.
  detail @5 :Text;
  # Description for people.
  previous :group $bytes { a @6 :UInt64; b @7 :UInt64; c @8 :UInt64; d @9 :UInt64; }
  # SHA-256 of the previous entry; all zero in entry 1.
}
