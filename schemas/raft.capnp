@0x8f3c91d6a0e57b24;
# Messages between the replicas of one group. Entries stay opaque bytes. Local messages, between a
# replica and its own storage, are never encoded.
#
# Every UInt64 holds an integer below 2^53.

struct RaftMessage {
  kind @0 :UInt16;
  # 1 propose, 2 append, 3 appendReply, 4 vote, 5 voteReply, 6 preVote, 7 preVoteReply, 8 heartbeat,
  # 9 heartbeatReply, 10 snapshot, 11 timeoutNow, 12 transferLeader, 13 readIndex, 14 readIndexReply.
  reject @1 :Bool;
  transfer @2 :Bool;
  # On a vote: the leader itself asked for this election.
  from @3 :UInt64;
  # Replica id.
  to @4 :UInt64;
  term @5 :UInt64;
  logTerm @6 :UInt64;
  index @7 :UInt64;
  commit @8 :UInt64;
  rejectHint @9 :UInt64;
  # On a vote request: the term of the entry at commit.
  transferee @10 :UInt64;
  readOrigin @11 :UInt64;
  readSequence @12 :UInt64;
  # 0: no read.
  entries @13 :List(RaftEntry);
  snapshot @14 :RaftSnapshot;
  # Index 0: none.
  boundTicks @15 :UInt32;
  # On a refused pre-vote: the ticks after which the sender may vote; 0: it may now.
}

struct RaftEntry {
  term @0 :UInt64;
  index @1 :UInt64;
  kind @2 :UInt16;
  # 0 normal, 1 one change of the configuration, 2 a change that may be joint.
  data @3 :Data;
}

struct RaftSnapshot {
  index @0 :UInt64;
  term @1 :UInt64;
  configuration @2 :RaftConfiguration;
  data @3 :Data;
}

struct RaftConfiguration {
  # Lists of replica ids, ascending.
  voters @0 :List(UInt64);
  votersOutgoing @1 :List(UInt64);
  learners @2 :List(UInt64);
  learnersNext @3 :List(UInt64);
  autoLeave @4 :Bool;
}

struct RaftConfChange {
  # The data of an entry that changes the configuration. Empty data: leave the joint configuration.
  transition @0 :UInt16;
  # 0 auto, 1 joint and left automatically, 2 joint until explicitly left.
  changes @1 :List(RaftMemberChange);
  context @2 :Data;
  # Opaque data of the proposer.
}

struct RaftMemberChange {
  kind @0 :UInt16;
  # 0 add a voter, 1 add a learner, 2 remove, 3 update.
  replicaId @1 :UInt64;
  # 0: changes nothing.
}
