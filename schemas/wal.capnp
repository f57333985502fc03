@0xe7d1c85a09b3f246;
# Payloads of the shared log's records. Each is framed as [CA FE][version][op][length 4][payload]
# [crc32 4]; the op selects the struct. The payload is one bare segment, root pointer first, without
# a segment table: `capnp decode --flat schemas/wal.capnp WalAppend < payload`.
#
# Every struct of a record begins with the same five fields, at the same offsets for each op: the
# log's id; the record's sequence number, one more than that of the previous record; the record's
# position, the offset of its first byte in the log; and the watermark, a position below which
# everything was known to be synced when the record was written.

using import "codec.capnp".bytes;

struct WalAppend {
  # Op 1. Truncates the group's log at firstIndex, then appends these entries.
  logId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  sequence @2 :UInt64;
  position @3 :UInt64;
  watermark @4 :UInt64;
  firstIndex @5 :UInt64;
  groupId @6 :UInt32;
  entries @7 :List(WalEntry);
}

struct WalEntry {
  term @0 :UInt64;
  kind @1 :UInt16;
  # Meaning defined by the owner of the log.
  data @2 :Data;
}

struct WalRelocate {
  # Op 2. Copies of entries from an older segment. Truncates nothing; an entry that was appended
  # after origin at or below the same index takes precedence. Entries that an earlier op 7 or 8
  # ended are never relocated.
  logId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  sequence @2 :UInt64;
  position @3 :UInt64;
  watermark @4 :UInt64;
  firstIndex @5 :UInt64;
  origin @6 :UInt64;
  # Sequence number of the WalAppend that first wrote these entries.
  groupId @7 :UInt32;
  entries @8 :List(WalEntry);
}

struct WalHardState {
  # Op 3. The newest hard state of a group takes precedence.
  logId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  sequence @2 :UInt64;
  position @3 :UInt64;
  watermark @4 :UInt64;
  term @5 :UInt64;
  vote @6 :UInt64;
  # Replica id; 0: none.
  commit @7 :UInt64;
  groupId @8 :UInt32;
}

struct WalSegmentHeader {
  # Op 4. The first record of each segment. Repeats everything that older segments state besides
  # entries, so that those segments can be deleted.
  logId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  sequence @2 :UInt64;
  position @3 :UInt64;
  watermark @4 :UInt64;
  segment @5 :UInt64;
  # Number of this segment, from 1, without gaps.
  imageNumberMax @6 :UInt64;
  # The highest image number assigned so far.
  groups @7 :List(WalGroupState);
}

struct WalGroupState {
  # Hard state and newest image of a group.
  term @0 :UInt64;
  vote @1 :UInt64;
  commit @2 :UInt64;
  groupId @3 :UInt32;
  hasHardState @4 :Bool;
  image @5 :WalImage;
  # Number 0: no image.
}

struct WalImage {
  # Identifies an image and its file.
  index @0 :UInt64;
  # The last entry that it contains.
  term @1 :UInt64;
  number @2 :UInt64;
  # Unique in the log; names the file.
  byteCount @3 :UInt64;
  checksum @4 :UInt32;
  # CRC-32 over the crc32 fields of all records of the file, in order.
  configuration @5 :Data;
}

struct WalImageMark {
  # Op 5: the group's log now begins after this image. Op 8: the log also ends there, because the
  # image came from a leader and replaces everything that the group had.
  logId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  sequence @2 :UInt64;
  position @3 :UInt64;
  watermark @4 :UInt64;
  groupId @5 :UInt32;
  image @6 :WalImage;
}

struct WalForget {
  # Op 7. Ends the group's entries, hard state and image: the group's replica was removed from this
  # node. Later records belong to another replica.
  logId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  sequence @2 :UInt64;
  position @3 :UInt64;
  watermark @4 :UInt64;
  groupId @5 :UInt32;
}

struct WalWatermark {
  # Op 6. Carries only the watermark.
  logId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  sequence @2 :UInt64;
  position @3 :UInt64;
  watermark @4 :UInt64;
}
