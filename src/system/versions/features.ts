/**
 * The apply versions of this program and what each of them adds. A command that earlier programs cannot
 * apply, or a change of what a command does, gets the next number and a line here (ARCHITECTURE.md, Where
 * to add things). A line never changes: logs hold the numbers.
 */

/** A feature that an apply version adds. */
export interface ApplyFeature {
  readonly applyVersion: number;
  /** A noun, as operators read it. */
  readonly name: string;
}

/** The apply version of a group that never raised it. */
export const FIRST_APPLY_VERSION = 1;

/** The apply version from which the governed plane's group may be placed. */
export const GOVERNED_APPLY_VERSION = 7;

/** The apply version from which group 0 keeps the version of each member's program. */
export const MEMBER_PROGRAMS_APPLY_VERSION = 15;

/** The apply version from which group 0 audits backups. */
export const BACKUPS_APPLY_VERSION = 17;

/** The apply version from which a successor that holds nothing takes over the place of the node it replaces. */
export const INHERITED_PLACES_APPLY_VERSION = 18;

/** The apply version from which a region can mirror the governed plane of another one. */
export const GOVERNED_MIRRORS_APPLY_VERSION = 19;

/** The apply version from which moves of replicas can be paused. */
export const PAUSED_MOVES_APPLY_VERSION = 20;

const NAMES: readonly string[] = [
  "members, replicas and placement",
  "records of region scope",
  "mirrors of other regions' records",
  "peer regions",
  "bans of peer regions' nodes",
  "the governed plane",
  "capabilities",
  "limits on what identities may read",
  "records that name their owner",
  "records of the Maps protocol",
  "where the Maps protocol is served",
  "departures of nodes",
  "chosen leaders",
  "program versions of members",
  "permits to expire records, and stale records",
  "backups in the audit log",
  "standby nodes that take the place of others",
  "mirrors of the governed plane",
  "pauses of moves",
];

/** All features after the first apply version, by ascending apply version, without gaps. */
export const APPLY_FEATURES: readonly ApplyFeature[] = NAMES.map((name, at) => ({
  applyVersion: FIRST_APPLY_VERSION + 1 + at,
  name,
}));

/** The highest apply version of this program. */
export const APPLY_VERSION_MAX: number = FIRST_APPLY_VERSION + APPLY_FEATURES.length;
