/** Payloads in files, as people write them: strict JSON with any spacing and order of members. */
import { givenPayload } from "../answers/governed_json.ts";
import { GOVERNED_JSON_DEPTH_MAX } from "../base/limits.ts";
import type { ReadPayload } from "../governance/documents/payload.ts";
import { readStrictJson } from "../signing/strict_json.ts";
import { usageFailure } from "./failure.ts";

/**
 * Reads the payload in the text of a file. Schema, version and prev_hash may be left out of the first
 * version of a descriptor.
 */
export function readPayloadText(text: string, file: string): ReadPayload {
  const read = readStrictJson(text, GOVERNED_JSON_DEPTH_MAX);
  if ("fault" in read) {
    throw usageFailure(
      `${file} must be strict JSON: ${read.detail ?? read.fault}`,
      "Correct the file.",
      "file",
    );
  }
  return givenPayload(read.value, file);
}
