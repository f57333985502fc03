/**
 * SPIFFE ids of the registry: `spiffe://<trust-domain>/region/<region>/<role>/<uuid>`, the one name
 * in an identity certificate. Parsing is strict: `parse(format(id))` is `id`, and each id has one
 * spelling, so comparing texts compares identities. Source: SPIFFE-ID §2, design §8.
 */
import { RegistryError } from "../../src/base/errors.ts";
import { SPIFFE_ID_BYTES_MAX, TRUST_DOMAIN_BYTES_MAX } from "../../src/base/limits.ts";
import type { Role } from "../../src/base/peer.ts";
import { formatUuid, isNilUuid, parseUuid } from "../../src/base/uuid.ts";
import { checkRegion } from "../../src/record/validation.ts";

/** Roles that a certificate may give, without those of other regions and of peers that have none. */
export type CertifiedRole = Exclude<Role, "capability" | "region" | "development" | "anonymous">;

const CERTIFIED_ROLES: readonly CertifiedRole[] = [
  "agent",
  "gateway",
  "proxy",
  "controller",
  "node",
  "front",
];

/** The parts of a SPIFFE id. */
export interface SpiffeId {
  readonly trustDomain: string;
  readonly region: string;
  readonly role: CertifiedRole;
  /** UUID of the subject, 16 bytes, not all zero. */
  readonly subjectId: Uint8Array;
}

const PREFIX = "spiffe://";
/** Labels of a host name in lower case, so that name constraints can match them. */
const TRUST_DOMAIN = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;

/** Reports whether a text is a role that a certificate may give. */
export function isCertifiedRole(text: string): text is CertifiedRole {
  return (CERTIFIED_ROLES as readonly string[]).includes(text);
}

/** Returns `text` if it is a valid trust domain. @throws RegistryError `invalid_argument`. */
export function checkTrustDomain(text: string, field = "trustDomain"): string {
  if (text.length > TRUST_DOMAIN_BYTES_MAX || !TRUST_DOMAIN.test(text)) {
    throw invalid(field, "be a host name in lower case such as registry.example", text);
  }
  return text;
}

/**
 * Parses a SPIFFE id; the caller owns the result.
 *
 * @throws RegistryError `invalid_argument` if the text is not exactly what {@link formatSpiffeId}
 * returns.
 */
export function parseSpiffeId(text: string, field = "subject"): SpiffeId {
  const parts = text.length <= SPIFFE_ID_BYTES_MAX && text.startsWith(PREFIX)
    ? text.slice(PREFIX.length).split("/")
    : [];
  const [trustDomain, literal, region, role, uuid] = parts;
  if (
    parts.length !== 5 || trustDomain === undefined || literal !== "region" ||
    region === undefined || role === undefined || !isCertifiedRole(role) || uuid === undefined
  ) {
    throw invalid(field, `be ${PREFIX}<trust-domain>/region/<region>/<role>/<uuid>`, text);
  }
  const id: SpiffeId = {
    trustDomain: checkTrustDomain(trustDomain, field),
    region: checkRegion(region, field),
    role,
    subjectId: parseUuid(uuid, field),
  };
  if (isNilUuid(id.subjectId)) throw invalid(field, "contain a UUID that is not zero", text);
  // Upper-case digits of a UUID would be a second spelling of one identity.
  if (formatSpiffeId(id) !== text) throw invalid(field, "be in lower case", text);
  return id;
}

/** Formats a SPIFFE id. */
export function formatSpiffeId(id: SpiffeId): string {
  return `${PREFIX}${id.trustDomain}/region/${id.region}/${id.role}/${formatUuid(id.subjectId)}`;
}

/** The name of a region's intermediates: `spiffe://<trust-domain>/region/<region>`. */
export interface RegionScope {
  readonly trustDomain: string;
  readonly region: string;
}

/** Formats a scope. */
export function formatRegionScope({ trustDomain, region }: RegionScope): string {
  return `${PREFIX}${trustDomain}/region/${region}`;
}

/** Parses a scope. @throws RegistryError `invalid_argument`. */
export function parseRegionScope(text: string, field = "scope"): RegionScope {
  const parts = text.length <= SPIFFE_ID_BYTES_MAX && text.startsWith(PREFIX)
    ? text.slice(PREFIX.length).split("/")
    : [];
  const [trustDomain, literal, region] = parts;
  if (
    parts.length !== 3 || trustDomain === undefined || literal !== "region" || region === undefined
  ) {
    throw invalid(field, `be ${PREFIX}<trust-domain>/region/<region>`, text);
  }
  return { trustDomain: checkTrustDomain(trustDomain, field), region: checkRegion(region, field) };
}

function invalid(field: string, wanted: string, found: string): RegistryError {
  return new RegistryError(
    "invalid_argument",
    `${field} must ${wanted}: found ${JSON.stringify(found.slice(0, 128))}`,
    { field },
  );
}
