/**
 * The authority of M1: the host and port that a client dialed, in canonical spelling, so that the
 * server can compare it with its own names.
 */
import { RegistryError } from "../../src/base/errors.ts";
import { AUTH_AUTHORITY_BYTES_MAX } from "../../src/base/limits.ts";

/**
 * Returns the authority in lower case, for example `registry.example:4433`, `192.0.2.1:4433` or
 * `[2001:db8::1]:4433`. IPv6 addresses are not rewritten: both ends are given the same text.
 *
 * @throws RegistryError `invalid_argument` if the host or port cannot form an authority.
 */
export function authorityOf(host: string, port: number): string {
  const text = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  // The check precedes toLowerCase(), which would turn the Kelvin sign into "k".
  if (!/^[A-Za-z0-9.:_%[\]-]+$/.test(text) || text.length > AUTH_AUTHORITY_BYTES_MAX) {
    throw new RegistryError(
      "invalid_argument",
      `An authority must be a host name or address and a port: found ${
        JSON.stringify(text.slice(0, 64))
      }`,
      { field: "authority" },
    );
  }
  return text.toLowerCase();
}
