/**
 * Steps that other nodes ask for at the leader of a partition here. A node may ask only on behalf of a
 * record that group 0 places on it, and only while the requester is not banned, so that a stolen node
 * identity cannot touch the records of other nodes.
 */
import type {
  ClaimDomainRequest,
  ConfirmClaimRequest,
  NoteRemovalRequest,
  RemoveAgentsReply,
  RemoveAgentsRequest,
  RevokeClaimRequest,
} from "../../schemas/gen/wire.ts";
import { RegistryError } from "../base/errors.ts";
import { bytesEqual } from "../base/bytes.ts";
import { samePosition } from "../base/position.ts";
import { isNilUuid } from "../base/uuid.ts";
import { canonicalDomain } from "../record/domain.ts";
import { domainBytes, KIND_AGENT, KIND_ALIAS, KIND_GATEWAY } from "../record/key.ts";
import { anyKind } from "../record/kinds.ts";
import { CLAIM_INDEXES_PER_PARTITION } from "../store/apply_aliases.ts";
import type { BanList } from "../../identity/trust/ban_list.ts";
import type { AttachedAgents } from "./attached_agents.ts";
import type { ClaimSteps, DomainClaim } from "./claim_steps.ts";
import type { DomainClaims } from "./domain_claims.ts";
import { SENDER_FIELD } from "./leader_calls.ts";
import type { Requester } from "./node_calls.ts";
import type { Partition, PartitionTable } from "./partitions.ts";
import type { RemovalNotes } from "./removal_notes.ts";
import type { RequestAdmission } from "./request_admission.ts";
import type { RequestContext } from "./request_context.ts";

/** Dependencies of {@link NodeSteps}. */
export interface NodeStepsParts {
  readonly table: PartitionTable;
  readonly steps: ClaimSteps;
  readonly claims: DomainClaims;
  readonly agents: AttachedAgents;
  readonly notes: RemovalNotes;
  readonly admission: RequestAdmission;
  readonly bans: BanList;
  /** Returns the nodes on which group 0 places a partition. */
  readonly nodesOf: (partition: number) => readonly number[];
}

/** Takes steps for other nodes. */
export class NodeSteps {
  readonly #parts: NodeStepsParts;

  constructor(parts: NodeStepsParts) {
    this.#parts = parts;
  }

  /** Serves ClaimDomain. */
  async claimDomain(request: ClaimDomainRequest, context: RequestContext): Promise<DomainClaim> {
    const { steps, admission } = this.#parts;
    const { domain, agentId } = request;
    this.#checkSender(context, this.#homeId(KIND_AGENT, agentId));
    this.#checkRequester(request);
    const home = this.#homeOf(domain);
    if (request.replaces.index !== 0) {
      const holder = await this.#holderOf(home, request, context.deadlineMs);
      if (holder !== undefined) return holder;
    }
    const added = steps.find(home, domain) === undefined ? 1 : 0;
    if (added > 0) admission.admitNewRecords(added);
    try {
      return await steps.claim(home, request, request.lineage, context.deadlineMs);
    } finally {
      admission.newRecordsDone(added);
    }
  }

