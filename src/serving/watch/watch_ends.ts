/** Why watches end, besides what their requests lack. */
import { RegistryError } from "../../base/errors.ts";

/** Returns why a watch ends with its delegation. */
export function callerEnded(): RegistryError {
  return new RegistryError("unknown_delegation", "The delegation of the watch has ended");
}

/** Returns why a watch ends in a partition whose changes it has not taken in time. */
export function tooSlow(partition: number): RegistryError {
  return new RegistryError(
    "overloaded",
    `Changes of partition ${partition} that the watch has not taken are no longer in the history`,
  );
}
