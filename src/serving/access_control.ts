/**
 * Access control for the request paths. Applies the rules of src/record/access.ts to the facts of
 * the stored record or of the record to be written. Every request is checked at admission; a write
 * is checked again once its record is known, before anything is logged.
 */
import type { RequestView } from "../../schemas/gen/wire.ts";
import type { StructView } from "../../schemas/runtime/view.ts";
import { type CapabilityRights, permitsId, permitsOperation } from "../base/capability.ts";
import { type ErrorCode, RegistryError } from "../base/errors.ts";
import { type AuthenticatedPeer, peerTitle } from "../base/peer.ts";
import { formatUuid, UUID_BYTES } from "../base/uuid.ts";
import {
  type AccessPolicy,
  type AccessRule,
  authorize,
  authorizeRole,
  type KeyFacts,
  reachesAll,
  recordFacts,
  STRICT_POLICY,
  writeFault,
} from "../record/access.ts";
import { KIND_AGENT } from "../record/key.ts";
import { RECORD_KINDS, type RecordKind } from "../record/kinds.ts";
import type { Operation } from "../wire/operations/mod.ts";
import type { Partition } from "./partitions.ts";
import type { AcceptedRecord } from "./record_intake.ts";
import type { RecordRights } from "./record_rights.ts";

/** Suffix of the refusal when the role is sufficient but the session is not pinned. */
const UNPINNED =
  " over a session whose server was not pinned: name its pin, or get the trust bundle";

/** Maximum number of grants that a refusal lists. */
const GRANTS_SHOWN_MAX = 4;

/** Reports whether the peer's rights depend on the id of what it asks for. */
export function isLimitedToIds({ capability }: AuthenticatedPeer): boolean {
  return capability !== undefined && capability.idPrefixes.length > 0;
}

/**
 * Checks that the peer's capability, if it is one, extends to an id; "" is all of them.
 *
 * @throws RegistryError `permission_denied`.
 */
export function demandId(peer: AuthenticatedPeer, id: string): void {
  if (peer.capability === undefined || permitsId(peer.capability, id)) return;
  const what = id === ""
    ? "access what names no id: it is for some ids"
    : `access ${id}: it is for other ids`;
  demand("permission_denied", peer, what);
}

/** Checks requests against the access policy. */
export class AccessControl {
  readonly policy: AccessPolicy;
  /** Views on the bodies of requests that name a record, by operation id. */
  readonly #bodies: StructView[] = [];
  readonly #rights: RecordRights | undefined;

  /** @param rights absent: no record depends on a writer's certificate. */
  constructor(policy: AccessPolicy = STRICT_POLICY, rights?: RecordRights) {
    this.policy = policy;
    this.#rights = rights;
  }

  /**
   * Checks that the peer may send this request. Decides completely unless the request carries
   * records or may name several; then it checks only the role of the peer.
   *
   * @throws RegistryError `permission_denied`, `unauthenticated`.
   */
  admit(peer: AuthenticatedPeer, operation: Operation, request: RequestView): void {
    const { access, kind, records } = operation;
    const answer = kind === "write" || records?.several === true || reachesAll(peer.role, access)
      ? authorizeRole(peer, access, this.policy)
      : authorize(peer, access, this.#keyOf(operation, request), this.policy);
    if (answer !== "allowed") {
      demand(answer, peer, `${operation.name}${this.#isForPin(peer, access) ? UNPINNED : ""}`);
    }
    if (peer.capability !== undefined) {
      this.#checkCaveats(peer, peer.capability, operation, request);
    }
    if (access !== "write") return;
    const facts = this.#keyOf(operation, request);
    if (facts !== undefined) this.checkWrite(peer, facts);
  }

  /** Checks the caveats on operations and ids. */
  #checkCaveats(
    peer: AuthenticatedPeer,
    capability: CapabilityRights,
    operation: Operation,
    request: RequestView,
  ): void {
    const { name } = operation;
    if (!permitsOperation(capability, name)) {
      demand("permission_denied", peer, `${name}: it is for other operations`);
    }
    if (capability.idPrefixes.length === 0 || operation.checksIds) return;
    const facts = this.#keyOf(operation, request);
    if (facts === undefined) {
      demand(
        "permission_denied",
        peer,
        `${name}, which names no id: it is for some ids`,
      );
    } else demandId(peer, formatUuid(facts.id));
  }

