/** Ids of the Maps protocol: hashes that its clients can compute, too. */
import { sha256 } from "@noble/hashes/sha2.js";
import { toHex } from "../base/bytes.ts";

/**
 * Returns the id of what a credential announces under a name.
 *
 * @param name the address of a gateway or the domain of an agent, as its owner wrote it.
 * @returns 64 hexadecimal digits.
 */
export function mapsIdOf(credential: string, name: string): string {
  return toHex(sha256(new TextEncoder().encode(`${credential}|${name}`)));
}
