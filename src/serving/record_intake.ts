/**
 * From the bytes of a caller to what is logged: decoded, given its id, validated, and encoded anew,
 * so that a stored form is always the canonical one that our own codec writes.
 */
import { createHash } from "node:crypto";
import { type Agent, agentCodec, type Gateway, gatewayCodec } from "../../schemas/gen/record.ts";
import { RegistryError } from "../base/errors.ts";
import { RECORD_BYTES_MAX } from "../base/limits.ts";
import type { AuthenticatedPeer } from "../base/peer.ts";
import { isNilUuid, parseUuid } from "../base/uuid.ts";
import { KIND_AGENT, type RecordKind } from "../record/key.ts";
import { canonicalDomain } from "../record/domain.ts";
import { validateAgent, validateGateway } from "../record/validation.ts";
import { idOfDomain } from "../record/vocabulary.ts";
import type { Position } from "../store/reply.ts";

/** A record that may be logged. */
export type AcceptedRecord =
  | { readonly kind: typeof KIND_AGENT; readonly agent: Agent } & RecordFacts
  | { readonly kind: 2; readonly gateway: Gateway } & RecordFacts;

interface RecordFacts {
  readonly id: Uint8Array;
  /** Canonical; "": none. */
  readonly domain: string;
  readonly region: string;
  /** Of an agent; all zero: none. */
  readonly gatewayId: Uint8Array;
  readonly ttlMs: number;
}

const NIL_ID = new Uint8Array(16);

/**
 * The record that a caller sent.
 *
 * @throws RegistryError `malformed`, `too_large`, `invalid_argument`.
 */
export function acceptRecord(
  kind: RecordKind,
  stored: Uint8Array,
  peer: AuthenticatedPeer,
): AcceptedRecord {
  if (stored.length > RECORD_BYTES_MAX) {
    throw new RegistryError(
      "too_large",
      `record must have at most ${RECORD_BYTES_MAX} bytes: found ${stored.length}`,
      { field: "record" },
    );
  }
  if (kind === KIND_AGENT) {
    const agent = validateAgent(withId(agentCodec.decode(stored), peer));
    const { id, domain, region, gatewayId, ttlMs } = agent;
    return { kind, agent, id, domain, region, gatewayId, ttlMs };
  }
  const gateway = validateGateway(withId(gatewayCodec.decode(stored), peer));
  const { id, domain, region, ttlMs } = gateway;
  return { kind, gateway, id, domain, region, gatewayId: NIL_ID, ttlMs };
}

/** The stored form that is logged; `claim` is that of an agent's domain. */
export function encodeRecord(record: AcceptedRecord, claim: Position): Uint8Array {
  return record.kind === KIND_AGENT
    ? agentCodec.encode({ ...record.agent, claim })
    : gatewayCodec.encode(record.gateway);
}

/**
 * An owner that names no id means its own: its identity's, or with the development identity, which
 * has none, one made of its domain, so that a retry is the same record.
 */
function withId<R extends Agent | Gateway>(record: R, peer: AuthenticatedPeer): R {
  if (!isNilUuid(record.id)) return record;
  if (!isNilUuid(peer.subjectId)) return { ...record, id: peer.subjectId };
  if (record.domain === "") {
    throw new RegistryError("invalid_argument", "id or domain must be given: found neither", {
      field: "id",
    });
  }
  return { ...record, id: parseUuid(idOfDomain(canonicalDomain(record.domain), sha1)) };
}

function sha1(bytes: Uint8Array): Uint8Array {
  return createHash("sha1").update(bytes).digest();
}
