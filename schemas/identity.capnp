@0xe6b1d0c93f7a2854;
# Group 0's log entries about identities: join tokens, lineages, bans, and documents such as the
# trust bundle. A put names the version that it replaces and is refused if that version is no longer
# current.

using import "codec.capnp".bytes;
using Audit = import "audit.capnp";
using Wire = import "wire.capnp";

struct EnrolmentCommand {
  # Applied as a whole or not at all.
  tokens @0 :List(JoinTokenChange);
  lineages @1 :List(LineageChange);
  action @2 :Audit.AuditAction;
  # For the audit log. 0: no audit entry.
  detail @3 :Text;
}

struct JoinTokenChange {
  replacedVersion @0 :UInt32;
  # 0: there is none yet.
  record @1 :JoinTokenRecord;
}

struct JoinTokenRecord {
  hash :group $bytes { a @0 :UInt64; b @1 :UInt64; c @2 :UInt64; d @3 :UInt64; }
  version @4 :UInt32;
  lineage @5 :UInt32;
  # The lineage created with the token; 0: the token is unused.
  publicKey :group $bytes { e @6 :UInt64; f @7 :UInt64; g @8 :UInt64; h @9 :UInt64; }
  # The public key that used the token.
  expiresAtMs @10 :UInt64;
  subject @11 :Text;
  grants @12 :GrantsRecord;
}

struct GrantsRecord {
  domains @0 :List(Text);
  gateways @1 :List(Text);
  credentialHashes @2 :Bool;
  reads @3 :List(Wire.ReadLimitRecord);
}

struct LineageChange {
  replacedVersion @0 :UInt32;
  # 0: there is none yet.
  record @1 :LineageRecord;
}

enum StopReason {
  # Why a lineage was stopped; unset while it is active.
  unset @0;
  stolen @1;
  # Two holders were seen.
  replaced @2;
  # Its owner joined again.
  banned @3;
  # An operator banned it.
}

struct LineageRecord {
  lineage @0 :UInt32;
  version @1 :UInt32;
  stopped @2 :StopReason;
  latestUsed @3 :Bool;
  subject @4 :Text;
  grants @5 :GrantsRecord;
  latest @6 :LeafRecord;
  previous @7 :LeafRecord;
  # Generation 0: none.
}

struct LeafRecord {
  publicKey :group $bytes { a @0 :UInt64; b @1 :UInt64; c @2 :UInt64; d @3 :UInt64; }
  generation @4 :UInt32;
  notBeforeMs @5 :UInt64;
  notAfterMs @6 :UInt64;
  issuerKeyId @7 :Data;
  # 20 bytes.
}

struct BanCommand {
  kind @0 :Wire.BanKind;
  name @1 :Text;
  reason @2 :Text;
  untilMs @3 :UInt64;
  # Unix ms; 0: until it is lifted.
  lifted @4 :Bool;
  # Lifts the ban; reason and untilMs are ignored.
  detail @5 :Text;
  # For the audit log; empty: the reason.
}

struct GrantCommand {
  # Records a token that grants a lineage more than its certificate does.
  tokenId @0 :Text;
  lineage @1 :UInt32;
  untilMs @2 :UInt64;
  # The end of the grant, Unix ms.
  subject @3 :Text;
  grants @4 :GrantsRecord;
  detail @5 :Text;
  # For the audit log.
}

enum Document {
  # The documents that group 0 stores.
  unset @0;
  trustBundle @1;
  tokenKeys @2;
  # The plan of the token keys.
  keyHolders @3;
  # The nodes that have the authority's keys.
}

struct DocumentCommand {
  # A document that group 0 stores for all nodes.
  name @0 :Document;
  replacedVersion @1 :UInt32;
  version @2 :UInt32;
  bytes @3 :Data;
  detail @4 :Text;
}

struct AuditNoteCommand {
  # Records an action that changed no state of group 0, in the audit log only.
  action @0 :Audit.AuditAction;
  subject @1 :Text;
  detail @2 :Text;
}

struct AuditPage {
  # In images only: entries of the audit log, oldest first.
  anchor :group $bytes { a @0 :UInt64; b @1 :UInt64; c @2 :UInt64; d @3 :UInt64; }
  count @4 :UInt64;
  # Count of all entries ever written, including those of this page.
  entries @5 :List(Data);
}
