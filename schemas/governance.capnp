@0x9f3c61d20b84e7a5;
# Log entries of the governed plane's group, and records of its images. Documents (genesis, payloads and
# entries of the tree) are in their canonical JSON form, since that is what is signed.

struct GovernInitCommand {
  # Begins the governed plane, once.
  genesis @0 :Data;
  caller @1 :Text;
  # For quotas and the audit: a subject or the id of a capability.
}

struct ProposeCommand {
  # Proposes a payload. The same payload again adds signatures to its proposal.
  payload @0 :Data;
  signatures @1 :List(PayloadSignatureRecord);
  caller @2 :Text;
  region @3 :Text;
  # The cluster's own region. Read from apply version 2 on.
}

struct AddSignaturesCommand {
  proposal @0 :UInt64;
  signatures @1 :List(PayloadSignatureRecord);
  caller @2 :Text;
}

struct ApplyProposalCommand {
  proposal @0 :UInt64;
  caller @1 :Text;
  region @2 :Text;
  # As in ProposeCommand.
}

struct BeginMirrorCommand {
  # Makes an ungoverned registry the mirror of another region's, once.
  genesis @0 :Data;
  home @1 :Text;
  # The region that it is read from first.
  region @2 :Text;
  # The cluster's own region.
  caller @3 :Text;
}

struct MirrorEntriesCommand {
  # Entries of the home, in order. Each is verified when it is applied.
  after @0 :UInt64;
  # The version that they follow: at another one they are refused.
  entries @1 :List(MirroredEntry);
  region @2 :Text;
  # The cluster's own region.
  caller @3 :Text;
}

struct MirroredEntry {
  leaf @0 :Data;
  payload @1 :Data;
}

struct GovernanceHomeRecord {
  # In images only: where the plane began, the own region, and what was refused of the home.
  began @0 :Text;
  # The region that a mirror began with; empty: the plane began here.
  region @1 :Text;
  # Empty: not known yet.
  refused @2 :UInt64;
  refusal @3 :Text;
  # The last one, until entries are taken again.
}

struct PayloadSignatureRecord {
  # Ed25519.
  signerId @0 :Text;
  signature @1 :Data;
  signedAt @2 :Text;
  # As the signer states it; not signed.
}

struct GovernedEntryRecord {
  # In images, and as nodes answer with entries. What follows the payload is in the documents too, so that
  # they need not be read before somebody asks for them.
  leaf @0 :Data;
  payload @1 :Data;
  leafHash @2 :Data;
  # Empty in images of the first programs: all of this is to be found in the documents.
  contentHash @3 :Data;
  # The hash of the content id.
  id @4 :Text;
  kind @5 :Text;
  idVersion @6 :UInt64;
  proposal @7 :UInt64;
  signers @8 :UInt64;
}

struct OpenProposalRecord {
  # In images only.
  proposal @0 :UInt64;
  createdMs @1 :UInt64;
  # Group time.
  createdUnixS @2 :UInt64;
  payload @3 :Data;
  caller @4 :Text;
  approvals @5 :List(ApprovalRecord);
}

struct ApprovalRecord {
  signature @0 :PayloadSignatureRecord;
  key @1 :Text;
  # The public key in base64.
  set @2 :UInt64;
  # Number of the signer set from which the key was taken.
}

struct GovernanceCountersRecord {
  # In images only.
  nextProposal @0 :UInt64;
  auditCount @1 :UInt64;
  refusedByQuota @2 :UInt64;
  quotaWindow @3 :UInt64;
  applyVersion @4 :UInt32;
}

struct QuotaRecord {
  # In images only: commands of a caller, or for a descriptor, within the current window.
  key @0 :Text;
  count @1 :UInt32;
}

struct GovernanceAuditRecord {
  number @0 :UInt64;
  unixS @1 :UInt64;
  proposal @2 :UInt64;
  # 0: none.
  action @3 :GovernanceAction;
  code @4 :Text;
  # ok, or the code of the refusal.
  caller @5 :Text;
  id @6 :Text;
  contentId @7 :Text;
  message @8 :Text;
}

enum GovernanceAction {
  unset @0;
  init @1;
  propose @2;
  sign @3;
  apply @4;
  expire @5;
  # It was not applied in time.
  outdate @6;
  # Another proposal for the same version was applied.
  evict @7;
  # It had no signature, and made room for a proposal that has one.
  mirror @8;
  # Another region's log is mirrored, or what came of it was refused.
}
