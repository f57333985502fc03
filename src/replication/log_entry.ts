/**
 * The encoding of Raft's entries and configurations in the shared log. The numbers of kinds are
 * stable, as logs contain them. A group founded before configurations existed has none in its images
 * and starts with its founder as the only voter.
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

/** The kind of an entry without content. */
export const ENTRY_EMPTY = 0;
/** The kind of an entry with a command for the state machine. */
export const ENTRY_COMMAND = 1;
/** The kind of an entry with a configuration change, version 1. */
export const ENTRY_CONF_CHANGE_V1 = 2;
/** The kind of an entry with a configuration change. */
export const ENTRY_CONF_CHANGE = 3;

/** The id of the replica that founds a group; no other replica ever gets it. */
export const FOUNDER_REPLICA = 1;

/** Converts a Raft entry to an entry of the shared log. */
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

/** Returns the Raft kind of a logged entry's kind. @throws RegistryError `corrupt` if it is unknown. */
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

/** Encodes a configuration for an image. */
export function encodeConfiguration(configuration: Configuration): Uint8Array {
  return raftConfigurationCodec.encode(configuration);
}

/**
 * Decodes the configuration of an image; returns undefined if it has none.
 *
 * @throws RegistryError `corrupt` if the bytes are not a valid configuration.
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
  throw new RegistryError("corrupt", `An image's configuration is invalid: ${fault}`);
}

/** Returns the configuration with `replica` as the only voter. */
export function soleConfiguration(replica: number): Configuration {
  return { ...EMPTY_CONFIGURATION, voters: [replica] };
}

/** Reports whether `replica` is the only voter. */
export function isSoleVoter(configuration: Configuration, replica: number): boolean {
  const { voters, votersOutgoing } = configuration;
  return voters.length === 1 && voters[0] === replica && votersOutgoing.length === 0;
}

/** Returns the configuration after a change, or why the change cannot be made. */
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
