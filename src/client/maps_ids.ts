/** Names of the Maps protocol: its default region, and ids, which are hashes that clients can compute too. */
import { sha256 } from "@noble/hashes/sha2.js";
import { toHex } from "../base/bytes.ts";

/** The region of clients that name none. */
export const MAPS_REGION_DEFAULT = "global";

/**
 * Returns the id of a gateway, agent or seeder.
 *
 * @param credential the credential of its owner; of a seeder, the hash of its certificate.
 * @param name the domain of an agent, or the address of a gateway or seeder, as its owner wrote it.
 * @returns 64 hexadecimal digits.
 */
export function mapsIdOf(credential: string, name: string): string {
  return toHex(sha256(new TextEncoder().encode(`${credential}|${name}`)));
}
