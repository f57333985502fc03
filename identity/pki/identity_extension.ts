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
 *   credentialHashes BOOLEAN DEFAULT FALSE,
 *   reads      [0] SEQUENCE SIZE (1..4) OF ReadLimit OPTIONAL }
 * ReadLimit ::= SEQUENCE {
 *   regions    SEQUENCE SIZE (0..8) OF IA5String,
 *   labels     SEQUENCE SIZE (0..8) OF SEQUENCE { key IA5String, value OCTET STRING },
 *   domains    SEQUENCE SIZE (0..8) OF IA5String }
 * ```
 *
 * A program that does not know `reads` refuses the certificate, as it would not enforce them.
 */
import { RegistryError } from "../../src/base/errors.ts";
import {
  GRANT_DOMAINS_MAX,
  GRANT_GATEWAYS_MAX,
  READ_LIMIT_ENTRIES_MAX,
  READ_LIMITS_MAX,
} from "../../src/base/limits.ts";
import type { Grants, ReadLabel, ReadLimit } from "../../src/base/peer.ts";
import { formatUuid, parseUuid, UUID_BYTES } from "../../src/base/uuid.ts";
import { canonicalDomain } from "../../src/record/domain.ts";
import { canonicalLabels, checkRegion } from "../../src/record/validation.ts";
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
/** `[0]`, constructed. */
export const READS_TAG = 0xa0;
const UINT32_MAX = 0xffff_ffff;

/**
 * Returns `grants` if a token or certificate may carry them: domains in canonical form, prefixed by
 * `*.` for all names below; gateways as lower-case UUIDs; each read limit with a condition; no list
 * beyond its limit.
 *
 * @throws RegistryError `invalid_argument`.
 */
export function checkGrants(grants: Grants): Grants {
  const { domains, gateways, reads } = grants;
  if (domains.length > GRANT_DOMAINS_MAX || gateways.length > GRANT_GATEWAYS_MAX) {
    throw invalid(`have at most ${GRANT_DOMAINS_MAX} domains and ${GRANT_GATEWAYS_MAX} gateways`);
  }
  domains.forEach(checkPattern);
  for (const gateway of gateways) {
    if (formatUuid(parseUuid(gateway, "grants")) !== gateway) {
      throw invalid("name gateways in lower case");
    }
  }
  if (reads === undefined) return grants;
  if (reads.length < 1 || reads.length > READ_LIMITS_MAX) {
    throw invalid(`have 1 to ${READ_LIMITS_MAX} read limits, or none`);
  }
  reads.forEach(checkReadLimit);
  return grants;
}

function checkPattern(domain: string): void {
  const bare = domain.startsWith("*.") ? domain.slice(2) : domain;
  if (canonicalDomain(bare, "grants") !== bare) throw invalid("name domains in lower case");
}

function checkReadLimit({ regions, labels, domains }: ReadLimit): void {
  const counts = [regions.length, labels.length, domains.length];
  if (counts.every((count) => count === 0)) throw invalid("have a condition in each read limit");
  if (counts.some((count) => count > READ_LIMIT_ENTRIES_MAX)) {
    throw invalid(`have at most ${READ_LIMIT_ENTRIES_MAX} conditions of a sort in a read limit`);
  }
  for (const region of regions) checkRegion(region, "grants");
  canonicalLabels(labels, "grants");
  domains.forEach(checkPattern);
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
  const credentialHashes = fields.nextTag === DER_TAG.boolean;
  if (credentialHashes && !fields.boolean()) throw new DerError("a default value is encoded");
  const reads = fields.done ? undefined : readList(fields, READ_LIMITS_MAX, readLimit, READS_TAG);
  fields.finish();
  try {
    const grants: Grants = {
      ...{ domains, gateways, ...(credentialHashes && { credentialHashes }) },
      ...(reads === undefined ? {} : { reads }),
    };
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

function readLimit(list: DerReader): ReadLimit {
  const fields = list.inside(DER_TAG.sequence);
  const max = READ_LIMIT_ENTRIES_MAX;
  const regions = readList(fields, max, (one) => one.ascii(IA5_STRING));
  const labels = readList(fields, max, readLabel);
  const domains = readList(fields, max, (one) => one.ascii(IA5_STRING));
  fields.finish();
  return { regions, labels, domains };
}

function readLabel(list: DerReader): ReadLabel {
  const fields = list.inside(DER_TAG.sequence);
  const key = fields.ascii(IA5_STRING);
  const bytes = fields.content(DER_TAG.octetString);
  fields.finish();
  try {
    return { key, value: UTF8.decode(bytes) };
  } catch {
    throw new DerError("the value of a label must be UTF-8");
  }
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function readList<T>(
  fields: DerReader,
  max: number,
  read: (list: DerReader) => T,
  tag: number = DER_TAG.sequence,
): T[] {
  const list = fields.inside(tag);
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
