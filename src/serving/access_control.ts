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
  writeFault,
} from "../record/access.ts";
import { KIND_AGENT, KIND_GATEWAY, type RecordKind } from "../record/key.ts";
import type { Operation } from "../wire/operations.ts";
import type { Partition } from "./partitions.ts";
import type { AcceptedRecord } from "./record_intake.ts";
import type { RecordRights } from "./record_rights.ts";

/** What somebody is told who may, but not over this session. */
const UNPINNED =
  " over a session whose server was not pinned: name its pin, or get the trust bundle";

/** Grants that a refusal lists. */
const GRANTS_SHOWN_MAX = 4;

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
    this.#checkWrite(peer, { kind, id, domain, gatewayId, region });
  }

  /** May the peer change or remove the record of that id? Throws as {@link admit}. */
  checkOwner(peer: AuthenticatedPeer, kind: RecordKind, id: Uint8Array): void {
    this.#checkWrite(peer, { kind, id });
  }

  #checkWrite(peer: AuthenticatedPeer, facts: KeyFacts): void {
    const answer = authorize(peer, "write", facts, this.policy);
    if (answer === "allowed") return;
    const fault = answer === "permission_denied" ? writeFault(peer, facts, this.policy) : "session";
    const what = `write ${formatUuid(facts.id)}`;
    if (fault === "session") return demand(answer, peer, what);
    const field = FAULT_FIELDS[fault];
    throw new RegistryError(
      answer,
      `The identity ${peer.subject} may not ${what}${reasonOf(fault, peer, facts)}`,
      { field },
    );
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

/** What keeps somebody from writing a record, beside the session itself. */
type RecordFault = Exclude<ReturnType<typeof writeFault>, "session">;

/** The field of a record that is in the way. */
const FAULT_FIELDS: Readonly<Record<RecordFault, string>> = {
  owner: "id",
  region: "region",
  domain: "domain",
  gateway: "gatewayId",
};

/** Why, and what would be allowed. */
function reasonOf(
  fault: RecordFault,
  { role, region, subjectId, grants }: AuthenticatedPeer,
  facts: KeyFacts,
): string {
  switch (fault) {
    case "owner":
      return `: its own record is the ${role} ${formatUuid(subjectId)}`;
    case "region":
      return ` in region ${facts.region}: its certificate is of region ${region}`;
    case "domain":
      return ` with domain ${facts.domain}: ${granted("domains", grants.domains)}. ` +
        GRANT_ADVICE.replace("<grant>", `--domain ${facts.domain}`);
    case "gateway": {
      const id = formatUuid(facts.gatewayId ?? facts.id);
      return ` with gateway ${id}: ${granted("gateways", grants.gateways)}. ` +
        GRANT_ADVICE.replace("<grant>", `--gateway ${id}`);
    }
  }
}

/** How a grant is come by. */
const GRANT_ADVICE =
  "A controller grants it with a join token (crs identity join-token … <grant>) or an access token " +
  "(crs identity token mint --subject … <grant>)";

function granted(what: string, names: readonly string[]): string {
  return names.length === 0
    ? `it is granted no ${what}`
    : `it is granted the ${what} ${names.slice(0, GRANTS_SHOWN_MAX).join(", ")}` +
      (names.length > GRANTS_SHOWN_MAX ? `, and ${names.length - GRANTS_SHOWN_MAX} more` : "");
}

function demand(answer: "allowed" | ErrorCode, peer: AuthenticatedPeer, what: string): void {
  if (answer === "allowed") return;
  throw new RegistryError(answer, `The identity ${peer.subject} may not ${what}`);
}
