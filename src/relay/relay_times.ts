/** The leases of a relay registry. All fronts of one backend must use the same. */
import { RegistryError } from "../base/errors.ts";
import { RELAY_TTL_MS_DEFAULT, RELAY_TTL_MS_MAX, RELAY_TTL_MS_MIN } from "../base/limits.ts";

/** Times for which entries last without being renewed, ms. */
export interface RelayTimes {
  readonly relayTtlMs: number;
  readonly agentTtlMs: number;
}

/** Returns `times` with the defaults. Throws `invalid_configuration` for one out of range. */
export function checkedRelayTimes(times: Partial<RelayTimes>): RelayTimes {
  const { relayTtlMs = RELAY_TTL_MS_DEFAULT, agentTtlMs = RELAY_TTL_MS_DEFAULT } = times;
  for (const [field, ms] of Object.entries({ relayTtlMs, agentTtlMs })) {
    if (Number.isInteger(ms) && ms >= RELAY_TTL_MS_MIN && ms <= RELAY_TTL_MS_MAX) continue;
    throw refused(field, ms, `an integer in [${RELAY_TTL_MS_MIN}, ${RELAY_TTL_MS_MAX}]`);
  }
  return { relayTtlMs, agentTtlMs };
}

/**
 * Checks that a backend can keep leases.
 *
 * @param backend names it in the message, after "at least … with".
 * @throws RegistryError `invalid_configuration` for a lease shorter than `ttlMsMin`.
 */
export function checkShortestTtl(times: RelayTimes, ttlMsMin: number, backend: string): void {
  for (const [field, ms] of Object.entries(times)) {
    if (ms < ttlMsMin) throw refused(field, ms, `at least ${ttlMsMin} with ${backend}`);
  }
}

function refused(field: string, ms: number, needed: string): RegistryError {
  const message = `${field} must be ${needed}: current value is ${ms}`;
  return new RegistryError("invalid_configuration", message, { field });
}
