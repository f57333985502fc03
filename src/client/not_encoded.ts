/** Errors of the codecs, which are mistakes of the caller: values that no field can hold. */
import { FieldError } from "../../schemas/runtime.ts";
import { RegistryError, toRegistryError } from "../base/errors.ts";

/** Returns the error of a value that could not be encoded, with the field where it is known. */
export function notEncoded(error: unknown): RegistryError {
  if (error instanceof RangeError || error instanceof TypeError) {
    const fields = error instanceof FieldError ? { field: error.field } : {};
    return new RegistryError("invalid_argument", error.message, fields, error);
  }
  return toRegistryError(error);
}
