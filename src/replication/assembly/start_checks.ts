/** Checks of what a data folder holds against the cluster that it belongs to, at a start. */
import { RegistryError } from "../../base/errors.ts";
import type { PartitionStore } from "../../store/store.ts";

/**
 * Checks that no partition has state before there is a cluster: its keys would be hashed anew.
 *
 * @throws RegistryError `corrupt`.
 */
export function checkEmpty(
  partitions: Iterable<{ readonly id: number; readonly store: PartitionStore }>,
): void {
  const found = [...partitions].find(({ store }) => store.appliedIndex > 0);
  if (found === undefined) return;
  throw new RegistryError(
    "corrupt",
    `Group 0 must say to which cluster partition ${found.id} belongs: the log holds the partition, ` +
      "but no creation of a cluster. Restore the data folder from a copy, or start with an empty one",
  );
}

/** Checks the configured number of partitions. @throws RegistryError `invalid_configuration`. */
export function checkPartitionCount(cluster: number, configured: number): void {
  if (cluster === configured) return;
  throw new RegistryError(
    "invalid_configuration",
    `partitions must be ${cluster}, with which this data folder was created: ` +
      `current value is ${configured}`,
    { field: "partitions" },
  );
}
