/** The refusals of commands about identities. */
import { RegistryError } from "../../base/errors.ts";
import { moved } from "../sub_machine.ts";

/** Returns the refusal of a command whose content is invalid. */
export function malformed(what: string): RegistryError {
  return new RegistryError("malformed", `Identity command must be valid: found ${what}`);
}

/**
 * Checks that a record replaces the one that is there.
 *
 * @throws RegistryError `incarnation_mismatch` when the record to be replaced has changed.
 */
export function checkReplaced(
  what: string,
  found: { readonly version: number } | undefined,
  replacedVersion: number,
  record: { readonly version: number },
): void {
  const version = found?.version ?? 0;
  if (version !== replacedVersion) {
    throw moved(`${what} must have version ${replacedVersion}: it has ${version}`);
  }
  if (record.version <= replacedVersion) throw malformed(`version ${record.version}`);
}
