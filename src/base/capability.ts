/**
 * The rights that a capability gives its bearer, as access control applies them. A capability
 * grants its scopes; everything else in it narrows them.
 */

/** The scopes, each a set of rights (src/record/access.ts). */
export const CAPABILITY_SCOPES = [
  "records:read",
  "registry:apply",
  "registry:propose",
  "registry:read",
  "status:read",
] as const;

/** A scope of a capability. */
export type CapabilityScope = (typeof CAPABILITY_SCOPES)[number];

/** Reports whether a text names a scope. */
export function isCapabilityScope(text: string): text is CapabilityScope {
  return (CAPABILITY_SCOPES as readonly string[]).includes(text);
}

/** The part of a capability that the node enforces. */
export interface CapabilityRights {
  /** UUID text; bans and the audit log name it. */
  readonly capabilityId: string;
  /** The scopes that all of its caveats permit. */
  readonly scopes: readonly CapabilityScope[];
  /** Names of the permitted operations; absent: those of the scopes. */
  readonly operations?: readonly string[];
  /** An id must begin with one prefix of each list. */
  readonly idPrefixes: readonly (readonly string[])[];
  /** Unix ms. */
  readonly expiresAtMs: number;
}

/** Reports whether the rights extend to an operation. */
export function permitsOperation({ operations }: CapabilityRights, name: string): boolean {
  return operations === undefined || operations.includes(name);
}

/** Reports whether the rights extend to a descriptor or record of that id. */
export function permitsId({ idPrefixes }: CapabilityRights, id: string): boolean {
  return idPrefixes.every((prefixes) => prefixes.some((prefix) => id.startsWith(prefix)));
}
