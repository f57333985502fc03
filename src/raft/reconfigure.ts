/**
 * Switching to a new configuration: of a committed entry, of a snapshot, or of a restart. A replica
 * uses a configuration from when it applies the entry (as etcd-io/raft does; in the thesis, from
 * when it is appended). That is safe because no second change enters the log before the first is
 * applied. Source: thesis §4.2.2 (removing the leader), §4.3.
 */
import { assert } from "../base/assert.ts";
import type { ConfChange } from "./conf_change.ts";
import type { Core } from "./core.ts";
import type { Members } from "./membership.ts";
import { changeMembers, restoreMembers } from "./membership.ts";
import type { Configuration } from "./message.ts";
import { NO_REPLICA } from "./message.ts";
import { isVoter } from "./quorum.ts";
import { releaseWaitingReads } from "./read_index.ts";
import { broadcastAppend, maybeCommit } from "./replication.ts";
import { becomeFollower } from "./roles.ts";

/**
 * Applies the committed change of the entry at `index`, and returns the current configuration. A
 * change that a snapshot overtook, while the entry was on its way to be applied, has no effect.
 */
export function applyConfChange(core: Core, change: ConfChange, index: number): Configuration {
  assert(index <= core.log.applying, `Entry ${index} was not handed out to be applied`);
  if (index <= core.configurationIndex) return core.configuration;
  core.configurationIndex = index;
  const from = { lastIndex: core.log.lastIndex, limits: core.settings };
  const members = changeMembers(core, change, from);
  assert(typeof members !== "string", `A committed change cannot be applied: ${members}`);
  switchTo(core, members);
  return core.configuration;
}

/** Starts from `configuration`, which a snapshot or storage holds for the entry at `index`. */
export function restoreConfiguration(
  core: Core,
  configuration: Configuration,
  index: number,
): void {
  core.configurationIndex = index;
  const from = { lastIndex: core.log.lastIndex, limits: core.settings };
  switchTo(core, restoreMembers(configuration, from));
}

function switchTo(core: Core, members: Members): void {
  core.configuration = members.configuration;
  core.progress = members.progress;
  core.configurationSwitches++;
  if (core.role !== "leader") return;

  const self = core.member(core.id);
  if (self === undefined || self.isLearner) {
    if (core.settings.stepDownOnRemoval) becomeFollower(core, core.term, NO_REPLICA);
    return;
  }
  if (members.configuration.voters.length === 0) return;
  if (maybeCommit(core)) {
    // A smaller quorum may have committed more.
    releaseWaitingReads(core);
    broadcastAppend(core);
  } else {
    // New members are probed at once instead of at the next heartbeat.
    broadcastAppend(core, false);
  }
  if (core.transferee !== NO_REPLICA && !isVoter(core.configuration, core.transferee)) {
    core.transferee = NO_REPLICA;
  }
}