  /** Reports whether the role is sufficient and only the missing pin prevents access. */
  #isForPin(peer: AuthenticatedPeer, access: AccessRule): boolean {
    return !peer.pinned && authorizeRole({ ...peer, pinned: true }, access) === "allowed" &&
      authorizeRole(peer, access, this.policy) !== "allowed";
  }

  /** Returns the one record that a request names; `undefined` if it names none or several. */
  #keyOf({ id, request: codec, records }: Operation, request: RequestView): KeyFacts | undefined {
    if (records?.keyOf === undefined) return undefined;
    const body = this.#bodies[id] ??= codec.newView();
    return records.keyOf(request.bodyInto(body));
  }

  /**
   * Checks that the peer may register this record with its domain, region and gateway. Throws as
   * {@link admit} does.
   */
  checkRegistration(peer: AuthenticatedPeer, kind: RecordKind, record: AcceptedRecord): void {
    const { domain, gatewayId, region } = record;
    this.checkWrite(peer, { ...recordFacts(kind, record.record), domain, gatewayId, region });
  }

  /** Checks that the peer may write the record of which these facts are known. Throws as {@link admit} does. */
  checkWrite(peer: AuthenticatedPeer, facts: KeyFacts): void {
    const answer = authorize(peer, "write", facts, this.policy);
    if (answer === "allowed") return;
    const fault = answer === "permission_denied" ? writeFault(peer, facts, this.policy) : "session";
    const what = `write ${formatUuid(facts.id)}`;
    if (fault === "session") return demand(answer, peer, what);
    const field = FAULT_FIELDS[fault];
    throw new RegistryError(
      answer,
      `${peerTitle(peer)} may not ${what}${reasonOf(fault, peer, facts)}`,
      { field },
    );
  }

  /** Returns the code with which a renewal is refused; `undefined` if it is allowed. */
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
      const facts = factsOf(kind, bytes, start, partition);
      const answer = authorize(peer, "renew", facts, this.policy);
      return answer === "allowed" ? undefined : answer;
    }
    const answer = authorizeRole(peer, "renew", this.policy);
    if (answer !== "allowed") return answer;
    const { store } = partition;
    const slot = store.find(KIND_AGENT, bytes, start, end);
    // The renewal itself reports a missing agent to the gateway.
    if (slot === -1) return undefined;
    const agent = store.agentView(slot);
    if (!agent.gatewayIdEquals(peer.subjectId)) return "permission_denied";
    // A gateway must not keep an agent alive for longer than the agent itself could renew.
    return this.#rights?.hasLapsed(agent.writer) === true ? "permission_denied" : undefined;
  }
}

/** Returns what is known of a record to be renewed: its key, and its owner if the record names it. */
function factsOf(kind: number, bytes: Uint8Array, start: number, { store }: Partition): KeyFacts {
  const end = start + UUID_BYTES;
  const slot = RECORD_KINDS.find(kind)?.ownership === undefined
    ? -1
    : store.find(kind, bytes, start, end);
  return slot === -1
    ? { kind, id: bytes.subarray(start, end) }
    : recordFacts(kind, store.recordView(slot));
}

/** Reason, other than the session, for which a peer may not write a record. */
type RecordFault = Exclude<ReturnType<typeof writeFault>, "session">;

/** Record field that each fault refers to. */
const FAULT_FIELDS: Readonly<Record<RecordFault, string>> = {
  owner: "id",
  region: "region",
  domain: "domain",
  gateway: "gatewayId",
};

/** Returns the reason for a refusal and, for missing grants, how to obtain them. */
function reasonOf(
  fault: RecordFault,
  { role, region, subjectId, grants }: AuthenticatedPeer,
  facts: KeyFacts,
): string {
  switch (fault) {
    case "owner":
      if (facts.ownerId !== undefined) return ": it belongs to another owner";
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

/** Advice on how to obtain a missing grant. */
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
  throw new RegistryError(answer, `${peerTitle(peer)} may not ${what}`);
}
