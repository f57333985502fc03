/**
 * Renders values of our core as the text that scenario files expect, in the terms of etcd-io/raft.
 * Only tests use these terms.
 */
import {
  APPEND_THREAD,
  APPLY_THREAD,
  type Configuration,
  decodeConfChange,
  type Entry,
  type EntryKind,
  type HardState,
  type MemberChange,
  type MemberChangeKind,
  type Message,
  type MessageType,
  NO_REPLICA,
  type Ready,
  type ReplicaRole,
  type Snapshot,
} from "../../src/raft/mod.ts";
import type { MembershipRefusal } from "../../src/raft/mod.ts";
import type { MemberStatus } from "../../src/raft/mod.ts";

/** Our types of message by the names of the scenario files. */
export const MESSAGE_NAMES: Readonly<Record<MessageType, string>> = {
  propose: "MsgProp",
  append: "MsgApp",
  append_reply: "MsgAppResp",
  vote: "MsgVote",
  vote_reply: "MsgVoteResp",
  pre_vote: "MsgPreVote",
  pre_vote_reply: "MsgPreVoteResp",
  heartbeat: "MsgHeartbeat",
  heartbeat_reply: "MsgHeartbeatResp",
  snapshot: "MsgSnap",
  timeout_now: "MsgTimeoutNow",
  transfer_leader: "MsgTransferLeader",
  read_index: "MsgReadIndex",
  read_index_reply: "MsgReadIndexResp",
  storage_append: "MsgStorageAppend",
  storage_append_reply: "MsgStorageAppendResp",
  storage_apply: "MsgStorageApply",
  storage_apply_reply: "MsgStorageApplyResp",
};

/** Types that scenario files may name and that are function calls in our core. */
export const LOCAL_MESSAGE_NAMES: readonly string[] = [
  "MsgHup",
  "MsgBeat",
  "MsgUnreachable",
  "MsgSnapStatus",
  "MsgCheckQuorum",
  "MsgForgetLeader",
];

const ROLE_NAMES: Readonly<Record<ReplicaRole, string>> = {
  follower: "StateFollower",
  pre_candidate: "StatePreCandidate",
  candidate: "StateCandidate",
  leader: "StateLeader",
};

const ENTRY_NAMES: Readonly<Record<EntryKind, string>> = {
  normal: "EntryNormal",
  conf_change_v1: "EntryConfChange",
  conf_change: "EntryConfChangeV2",
};

const PROGRESS_NAMES = {
  probe: "StateProbe",
  replicate: "StateReplicate",
  snapshot: "StateSnapshot",
} as const;

const CHANGE_LETTERS: Readonly<Record<MemberChangeKind, string>> = {
  add_voter: "v",
  add_learner: "l",
  remove: "r",
  update: "u",
};

const REFUSALS: Readonly<Record<MembershipRefusal, string>> = {
  already_joint: "config is already joint",
  not_joint: "can't leave a non-joint config",
  simple_in_joint: "can't apply simple config change in joint config",
  no_voters_to_join: "can't make a zero-voter config joint",
  removed_all_voters: "removed all voters",
  several_voters_at_once: "more than one voter changed without entering joint config",
  too_many_members: "too many members",
};

/** Returns the reason for which a configuration change was refused. */
export function renderRefusal(refusal: MembershipRefusal): string {
  return REFUSALS[refusal];
}

/** Returns a role. */
export function renderRole(role: ReplicaRole): string {
  return ROLE_NAMES[role];
}

/** Returns changes as `v1 l2 r3 u4`; the inverse of {@link parseChanges}. */
export function renderChanges(changes: readonly MemberChange[]): string {
  return changes.map(({ kind, replica }) => `${CHANGE_LETTERS[kind]}${replica}`).join(" ");
}

/** Parses `v1 l2 r3 u4`; any other text is returned as an error. */
export function parseChanges(text: string): MemberChange[] | string {
  const changes: MemberChange[] = [];
  for (const token of text.split(/\s+/).filter((part) => part !== "")) {
    if (token.length < 2) return `unknown token ${token}`;
    const kind = (Object.keys(CHANGE_LETTERS) as MemberChangeKind[])
      .find((name) => CHANGE_LETTERS[name] === token[0]);
    if (kind === undefined) return `unknown input: ${token}`;
    if (!/^[0-9]+$/.test(token.slice(1))) {
      return `strconv.ParseUint: parsing ${quote(token.slice(1))}: invalid syntax`;
    }
    changes.push({ kind, replica: Number(token.slice(1)) });
  }
  return changes;
}

/** Returns `voters=(1 2)&&(1) learners=(3) learners_next=(4) autoleave`. */
export function renderConfiguration(configuration: Configuration): string {
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = configuration;
  let text = `voters=${set(voters)}`;
  if (votersOutgoing.length > 0) text += `&&${set(votersOutgoing)}`;
  if (learners.length > 0) text += ` learners=${set(learners)}`;
  if (learnersNext.length > 0) text += ` learners_next=${set(learnersNext)}`;
  return autoLeave ? `${text} autoleave` : text;
}

function set(ids: readonly number[]): string {
  return `(${ids.join(" ")})`;
}

