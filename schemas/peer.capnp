@0xc7a41d8e5b3f6092;
# What the nodes of a cluster say to each other, on their peer stream: in each turn one frame to a
# node that anything is to be said to. A snapshot goes on a stream of its own: its header is such a
# frame with one message, whose snapshot has no data, and the image follows.
#
# Every UInt64 holds an integer below 2^53.

using Raft = import "raft.capnp";
using import "codec.capnp".bytes;

struct PeerFrame {
  run @0 :UInt64;
  # The sender's run: a number of its own that is higher at each start.
  supports @1 :UInt64;
  # The recipient's epoch that the sender supports; 0: none. What fortifies in this frame names it.
  messages @2 :List(PeerMessage);
  beat @3 :PeerBeat;
}

struct PeerBeat {
  # What one node says to another about support; see src/liveness/beat.ts. Its run is the frame's.
  sequence @0 :UInt64;
  echoRun @1 :UInt64;
  # The recipient's run that echo and granted are of; 0: none was heard of.
  echo @2 :UInt64;
  epoch @3 :UInt64;
  # Under which the sender asks for support.
  supports @4 :UInt64;
  # The recipient's epoch that the sender supports; 0: none.
  granted @5 :UInt64;
  refused @6 :UInt64;
  promiseCount @7 :UInt64;
  promiseHash @8 :UInt32;
  released @9 :List(PeerGroupTerm);
  asked @10 :List(PeerGroupTerm);
}

struct PeerGroupTerm {
  groupId @0 :UInt32;
  term @1 :UInt64;
}

struct PeerMessage {
  groupId @0 :UInt32;
  fortifies @1 :Bool;
  # Of a follower's reply: while it supports the recipient's node it votes for nobody else.
  message @2 :Raft.RaftMessage;
}

struct PeerControl {
  # The control stream of a session between two nodes, after the handshake, both ways.
  kind @0 :UInt16;
  # 1 and 2 PeerHello (of the node that dialed, and the answer), 3 and 4 PeerPing (and the answer),
  # 5 PeerGoodbye.
  body @1 :AnyPointer;
}

struct PeerHello {
  versionMin @0 :UInt16;
  versionMax @1 :UInt16;
  # Of the protocol between nodes.
  nodeId @2 :UInt32;
  features @3 :UInt64;
  clusterId :group $bytes { high @4 :UInt64; low @5 :UInt64; }
  folderId :group $bytes { high @6 :UInt64; low @7 :UInt64; }
  # Random, of the data folder.
  processId :group $bytes { high @8 :UInt64; low @9 :UInt64; }
  # Random, of this run of the program.
  generation @10 :UInt32;
  partitionCount @11 :UInt32;
  region @12 :Text;
}

struct PeerPing {
  sequence @0 :UInt64;
}

struct PeerGoodbye {
  code @0 :UInt16;
  # An error code, or 0 for a session that ends well.
  message @1 :Text;
}

struct PeerImage {
  # The beginning of a bulk stream between nodes; `bytes` bytes of image follow.
  bytes @0 :UInt64;
  header @1 :Data;
  # A PeerFrame with its table.
}

struct PeerImageReply {
  # The answer to an image.
  code @0 :UInt16;
  # An error code, or 0 when it arrived whole.
}
