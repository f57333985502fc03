/**
 * The founding of a group of several voters: an image of the empty machine, at index 1 and term 1,
 * carries the configuration. The node of each founding voter writes the same.
 */
import type { RegistryError } from "../base/errors.ts";
import type { GroupId, LogIndex, Term } from "../base/ids.ts";
import type { Scheduler } from "../base/world.ts";
import type { Configuration } from "../raft/mod.ts";
import type { SharedLog } from "../storage/shared_log.ts";
import { encodeConfiguration } from "./log_entry.ts";
import type { ReplicaLogStart } from "./replica_log.ts";
import type { StateMachine } from "./state_machine.ts";

/** The position of the image from which a founded group starts. */
export const FOUNDING_POINT = { index: 1 as LogIndex, term: 1 as Term };

/**
 * Logs the founding of a group.
 *
 * @param done called in a later turn with the log from which the replica starts.
 */
export function logFounding(
  log: SharedLog,
  group: {
    readonly id: GroupId;
    readonly machine: StateMachine<unknown>;
    readonly configuration: Configuration;
  },
  done: (founded: ReplicaLogStart | RegistryError) => void,
  scheduler: Scheduler,
): void {
  const { id, machine, configuration } = group;
  // A leader of term 1 would mistake the image's entry for one of its own.
  const hardState = { term: FOUNDING_POINT.term, vote: 0, commit: 0 as LogIndex };
  const image = { ...FOUNDING_POINT, configuration: encodeConfiguration(configuration) };
  const answered = (error: RegistryError | undefined) => {
    if (error !== undefined) return done(error);
    done({
      hardState: { ...hardState, commit: FOUNDING_POINT.index },
      configuration,
      ...FOUNDING_POINT,
      entries: [],
    });
  };
  const chunks = machine.writeImage();
  const refused = log.saveHardState(id, hardState) ??
    log.installImage(id, image, chunks, answered);
  if (refused === undefined) return;
  chunks.return();
  scheduler.nextTurn(() => done(refused));
}
