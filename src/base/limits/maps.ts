/** Limits of the records and the service of the Maps protocol. */
import { TTL_MS_MAX } from "./records.ts";

/** Size of a credential: the hash of a certificate in any notation. */
export const MAPS_CREDENTIAL_BYTES_MAX = 256;
/** Length of a name that is hashed into an id, in UTF-16 units: above all names that are valid. */
export const MAPS_NAME_LENGTH_MAX = 256;
/** Size of a seeder's name, for people. */
export const MAPS_SEEDER_NAME_BYTES_MAX = 63;
/** Lease of a seeder, ms, and the interval at which a front extends it: three may be lost. */
export const MAPS_SEEDER_LEASE_MS = 40_000;
export const MAPS_SEEDER_BEAT_MS = 10_000;
/** Pause after a failure to announce a front, ms. */
export const MAPS_SEEDER_RETRY_MS = 2_000;
/** Seeders in an answer. */
export const MAPS_SEEDERS_TOLD = 5;
/** Largest amount of a dimension of capacity: the largest of the protocol's type. */
export const MAPS_CAPACITY_MAX = 0x7fff_ffff;
/** Gateways that an agent is offered. */
export const MAPS_GATEWAYS_OFFERED = 10;
/**
 * Default lease of a record, ms: the longest one. Clients renew by registering again, and some register
 * only when they start.
 */
export const MAPS_LEASE_MS_DEFAULT: number = TTL_MS_MAX;
