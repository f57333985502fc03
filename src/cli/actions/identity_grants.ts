/** What a token grants, as it is typed: the same flags for join tokens and for access tokens. */
import type { Grants } from "../../base/peer.ts";
import { formatUuid, parseUuid } from "../../base/uuid.ts";

/** The flags. */
export interface GrantFlags {
  readonly domain?: readonly string[];
  readonly gateway?: readonly string[];
  readonly credentialHashes?: boolean;
}

/** What they grant. @throws RegistryError `invalid_argument` for a gateway that is no UUID. */
export function grantsOfFlags({ domain, gateway, credentialHashes }: GrantFlags): Grants {
  const named = {
    domains: domain ?? [],
    gateways: (gateway ?? []).map((id) => formatUuid(parseUuid(id, "gateway"))),
  };
  return credentialHashes === true ? { ...named, credentialHashes } : named;
}

/** True where anything is granted. */
export function hasGrants({ domain, gateway, credentialHashes }: GrantFlags): boolean {
  return domain !== undefined || gateway !== undefined || credentialHashes === true;
}
