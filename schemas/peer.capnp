@0xc7a41d8e5b3f6092;
# Messages between the nodes of a cluster, on their peer stream. In each turn a node sends at most
# one frame to each node that it has messages for. A snapshot is sent on a stream of its own: its
# header is a PeerFrame with one message, whose snapshot has no data, and the image follows.
#
# Every UInt64 holds an integer below 2^53.

using Raft = import "raft.capnp";
using import "codec.capnp".bytes;

struct PeerFrame {
  run @0 :UInt64;
  # The sender's run number, which increases with each start of the node.
  supports @1 :UInt64;
  # The recipient's epoch that the sender supports; 0: none. Messages in this frame that fortify
  # refer to this epoch.
  messages @2 :List(PeerMessage);
  beat @3 :PeerBeat;
  probe @4 :PeerProbe;
  # The sender is of the run of the frame.
  proofs @5 :PeerProofs;
}

struct PeerProbe {
  # Asks for proofs that reads at the sender's replicas need; see src/liveness/freshness.
  epoch @0 :UInt64;
  # The proofs that the sender holds are of this epoch; an epoch begins with a full list.
  sequence @1 :UInt64;
  # Grows by one with each probe of a run to the recipient.
}

struct PeerProofs {
  # The answer to a probe.
  run @0 :UInt64;
  # The run of the node that probed.
  epoch @1 :UInt64;
  sequence @2 :UInt64;
  # The epoch and the sequence of the probe.
  counter @3 :UInt64;
  # Grows by one with each answer of an epoch; 1 in a full list.
  leasesOff @4 :Bool;
  # The sender holds no leases, so it proves nothing.
  list @5 :UInt64;
  # Number of the full list that the answers began with; the sender uses each number once in a run.
  changes @6 :List(PeerProof);
}

struct PeerProof {
  # The sender's assertion about a group that it leads; it holds until the next one.
  groupId @0 :UInt32;
  term @1 :UInt64;
  # 0: the sender asserts nothing of the group any more.
  commitIndex @2 :UInt64;
}

struct PeerBeat {
  # Heartbeat about support between two nodes; see src/liveness/beat.ts. Its run is that of the
  # frame.
  sequence @0 :UInt64;
  echoRun @1 :UInt64;
  # The recipient's run to which echo and granted refer; 0: none is known.
  echo @2 :UInt64;
  epoch @3 :UInt64;
  # The epoch under which the sender asks for support.
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
  # On a follower's reply: while the follower supports the recipient's node, it votes for no other
  # replica.
  message @2 :Raft.RaftMessage;
}

struct PeerControl {
  # A message on the control stream of a session between two nodes, after the handshake, in both
  # directions.
  kind @0 :UInt16;
  # 1 PeerHello of the dialing node, 2 PeerHello in reply, 3 PeerPing, 4 PeerPing in reply, 5
  # PeerGoodbye.
  body @1 :AnyPointer;
}

struct PeerHello {
  versionMin @0 :UInt16;
  versionMax @1 :UInt16;
  # Version range of the protocol between nodes.
  nodeId @2 :UInt32;
  features @3 :UInt64;
  clusterId :group $bytes { high @4 :UInt64; low @5 :UInt64; }
  folderId :group $bytes { high @6 :UInt64; low @7 :UInt64; }
  # Random id of the data folder.
  processId :group $bytes { high @8 :UInt64; low @9 :UInt64; }
  # Random id of this run of the program.
  generation @10 :UInt32;
  partitionCount @11 :UInt32;
  region @12 :Text;
  applyVersionMax @13 :UInt32;
  # The highest apply version that the node's program supports; 0: a program that does not say it.
  program @14 :Text;
  # The version of the node's program; empty: a program that does not say it.
}

struct PeerPing {
  sequence @0 :UInt64;
}

struct PeerGoodbye {
  code @0 :UInt16;
  # An error code; 0: the session ends without an error.
  message @1 :Text;
}

struct PeerImage {
  # The header of a bulk stream between nodes; `bytes` bytes of image follow.
  bytes @0 :UInt64;
  header @1 :Data;
  # A PeerFrame with its segment table.
  number @2 :UInt64;
  # From version 2 of the protocol on: identifies the image within the sending process. It is sent again
  # under the same number after a cut.
}

struct PeerImagePoint {
  # From version 2 on, the receiver's first reply: where the image is to be continued. Chunks follow, each
  # with its length and its CRC-32 before it, 4 bytes each, little-endian.
  code @0 :UInt16;
  # An error code: the image is refused; 0: it is taken.
  offset @1 :UInt64;
  # The bytes of it that are here from an earlier session.
}

struct PeerImageReply {
  # The reply to an image.
  code @0 :UInt16;
  # An error code; 0: the whole image has arrived.
}
