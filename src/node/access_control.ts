/**
 * Access as the paths ask for it: the rules of src/record/access.ts, with the facts of the record
 * that is there or is to be written. Asked before anything is logged.
 */
import { type ErrorCode, RegistryError } from "../base/errors.ts";
import type { AuthenticatedPeer } from "../base/peer.ts";
import { formatUuid, UUID_BYTES } from "../base/uuid.ts";
import { type AccessRule, authorize, type KeyFacts } from "../record/access.ts";
import { KIND_AGENT, type RecordKind } from "../record/key.ts";
import type { Partition } from "./partitions.ts";
import type { AcceptedRecord } from "./record_intake.ts";

/** Asks the access rules. */
export class AccessControl {
  /**
   * May the peer ask this of no record in particular? What every read is asked.
   *
   * @throws RegistryError `permission_denied`, `unauthenticated`.
   */
  checkRule(peer: AuthenticatedPeer, rule: AccessRule): void {
    demand(authorize(peer, rule), peer, rule);
  }

  /** May the peer register this record, with that domain and gateway? Throws as {@link checkRule}. */
  checkRegistration(peer: AuthenticatedPeer, kind: RecordKind, record: AcceptedRecord): void {
    const facts: KeyFacts = {
      kind,
      id: record.id,
      domain: record.domain,
      gatewayId: record.gatewayId,
    };
    demand(authorize(peer, "write", facts), peer, `write ${formatUuid(record.id)}`);
  }

  /** May the peer change or remove the record of that id? Throws as {@link checkRule}. */
  checkOwner(peer: AuthenticatedPeer, kind: RecordKind, id: Uint8Array): void {
    demand(authorize(peer, "write", { kind, id }), peer, `write ${formatUuid(id)}`);
  }

  /** The code with which a renewal is refused; `undefined`: it is allowed. */
  refuseRenewal(
    peer: AuthenticatedPeer,
    kind: number,
    bytes: Uint8Array,
    start: number,
    partition: Partition,
  ): ErrorCode | undefined {
    if (peer.role === "development" && !peer.revoked.aborted) return undefined;
    const id = bytes.subarray(start, start + UUID_BYTES);
    const attached = kind === KIND_AGENT ? gatewayOf(partition, id) : undefined;
    const facts = { kind, id, ...(attached === undefined ? {} : { gatewayId: attached }) };
    const answer = authorize(peer, "renew", facts);
    return answer === "allowed" ? undefined : answer;
  }
}

/** The gateway that a stored agent is attached to. */
function gatewayOf(partition: Partition, id: Uint8Array): Uint8Array | undefined {
  const slot = partition.store.find(KIND_AGENT, id, 0, id.length);
  return slot === -1 ? undefined : partition.store.agentView(slot).gatewayId;
}

function demand(answer: "allowed" | ErrorCode, peer: AuthenticatedPeer, what: string): void {
  if (answer === "allowed") return;
  throw new RegistryError(answer, `The identity ${peer.subject} may not ${what}`);
}
