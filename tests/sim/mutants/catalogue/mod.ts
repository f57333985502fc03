/** All mutants, in the order of the table. */
import type { Mutant } from "../mutant.ts";
import { BACKUP_MUTANTS } from "./backups.ts";
import { CLUSTER_MUTANTS } from "./clusters.ts";
import { ELECTION_MUTANTS } from "./elections.ts";
import { EXPIRY_MUTANTS } from "./expiry.ts";
import { FRESHNESS_MUTANTS } from "./freshness.ts";
import { GOVERNANCE_MUTANTS } from "./governance.ts";
import { GROUP_LOOP_MUTANTS } from "./group_loop.ts";
import { IDENTITY_MUTANTS } from "./identities.ts";
import { LEASE_MUTANTS } from "./leases.ts";
import { MAPS_MUTANTS } from "./maps.ts";
import { MIRROR_MUTANTS } from "./mirrors.ts";
import { PLACEMENT_MUTANTS } from "./placement.ts";
import { PULLER_MUTANTS } from "./pullers.ts";
import { READ_MUTANTS } from "./reads.ts";
import { RECORD_LEASE_MUTANTS } from "./leases_of_records.ts";
import { REGION_MUTANTS } from "./regions.ts";
import { RELAY_MUTANTS } from "./relays.ts";
import { REPLICATION_MUTANTS } from "./replication.ts";
import { RIGHTS_MUTANTS } from "./rights.ts";
import { STEP_MUTANTS } from "./steps.ts";
import { STORAGE_MUTANTS } from "./storage.ts";
import { WATCH_MUTANTS } from "./watches.ts";

/** Every planted bug. */
export const MUTANTS: readonly Mutant[] = [
  ...ELECTION_MUTANTS,
  ...REPLICATION_MUTANTS,
  ...READ_MUTANTS,
  ...LEASE_MUTANTS,
  ...RECORD_LEASE_MUTANTS,
  ...GROUP_LOOP_MUTANTS,
  ...STORAGE_MUTANTS,
  ...RIGHTS_MUTANTS,
  ...PLACEMENT_MUTANTS,
  ...STEP_MUTANTS,
  ...CLUSTER_MUTANTS,
  ...FRESHNESS_MUTANTS,
  ...MIRROR_MUTANTS,
  ...REGION_MUTANTS,
  ...PULLER_MUTANTS,
  ...WATCH_MUTANTS,
  ...GOVERNANCE_MUTANTS,
  ...IDENTITY_MUTANTS,
  ...RELAY_MUTANTS,
  ...MAPS_MUTANTS,
  ...EXPIRY_MUTANTS,
  ...BACKUP_MUTANTS,
];
