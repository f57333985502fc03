/**
 * Intake of records: decodes the bytes of a caller, assigns the id, validates, and encodes again,
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

/** Validated record, ready to be logged. */
export type AcceptedRecord =
  | { readonly kind: typeof KIND_AGENT; readonly agent: Agent } & RecordFacts
  | { readonly kind: 2; readonly gateway: Gateway } & RecordFacts;

interface RecordFacts {
  readonly id: Uint8Array;
  /** Canonical; "" if there is none. */
  readonly domain: string;
  readonly region: string;
  /** Gateway of an agent; all zero if there is none. */
  readonly gatewayId: Uint8Array;
  readonly ttlMs: number;
}

const NIL_ID = new Uint8Array(16);

/**
 * Decodes and validates the record that a caller sent.
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

/** Returns the stored form to be logged; `claim` is the claim on an agent's domain. */
export function encodeRecord(record: AcceptedRecord, claim: Position): Uint8Array {
  return record.kind === KIND_AGENT
    ? agentCodec.encode({ ...record.agent, claim })
    : gatewayCodec.encode(record.gateway);
}

/**
 * Returns the record with its id. An owner that gives no id means its own: the one of its identity
 * or, as the development identity has none, one derived from its domain, so that a retry writes the
 * same record.
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