/** Returns a leader's view of a member, without its id. */
export function renderMember(member: MemberStatus): string {
  let text = `${PROGRESS_NAMES[member.state]} match=${member.match} next=${member.next}`;
  if (member.isLearner) text += " learner";
  if (member.isPaused) text += " paused";
  if (member.pendingSnapshot > 0) text += ` pendingSnap=${member.pendingSnapshot}`;
  if (!member.recentActive) text += " inactive";
  if (member.inflightCount > 0) {
    text += ` inflight=${member.inflightCount}${member.isInflightFull ? "[full]" : ""}`;
  }
  return text;
}

/** Returns one line per member. */
export function renderMembers(members: readonly MemberStatus[]): string {
  return members.map((member) => `${member.id}: ${renderMember(member)}\n`).join("");
}

/** Returns `1/4 EntryNormal "foo"`. */
export function renderEntry(entry: Entry): string {
  const text = entry.kind === "normal"
    ? quote(new TextDecoder("latin1").decode(entry.data))
    : renderChanges(decodeConfChange(entry.data).changes);
  const head = `${entry.term}/${entry.index} ${ENTRY_NAMES[entry.kind]}`;
  return text === "" ? head : `${head} ${text}`;
}

/** Returns one line per entry. */
export function renderEntries(entries: readonly Entry[]): string {
  return entries.map((entry) => `${renderEntry(entry)}\n`).join("");
}

/** Quotes as Go's %q does. */
function quote(text: string): string {
  const named: Record<string, string> = {
    '"': '\\"',
    "\\": "\\\\",
    "\n": "\\n",
    "\t": "\\t",
    "\r": "\\r",
  };
  let quoted = "";
  for (const character of text) {
    const code = character.charCodeAt(0);
    const isPlain = code >= 0x20 && code < 0x7f;
    const hex = `\\x${code.toString(16).padStart(2, "0")}`;
    quoted += named[character] ?? (isPlain ? character : hex);
  }
  return `"${quoted}"`;
}

function renderTarget(id: number): string {
  if (id === NO_REPLICA) return "None";
  if (id === APPEND_THREAD) return "AppendThread";
  return id === APPLY_THREAD ? "ApplyThread" : id.toString(16);
}

function renderSnapshot({ index, term, configuration }: Snapshot): string {
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = configuration;
  const list = (ids: readonly number[]) => `[${ids.join(" ")}]`;
  return `Index:${index} Term:${term} ConfState:Voters:${list(voters)} ` +
    `VotersOutgoing:${list(votersOutgoing)} Learners:${list(learners)} ` +
    `LearnersNext:${list(learnersNext)} AutoLeave:${autoLeave}`;
}

/** Returns a message, on one or several lines, without a newline at its end. */
export function renderMessage(message: Message, indent = ""): string {
  const { entries, logTerm, index, responses, snapshot, term, type } = message;
  // The model names the future leader as the sender.
  const from = type === "transfer_leader" ? message.transferee : message.from;
  // Replies and vote requests of the model carry no commit index; ours do, for groups that become idle,
  // for candidates that ask for an unneeded vote, and for learners that are voters without knowing it: on
  // votes together with the term of the entry.
  const isVote = type === "vote_reply" || type === "pre_vote_reply";
  const isRequest = type === "vote" || type === "pre_vote";
  const hasNoCommit = isVote || isRequest || type === "append_reply" || type === "heartbeat_reply";
  let text = `${indent}${renderTarget(from)}->${renderTarget(message.to)} ` +
    `${MESSAGE_NAMES[type]} Term:${term} Log:${isVote ? 0 : logTerm}/${index}`;
  if (message.reject) text += ` Rejected (Hint: ${message.rejectHint})`;
  if (message.commit !== 0 && !hasNoCommit) text += ` Commit:${message.commit}`;
  if (message.vote !== 0) text += ` Vote:${message.vote}`;
  if (entries.length === 1) {
    text += ` Entries:[${renderEntry(entries[0]!)}]`;
  } else if (entries.length > 1) {
    const lines = entries.map((entry) => `\n${indent}  ${renderEntry(entry)}`);
    text += ` Entries:[${lines.join("")}\n${indent}]`;
  }
  if (snapshot !== undefined) text += `\n${indent}  Snapshot: ${renderSnapshot(snapshot)}`;
  if (responses.length > 0) {
    const lines = responses.map((response) => `\n${renderMessage(response, `${indent}  `)}`);
    text += ` Responses:[${lines.join("")}\n${indent}]`;
  }
  return text;
}

function renderHardState({ term, vote, commit }: HardState): string {
  return `Term:${term}${vote === NO_REPLICA ? "" : ` Vote:${vote}`} Commit:${commit}`;
}

/** Returns a Ready; an empty one has no newline at its end. */
export function renderReady(ready: Ready): string {
  let text = "";
  const { softState, hardState, snapshot } = ready;
  if (softState !== undefined) {
    text += `Lead:${softState.lead} State:${renderRole(softState.role)}\n`;
  }
  if (hardState !== undefined) text += `HardState ${renderHardState(hardState)}\n`;
  if (ready.entries.length > 0) text += `Entries:\n${renderEntries(ready.entries)}`;
  if (snapshot !== undefined) text += `Snapshot ${renderSnapshot(snapshot)}\n`;
  if (ready.committedEntries.length > 0) {
    text += `CommittedEntries:\n${renderEntries(ready.committedEntries)}`;
  }
  if (ready.messages.length > 0) {
    text += `Messages:\n${ready.messages.map((message) => `${renderMessage(message)}\n`).join("")}`;
  }
  return text === "" ? "<empty Ready>" : `Ready MustSync=${ready.mustSync}:\n${text}`;
}
