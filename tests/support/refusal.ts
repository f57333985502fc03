/** Returns the refusals of calls under test, or their codes. Other errors are thrown on. */
import { type ErrorCode, RegistryError } from "../../src/base/errors.ts";

function refusalIn(error: unknown): RegistryError {
  if (error instanceof RegistryError) return error;
  throw error;
}

/** Returns the refusal of a call. */
export function refusalOf(run: () => unknown): RegistryError {
  try {
    run();
  } catch (error) {
    return refusalIn(error);
  }
  throw new Error("It was not refused");
}

/** Returns the code with which a call is refused; `ok` if it is not. */
export function codeOfCall(run: () => unknown): ErrorCode | "ok" {
  try {
    run();
  } catch (error) {
    return refusalIn(error).code;
  }
  return "ok";
}

/** Returns the refusal with which a promise rejects. */
export async function rejectionOf(promise: Promise<unknown>): Promise<RegistryError> {
  try {
    await promise;
  } catch (error) {
    return refusalIn(error);
  }
  throw new Error("It was not refused");
}

/** Returns the code with which a promise rejects; `ok` if it does not. */
export function codeOf(promise: Promise<unknown>): Promise<ErrorCode | "ok"> {
  return promise.then(() => "ok" as const, (error) => refusalIn(error).code);
}
