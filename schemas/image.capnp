@0xb94e2f7d63a1c058;
# Payloads of an image file's records, framed like those of the log (see wal.capnp): one header,
# then chunks, then one end. The group alone interprets the joined data of the chunks.

using import "codec.capnp".bytes;

struct ImageHeader {
  # Op 16.
  logId :group $bytes { high @0 :UInt64; low @1 :UInt64; }
  number @2 :UInt64;
  index @3 :UInt64;
  # The last entry that the image contains.
  term @4 :UInt64;
  groupId @5 :UInt32;
  configuration @6 :Data;
}

struct ImageChunk {
  # Op 17.
  number @0 :UInt64;
  # The image's number, as in the header; chunks with another number do not belong to this image.
  offset @1 :UInt64;
  # Offset of the chunk's first byte in the joined data; an interrupted reader resumes there.
  data @2 :Data;
}

struct ImageEnd {
  # Op 18.
  number @0 :UInt64;
  byteCount @1 :UInt64;
  # Size of the joined data.
}
