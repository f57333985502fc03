/** Parses a token's grants from flags. Join tokens and access tokens have the same flags. */
import type { Grants } from "../../base/peer.ts";
import { formatUuid, parseUuid } from "../../base/uuid.ts";

/** Flags that describe grants. */
export interface GrantFlags {
  readonly domain?: readonly string[];
  readonly gateway?: readonly string[];
  readonly credentialHashes?: boolean;
}

/**
 * Returns the grants of the flags.
 *
 * @throws RegistryError `invalid_argument` for an invalid UUID.
 */
export function grantsOfFlags({ domain, gateway, credentialHashes }: GrantFlags): Grants {
  const named = {
    domains: domain ?? [],
    gateways: (gateway ?? []).map((id) => formatUuid(parseUuid(id, "gateway"))),
  };
  return credentialHashes === true ? { ...named, credentialHashes } : named;
}

/** Reports whether the flags grant anything. */
export function hasGrants({ domain, gateway, credentialHashes }: GrantFlags): boolean {
  return domain !== undefined || gateway !== undefined || credentialHashes === true;
}
