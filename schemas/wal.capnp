@0xe7d1c85a09b3f246;
# Payloads of the shared log's records. Around each stands [CA FE][version][op][length 4][payload]
# [crc32 4]; the op names the struct. The payload is one bare segment, root pointer first, without a
# segment table: `capnp decode --flat schemas/wal.capnp WalAppend < payload`.
#
# Every struct of a record begins with the same five fields, so that they stand at the same offsets
# whatever the op: the log's id; the record's sequence number, one more than that of the record
# before; its own position, the offset of its first byte in the log; and the watermark, the position
# below which all was known to be synced when it was written.

using import "codec.capnp".bytes;

struct WalAppend {
  # Op 1. The group's log ends before firstIndex; then come these entries.
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
  # The owner's own meaning.
  data @2 :Data;
}

struct WalRelocate {
  # Op 2. Entries of an older segment once more. Truncates nothing, and an entry loses to whatever
  # was appended at or below its index after its origin. None is written whose entries an op 7 or 8
  # before it ended.
  logId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  sequence @2 :UInt64;
  position @3 :UInt64;
  watermark @4 :UInt64;
  firstIndex @5 :UInt64;
  origin @6 :UInt64;
  # Sequence number of the WalAppend that brought these entries.
  groupId @7 :UInt32;
  entries @8 :List(WalEntry);
}

struct WalHardState {
  # Op 3. The newest of a group wins.
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
  # Op 4. The first record of each segment: all that older segments say besides entries, so that
  # they can go.
  logId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  sequence @2 :UInt64;
  position @3 :UInt64;
  watermark @4 :UInt64;
  segment @5 :UInt64;
  # Number of this segment, from 1, without gaps.
  imageNumberMax @6 :UInt64;
  # The highest number that an image was given.
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
  # Where an image is and how it is recognized.
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
  # Op 5. From here on the group's log begins after this image. Op 8: and ends there, for the image
  # came from a leader and stands in for all that the group had.
  logId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  sequence @2 :UInt64;
  position @3 :UInt64;
  watermark @4 :UInt64;
  groupId @5 :UInt32;
  image @6 :WalImage;
}

struct WalForget {
  # Op 7. The group's entries, hard state and image end: its replica is gone from this node. What
  # comes later is another replica's.
  logId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  sequence @2 :UInt64;
  position @3 :UInt64;
  watermark @4 :UInt64;
  groupId @5 :UInt32;
}

struct WalWatermark {
  # Op 6. Nothing but the watermark.
  logId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  sequence @2 :UInt64;
  position @3 :UInt64;
  watermark @4 :UInt64;
}
