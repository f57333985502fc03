/**
 * Access as the paths ask for it: the rules of src/record/access.ts, with the facts of the record
 * that is there or is to be written. Every request is asked at admission; a write again where its
 * record is known, before anything is logged.
 */
import { idRequestCodec, type RequestView } from "../../schemas/gen/wire.ts";
import { type ErrorCode, RegistryError } from "../base/errors.ts";
import type { AuthenticatedPeer } from "../base/peer.ts";
import { formatUuid, UUID_BYTES } from "../base/uuid.ts";
import {
  type AccessPolicy,
  type AccessRule,
  authorize,
  authorizeRole,
  type KeyFacts,
  reachesAll,
  STRICT_POLICY,
} from "../record/access.ts";
import { KIND_AGENT, KIND_GATEWAY, type RecordKind } from "../record/key.ts";
import type { Operation } from "../wire/operations.ts";
import type { Partition } from "./partitions.ts";
import type { AcceptedRecord } from "./record_intake.ts";
import type { RecordRights } from "./record_rights.ts";

/** What somebody is told who may, but not over this session. */
const UNPINNED =
  " over a session whose server was not pinned: name its pin, or get the trust bundle";

/** Asks the access rules. */
export class AccessControl {
  readonly policy: AccessPolicy;
  readonly #idRequest = idRequestCodec.newView();
  readonly #rights: RecordRights | undefined;

  /** @param rights absent: no record rests on anybody's certificate. */
  constructor(policy: AccessPolicy = STRICT_POLICY, rights?: RecordRights) {
    this.policy = policy;
    this.#rights = rights;
  }

  /**
   * May the peer ask for this at all? A read is decided here; of a write, what its role forbids.
   *
   * @throws RegistryError `permission_denied`, `unauthenticated`.
   */
  admit(peer: AuthenticatedPeer, operation: Operation, request: RequestView): void {
    const { access, kind } = operation;
    const answer = kind === "write" || reachesAll(peer.role, access)
      ? authorizeRole(peer, access, this.policy)
      : authorize(peer, access, this.#keyOf(operation, request), this.policy);
    if (answer === "allowed") return;
    demand(answer, peer, `${operation.name}${this.#isForPin(peer, access) ? UNPINNED : ""}`);
  }

  /** True where the role may, and only the missing pin is in the way. */
  #isForPin(peer: AuthenticatedPeer, access: AccessRule): boolean {
    return !peer.pinned && authorizeRole({ ...peer, pinned: true }, access) === "allowed" &&
      authorizeRole(peer, access, this.policy) !== "allowed";
  }

  /** The record that a read names; `undefined` where it names none, or several. */
  #keyOf(operation: Operation, request: RequestView): KeyFacts | undefined {
    if (operation.key !== "agent_id" && operation.key !== "gateway_id") return undefined;
    const kind = operation.key === "agent_id" ? KIND_AGENT : KIND_GATEWAY;
    return { kind, id: request.bodyInto(this.#idRequest).id };
  }

  /** May the peer register this record, with that domain, region, gateway? Throws as {@link admit}. */
  checkRegistration(peer: AuthenticatedPeer, kind: RecordKind, record: AcceptedRecord): void {
    const { id, domain, gatewayId, region } = record;
    const facts: KeyFacts = { kind, id, domain, gatewayId, region };
    const what = region === peer.region ? "" : ` in region ${region}`;
    demand(authorize(peer, "write", facts, this.policy), peer, `write ${formatUuid(id)}${what}`);
  }

  /** May the peer change or remove the record of that id? Throws as {@link admit}. */
  checkOwner(peer: AuthenticatedPeer, kind: RecordKind, id: Uint8Array): void {
    demand(authorize(peer, "write", { kind, id }, this.policy), peer, `write ${formatUuid(id)}`);
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
    const end = start + UUID_BYTES;
    if (kind !== KIND_AGENT || peer.role !== "gateway") {
      const facts = { kind, id: bytes.subarray(start, end) };
      const answer = authorize(peer, "renew", facts, this.policy);
      return answer === "allowed" ? undefined : answer;
    }
    const answer = authorizeRole(peer, "renew", this.policy);
    if (answer !== "allowed") return answer;
    const { store } = partition;
    const slot = store.find(KIND_AGENT, bytes, start, end);
    // What is gone the gateway is told by the renewal itself.
    if (slot === -1) return undefined;
    const agent = store.agentView(slot);
    if (!agent.gatewayIdEquals(peer.subjectId)) return "permission_denied";
    // A gateway keeps agents alive, but not beyond what they could be by themselves.
    return this.#rights?.hasLapsed(agent.writer) === true ? "permission_denied" : undefined;
  }
}

function demand(answer: "allowed" | ErrorCode, peer: AuthenticatedPeer, what: string): void {
  if (answer === "allowed") return;
  throw new RegistryError(answer, `The identity ${peer.subject} may not ${what}`);
}
