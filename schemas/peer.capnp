@0xc7a41d8e5b3f6092;
# What the nodes of a cluster say to each other, on their peer stream: in each turn one frame to a
# node that anything is to be said to. A snapshot goes on a stream of its own: its header is such a
# frame with one message, whose snapshot has no data, and the image follows.
#
# Every UInt64 holds an integer below 2^53.

using Raft = import "raft.capnp";

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
