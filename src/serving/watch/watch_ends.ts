/** Errors that end watches, besides those of their requests. */
import { RegistryError } from "../../base/errors.ts";

/** Returns the error of a watch whose delegation has ended. */
export function callerEnded(): RegistryError {
  return new RegistryError("unknown_delegation", "The delegation of the watch has ended");
}

/** Returns the error of a watch that has not taken the changes of a partition in time. */
export function tooSlow(partition: number): RegistryError {
  return new RegistryError(
    "overloaded",
    `Changes of partition ${partition} that the watch has not taken are no longer in the history`,
  );
}
