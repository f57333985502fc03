/** Parses a token's grants from flags. Join tokens and access tokens have the same flags. */
import type { Grants, ReadLimit } from "../../base/peer.ts";
import { formatUuid, parseUuid } from "../../base/uuid.ts";
import { usageFailure } from "../failure.ts";

/** Flags that describe grants. */
export interface GrantFlags {
  readonly domain?: readonly string[];
  readonly gateway?: readonly string[];
  readonly credentialHashes?: boolean;
  readonly readRegion?: readonly string[];
  /** `key=value`. */
  readonly readLabel?: readonly string[];
  readonly readDomain?: readonly string[];
}

/**
 * Returns the grants of the flags.
 *
 * @throws RegistryError `invalid_argument` for an invalid UUID.
 */
export function grantsOfFlags(flags: GrantFlags): Grants {
  const { domain, gateway, credentialHashes } = flags;
  const limit = readLimitOf(flags);
  const named = {
    ...(limit === undefined ? {} : { reads: [limit] }),
    domains: domain ?? [],
    gateways: (gateway ?? []).map((id) => formatUuid(parseUuid(id, "gateway"))),
  };
  return credentialHashes === true ? { ...named, credentialHashes } : named;
}

/** Returns the limit on reads of the flags; `undefined` if there is none. */
function readLimitOf({ readRegion, readLabel, readDomain }: GrantFlags): ReadLimit | undefined {
  if (readRegion === undefined && readLabel === undefined && readDomain === undefined) {
    return undefined;
  }
  const labels = (readLabel ?? []).map((text) => {
    const at = text.indexOf("=");
    if (at > 0) return { key: text.slice(0, at), value: text.slice(at + 1) };
    throw usageFailure(
      `--read-label must be a key and a value: found ${JSON.stringify(text)}`,
      "For example: --read-label team=payments.",
      "read-label",
    );
  });
  return { regions: readRegion ?? [], labels, domains: readDomain ?? [] };
}

/** Reports whether the flags grant or limit anything. */
export function hasGrants(flags: GrantFlags): boolean {
  const { domain, gateway, credentialHashes } = flags;
  return domain !== undefined || gateway !== undefined || credentialHashes === true ||
    readLimitOf(flags) !== undefined;
}
