/**
 * Raft's entries and configurations as the shared log keeps them. Kinds are stable: they stand in
 * logs. A group that was founded before groups had configurations has none in its images and begins
 * with its founder alone.
 */
import { raftConfigurationCodec } from "../../schemas/gen/raft.ts";
import { RegistryError } from "../base/errors.ts";
import type { Term } from "../base/ids.ts";
import { RAFT_INFLIGHT_BYTES_MAX, RAFT_INFLIGHT_MESSAGES_MAX } from "../base/limits.ts";
import { changeMembers, restoreMembers } from "../raft/membership.ts";
import {
  type ConfChange,
  type Configuration,
  configurationFault,
  EMPTY_CONFIGURATION,
  type Entry,
  type EntryKind,
  type MembershipRefusal,
} from "../raft/mod.ts";
import type { LogEntry } from "../storage/shared_log.ts";

/** What an entry of a group's log holds. */
export const ENTRY_EMPTY = 0;
/** See {@link ENTRY_EMPTY}. */
export const ENTRY_COMMAND = 1;
/** See {@link ENTRY_EMPTY}. */
export const ENTRY_CONF_CHANGE_V1 = 2;
/** See {@link ENTRY_EMPTY}. */
export const ENTRY_CONF_CHANGE = 3;

/** The replica that founds a group; no other is ever given this id. */
export const FOUNDER_REPLICA = 1;

/** The entry as the log takes it. */
export function logEntryOf({ term, kind, data }: Entry): LogEntry {
  return { term: term as Term, kind: kindNumber(kind, data), data };
}

function kindNumber(kind: EntryKind, data: Uint8Array): number {
  switch (kind) {
    case "normal":
      return data.length === 0 ? ENTRY_EMPTY : ENTRY_COMMAND;
    case "conf_change_v1":
      return ENTRY_CONF_CHANGE_V1;
    case "conf_change":
      return ENTRY_CONF_CHANGE;
  }
}

/** What the kind of a logged entry says. @throws RegistryError `corrupt` for one nobody writes. */
export function entryKindOf(kind: number): EntryKind {
  switch (kind) {
    case ENTRY_EMPTY:
    case ENTRY_COMMAND:
      return "normal";
    case ENTRY_CONF_CHANGE_V1:
      return "conf_change_v1";
    case ENTRY_CONF_CHANGE:
      return "conf_change";
    default:
      throw new RegistryError("corrupt", `Entry must be of a known kind: found ${kind}`);
  }
}

/** The configuration as an image carries it. */
export function encodeConfiguration(configuration: Configuration): Uint8Array {
  return raftConfigurationCodec.encode(configuration);
}

/**
 * The configuration of an image; undefined where it has none.
 *
 * @throws RegistryError `corrupt` where the bytes are none.
 */
export function decodeConfiguration(bytes: Uint8Array): Configuration | undefined {
  if (bytes.length === 0) return undefined;
  let configuration: Configuration;
  try {
    configuration = raftConfigurationCodec.decode(bytes);
  } catch (error) {
    throw new RegistryError("corrupt", "An image's configuration cannot be read", {}, error);
  }
  const fault = configurationFault(configuration);
  if (fault === undefined) return configuration;
  throw new RegistryError("corrupt", `An image's configuration cannot be: ${fault}`);
}

/** The configuration of one voter alone. */
export function soleConfiguration(replica: number): Configuration {
  return { ...EMPTY_CONFIGURATION, voters: [replica] };
}

/** Whether `replica` alone decides. */
export function isSoleVoter(configuration: Configuration, replica: number): boolean {
  const { voters, votersOutgoing } = configuration;
  return voters.length === 1 && voters[0] === replica && votersOutgoing.length === 0;
}

/** The configuration that a change leads to, or why it cannot be made. */
export function configurationAfter(
  configuration: Configuration,
  change: ConfChange,
): Configuration | MembershipRefusal {
  const from = { lastIndex: 0, limits: LIMITS };
  const changed = changeMembers(restoreMembers(configuration, from), change, from);
  return typeof changed === "string" ? changed : changed.configuration;
}

const LIMITS = {
  inflightMessagesMax: RAFT_INFLIGHT_MESSAGES_MAX,
  inflightBytesMax: RAFT_INFLIGHT_BYTES_MAX,
};
