/**
 * The partition whose leader serves a call, found from the operation's description and the request
 * body. A wrong answer costs a trip, never correctness: the node refuses what it does not serve.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { WORD_BYTES } from "../../schemas/runtime/cursor.ts";
import type { ByteSource } from "../../schemas/runtime/writer.ts";
import { isNilUuid, UUID_BYTES } from "../base/uuid.ts";
import { DOMAIN_BYTES_MAX } from "../base/limits.ts";
import { idOfForeignKey } from "../record/derived_id.ts";
import { canonicalDomainBytes } from "../record/domain.ts";
import { KIND_ALIAS } from "../record/key.ts";
import type { Partitioner } from "../ring/partition.ts";
import type { Operation } from "../wire/operations/mod.ts";
import { ANY_NODE, GOVERNED_ROUTE, SYSTEM_ROUTE } from "./partition_leaders.ts";

/** Placeholder for a code unit that is not ASCII; no domain contains it. */
const NOT_ASCII = 0xff;

/** The targets of calls that the leader of a group other than the partitions serves. */
const GROUP_ROUTES = { system: SYSTEM_ROUTE, governed: GOVERNED_ROUTE };

/** Returns the partition of a call's key; without a key the route of its group, or `ANY_NODE`. */
export function partitionOfCall(
  partitioner: Partitioner,
  operation: Operation,
  body: unknown,
): number {
  const { records, group } = operation;
  if (records === undefined) return group === undefined ? ANY_NODE : GROUP_ROUTES[group];
  const { kinds, keyOf, recordOf, domainOf, foreignKeyOf } = records;
  if (keyOf !== undefined) return partitionOfNamed(partitioner, keyOf, body);
  if (foreignKeyOf !== undefined) {
    return partitionOfForeignKey(partitioner, kinds[0]!, foreignKeyOf(body));
  }
  if (recordOf !== undefined) return partitionOfRecord(partitioner, kinds[0]!, recordOf(body));
  return domainOf === undefined ? ANY_NODE : partitionOfDomain(partitioner, domainOf(body));
}

/** Returns the partition of a key that another system gave. */
export function partitionOfForeignKey(
  partitioner: Partitioner,
  kind: number,
  parts: readonly string[],
): number {
  return partitionOfId(partitioner, kind, idOfForeignKey(parts, sha256), 0);
}

function partitionOfNamed(
  partitioner: Partitioner,
  keyOf: (body: unknown) => { readonly kind: number; readonly id: ByteSource },
  body: unknown,
): number {
  try {
    const { kind, id } = keyOf(body);
    return partitionOfId(partitioner, kind, id, 0);
  } catch {
    // The node refuses the body, and its message names the mistake.
    return ANY_NODE;
  }
}

/** Returns the partition of a stored record; `ANY_NODE` if its id is left to the registry. */
export function partitionOfRecord(
  partitioner: Partitioner,
  kind: number,
  record: ByteSource,
): number {
  // The id is the first field of the root struct of an agent and of a gateway.
  return partitionOfId(partitioner, kind, record, WORD_BYTES);
}

/** Returns the partition of the id at offset `at`; `ANY_NODE` if it is missing or all zero. */
export function partitionOfId(
  partitioner: Partitioner,
  kind: number,
  source: ByteSource | undefined,
  at: number,
): number {
  if (source === undefined) return ANY_NODE;
  const bytes = source instanceof Uint8Array ? source : source.bytes;
  const start = (source instanceof Uint8Array ? 0 : source.start) + at;
  const end = start + UUID_BYTES;
  if (end > bytes.length || isNilUuid(bytes, start)) return ANY_NODE;
  return partitioner.partitionOf(kind, bytes, start, end);
}

/** Returns the partition of a domain's alias; `ANY_NODE` for an invalid domain, which is refused. */
export function partitionOfDomain(partitioner: Partitioner, domain: string): number {
  try {
    // Only as many bytes as are needed to detect that the name is too long.
    const text = new Uint8Array(Math.min(domain.length, DOMAIN_BYTES_MAX + 2));
    for (let at = 0; at < text.length; at++) {
      const unit = domain.charCodeAt(at);
      text[at] = unit < 0x80 ? unit : NOT_ASCII;
    }
    const { bytes, start, end } = canonicalDomainBytes(text, 0, text.length);
    return partitioner.partitionOf(KIND_ALIAS, bytes, start, end);
  } catch {
    // What is no text is refused when it is encoded, and other names by the node.
    return ANY_NODE;
  }
}
