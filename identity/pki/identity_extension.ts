/**
 * The certificate extension with the registry's data about the holder: the lineage, its generation,
 * and the grants. It is not critical, so that TLS stacks ignore it; path validation requires it in
 * every identity.
 *
 * ```
 * RegistryIdentity ::= SEQUENCE {
 *   lineage    INTEGER (1..4294967295),
 *   generation INTEGER (1..4294967295),
 *   domains    SEQUENCE SIZE (0..32) OF IA5String,
 *   gateways   SEQUENCE SIZE (0..16) OF OCTET STRING (SIZE (16)),
 *   credentialHashes BOOLEAN DEFAULT FALSE }
 * ```
 */
import { RegistryError } from "../../src/base/errors.ts";
import { GRANT_DOMAINS_MAX, GRANT_GATEWAYS_MAX } from "../../src/base/limits.ts";
import type { Grants } from "../../src/base/peer.ts";
import { formatUuid, parseUuid, UUID_BYTES } from "../../src/base/uuid.ts";
import { canonicalDomain } from "../../src/record/domain.ts";
import { DER_TAG, DerError, DerReader } from "./der.ts";

/** Contents of the extension. */
export interface RegistryIdentity {
  /** Number of the identity in the system group, `[1, 2^32)`. */
  readonly lineage: number;
  /** Number of leaves of the lineage issued before, plus 1. */
  readonly generation: number;
  readonly grants: Grants;
}

const IA5_STRING = 0x16;
const UINT32_MAX = 0xffff_ffff;

/**
 * Returns `grants` if a token or certificate may carry them: domains in canonical form, prefixed by
 * `*.` for all names below; gateways as lower-case UUIDs; neither list beyond its limit.
 *
 * @throws RegistryError `invalid_argument`.
 */
export function checkGrants(grants: Grants): Grants {
  const { domains, gateways } = grants;
  if (domains.length > GRANT_DOMAINS_MAX || gateways.length > GRANT_GATEWAYS_MAX) {
    throw invalid(`have at most ${GRANT_DOMAINS_MAX} domains and ${GRANT_GATEWAYS_MAX} gateways`);
  }
  for (const domain of domains) {
    const bare = domain.startsWith("*.") ? domain.slice(2) : domain;
    if (canonicalDomain(bare, "grants") !== bare) throw invalid("name domains in lower case");
  }
  for (const gateway of gateways) {
    if (formatUuid(parseUuid(gateway, "grants")) !== gateway) {
      throw invalid("name gateways in lower case");
    }
  }
  return grants;
}

/** Reads the extension's value. @throws DerError */
export function readRegistryIdentity(bytes: Uint8Array): RegistryIdentity {
  const outer = new DerReader(bytes);
  const fields = outer.inside(DER_TAG.sequence);
  outer.finish();
  const lineage = fields.unsigned(UINT32_MAX);
  const generation = fields.unsigned(UINT32_MAX);
  if (lineage === 0 || generation === 0) {
    throw new DerError("lineage and generation must be at least 1");
  }
  const domains = readList(fields, GRANT_DOMAINS_MAX, (list) => list.ascii(IA5_STRING));
  const gateways = readList(fields, GRANT_GATEWAYS_MAX, readGateway);
  const credentialHashes = !fields.done;
  if (credentialHashes && !fields.boolean()) throw new DerError("a default value is encoded");
  fields.finish();
  try {
    const grants = { domains, gateways, ...(credentialHashes && { credentialHashes }) };
    return { lineage, generation, grants: checkGrants(grants) };
  } catch (error) {
    if (error instanceof RegistryError) throw new DerError(error.message);
    throw error;
  }
}

function readGateway(list: DerReader): string {
  const bytes = list.content(DER_TAG.octetString);
  if (bytes.length !== UUID_BYTES) throw new DerError("a gateway must be 16 bytes");
  return formatUuid(bytes);
}

function readList<T>(fields: DerReader, max: number, read: (list: DerReader) => T): T[] {
  const list = fields.inside(DER_TAG.sequence);
  const items: T[] = [];
  while (!list.done) {
    if (items.length === max) {
      throw new DerError(`a list of grants must have at most ${max} entries`);
    }
    items.push(read(list));
  }
  return items;
}

function invalid(wanted: string): RegistryError {
  return new RegistryError("invalid_argument", `grants must ${wanted}`, { field: "grants" });
}
