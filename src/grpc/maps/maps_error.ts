/**
 * Errors of the Maps protocol: they are part of the answer, whose gRPC status is OK. This table alone maps
 * the codes of the registry to those of the protocol.
 */
import { type ErrorCode, RegistryError, toRegistryError } from "../../base/errors.ts";

/** The codes of the protocol (schemas/proto/maps/maps.proto). */
export const MAPS_CODES = {
  invalidArgument: 1,
  notFound: 2,
  alreadyExists: 3,
  unavailable: 4,
  internal: 5,
  unauthorized: 6,
} as const;

/** A code of the protocol. */
export type MapsCode = (typeof MAPS_CODES)[keyof typeof MAPS_CODES];

/** An error as a part of an answer. */
export interface MapsError {
  readonly code: MapsCode;
  readonly message: string;
}

const { invalidArgument, notFound, alreadyExists, unavailable, internal, unauthorized } =
  MAPS_CODES;

const CODES: Readonly<Record<ErrorCode, MapsCode>> = {
  malformed: invalidArgument,
  too_large: invalidArgument,
  invalid_argument: invalidArgument,
  foreign_region: invalidArgument,
  not_found: notFound,
  domain_taken: alreadyExists,
  superseded: alreadyExists,
  stale_sequence: alreadyExists,
  incarnation_mismatch: alreadyExists,
  claim_revoked: alreadyExists,
  unauthenticated: unauthorized,
  permission_denied: unauthorized,
  deadline_exceeded: unavailable,
  overloaded: unavailable,
  storage_unavailable: unavailable,
  not_leader: unavailable,
  not_replica: unavailable,
  too_stale: unavailable,
  shutting_down: unavailable,
  connection_lost: unavailable,
  canceled: unavailable,
  tls_failed: unavailable,
  history_lost: unavailable,
  not_caught_up: unavailable,
  unknown_delegation: unavailable,
  unknown_operation: internal,
  unsupported_version: internal,
  wrong_cluster: internal,
  corrupt: internal,
  locked: internal,
  invalid_configuration: internal,
  internal,
  stale_version: internal,
  no_quorum: internal,
  bad_signature: internal,
  frozen: internal,
};

/** Returns an error in the form of the protocol. Callers learn no details of internal errors. */
export function mapsError(error: unknown): MapsError {
  const { code, message } = toRegistryError(error);
  const mapped = CODES[code];
  return { code: mapped, message: mapped === internal ? "internal error" : message };
}

/** Returns the error of a field that must be given and is not. */
export function missing(field: string): RegistryError {
  return new RegistryError("invalid_argument", `${field} is required`, { field });
}