  /**
   * Returns the claim to be replaced if another agent holds it. The command that replaces a claim does not
   * show that it was revoked, and it is not left to the node that asks.
   */
  async #holderOf(
    home: Partition,
    { domain, agentId, replaces }: ClaimDomainRequest,
    deadlineMs: number,
  ): Promise<DomainClaim | undefined> {
    const { steps, claims } = this.#parts;
    const found = await steps.findCurrent(home, domain, deadlineMs);
    if (found === undefined || !samePosition(found.claim, replaces)) return undefined;
    if (bytesEqual(found.agentId, agentId)) return undefined;
    const { agentId: holder, claim } = found;
    const isHeld = await claims.revoke({ domain, agentId: holder, claim }, deadlineMs);
    return isHeld ? found : undefined;
  }

  /** Serves RevokeClaim. */
  async revokeClaim(
    request: RevokeClaimRequest,
    context: RequestContext,
  ): Promise<{ readonly held: boolean }> {
    const { table, steps } = this.#parts;
    const { agentId, claim, claimant } = request;
    const isForAnother = !isNilUuid(claimant, 0);
    this.#checkSender(
      context,
      !isForAnother ? this.#partitionOfClaim(claim.index) : this.#homeId(KIND_AGENT, claimant),
    );
    this.#checkRequester(request);
    const home = table.led(KIND_AGENT, agentId);
    const revoked = { agentId, claim, isForAnother };
    return { held: await steps.revoke(home, revoked, request.lineage, context.deadlineMs) };
  }

  /** Serves ConfirmClaim. */
  async confirmClaim(request: ConfirmClaimRequest, context: RequestContext): Promise<void> {
    this.#checkSender(context, this.#homeId(KIND_AGENT, request.agentId));
    const home = this.#homeOf(request.domain);
    await this.#parts.steps.confirm(home, request, context.deadlineMs);
  }

  /** Serves ReleaseDomain. */
  async releaseDomain(
    request: ConfirmClaimRequest,
    context: RequestContext,
  ): Promise<{ readonly released: boolean }> {
    this.#checkSender(context, this.#homeId(KIND_AGENT, request.agentId));
    const home = this.#homeOf(request.domain);
    return { released: await this.#parts.steps.release(home, request, context.deadlineMs) };
  }

  /** Serves RemoveAgents. */
  async removeAgents(
    request: RemoveAgentsRequest,
    context: RequestContext,
  ): Promise<RemoveAgentsReply> {
    const { gatewayId, partitions } = request;
    this.#checkSender(context, this.#homeId(KIND_GATEWAY, gatewayId));
    this.#checkRequester(request);
    const { partitionCount } = this.#parts.table.partitioner;
    const isBad = partitions.length > partitionCount ||
      partitions.some((partition) => partition >= partitionCount);
    if (isBad) {
      throw new RegistryError(
        "invalid_argument",
        `partitions must be at most ${partitionCount}, each of them below that: they are not`,
        { field: "partitions" },
      );
    }
    const { deadlineMs } = context;
    return await this.#parts.agents.removeHere(
      { gatewayId, requester: request, deadlineMs },
      partitions,
    );
  }

  /** Serves NoteRemoval. */
  async noteRemoval(request: NoteRemovalRequest, context: RequestContext): Promise<void> {
    const { id, detail, lineage, subject } = request;
    const kind = anyKind(request.kind);
    const requester = { lineage, subject, token: "" };
    this.#checkSender(context, this.#homeId(kind, id));
    this.#checkRequester(requester);
    await this.#parts.notes.noteHere({ kind, id, detail, requester }, context.deadlineMs);
  }

  #homeId(kind: number, id: Uint8Array): number {
    return this.#parts.table.of(kind, id).id;
  }

  /** @throws RegistryError `not_leader`, `not_replica`; `invalid_argument` for no canonical domain. */
  #homeOf(domain: string): Partition {
    if (canonicalDomain(domain) !== domain) {
      throw new RegistryError("invalid_argument", "domain must be in canonical form: it is not", {
        field: "domain",
      });
    }
    return this.#parts.table.led(KIND_ALIAS, domainBytes(domain));
  }

  #partitionOfClaim(index: number): number {
    const partition = Math.floor(index / CLAIM_INDEXES_PER_PARTITION);
    if (partition < this.#parts.table.partitioner.partitionCount) return partition;
    throw new RegistryError("invalid_argument", "claim must be one of this cluster: it is not", {
      field: "claim",
    });
  }

  /** Checks that a step comes from a node that holds the partition of the record it is for. */
  #checkSender({ node }: RequestContext, partition: number): void {
    if (node !== undefined && this.#parts.nodesOf(partition).includes(node)) return;
    throw new RegistryError(
      "permission_denied",
      node === undefined
        ? "Steps of writes are for nodes of the cluster, over their own sessions"
        : `Node ${node} must hold partition ${partition} of the record: group 0 does not place it there`,
      { field: SENDER_FIELD },
    );
  }

  #checkRequester({ lineage, subject, token }: Requester): void {
    const { bans } = this.#parts;
    const ban = lineage === 0 && subject === ""
      ? undefined
      : bans.banOf({ subject, lineage, tokenIds: token === "" ? [] : [token] });
    if (ban === undefined) return;
    throw new RegistryError("unauthenticated", `${subject} is banned: ${ban.reason}`);
  }
}
