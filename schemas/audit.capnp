@0x9d1f7c2ab8e45063;
# The audit log of group 0. Each entry holds the hash of the one before it, so that none can be
# changed, left out or put in without a trace.

using import "codec.capnp".bytes;

struct AuditEntry {
  number @0 :UInt64;
  # From 1, without a gap.
  unixS @1 :UInt32;
  writer @2 :UInt32;
  # Lineage of the identity that acted; 0: the registry itself.
  action @3 :UInt16;
  # See src/system/audit_log.ts.
  subject @4 :Text;
  # Whom or what it was done to: a SPIFFE URI, or the name of a member, key or record.
  detail @5 :Text;
  # In words, for people.
  previous :group $bytes { a @6 :UInt64; b @7 :UInt64; c @8 :UInt64; d @9 :UInt64; }
  # SHA-256 of the entry before; all zero at number 1.
}
