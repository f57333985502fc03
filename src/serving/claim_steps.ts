/**
 * The steps of claims on domains (domain_claims.ts) at the leader of a partition that is here: claim,
 * confirm and release in the domain's partition, revoke in the agent's. Each is one logged command, or
 * none where the state already says the outcome. A replica that has lost its leadership cannot log, so a
 * step that is taken from old state changes nothing.
 */
import { bytesEqual } from "../base/bytes.ts";
import type { Position } from "../base/position.ts";
import { RegistryError } from "../base/errors.ts";
import { encodeClaim, encodeConfirm, encodeRelease, encodeRevoke } from "../record/command.ts";
import { domainBytes, KIND_AGENT, KIND_ALIAS } from "../record/key.ts";
import { isStaleState } from "../record/record_state.ts";
import { ALIAS_STATES } from "../../schemas/gen/record.ts";
import type { Partition, PartitionTable } from "./partitions.ts";
import type { Proposer } from "./proposer.ts";

/** A claim on a domain, and the agent that has it. */
export interface DomainClaim {
  readonly agentId: Uint8Array;
  readonly claim: Position;
  /** Whether the domain's partition does not know yet that the agent registered with it. */
  readonly pending: boolean;
}

/** A domain (canonical) and the claim that an agent has on it. */
export interface ClaimedDomain {
  readonly domain: string;
  readonly agentId: Uint8Array;
  readonly claim: Position;
}

/** A claim to be revoked. */
export interface RevokedClaim extends Omit<ClaimedDomain, "domain"> {
  /** Whether another agent claims the domain, so that a stale one gives it up. */
  readonly isForAnother: boolean;
}

/** Takes steps of claims on this node. */
export class ClaimSteps {
  readonly #table: PartitionTable;
  readonly #proposer: Proposer;

  constructor(table: PartitionTable, proposer: Proposer) {
    this.#table = table;
    this.#proposer = proposer;
  }

  /**
   * Claims a domain for an agent; returns its claim, or that of the agent which has the domain.
   *
   * @param replaces the revoked claim that it replaces; index 0 for none.
   * @param writer lineage of the requester.
   */
  async claim(
    home: Partition,
    { domain, agentId, replaces }: {
      readonly domain: string;
      readonly agentId: Uint8Array;
      readonly replaces: Position;
    },
    writer: number,
    deadlineMs: number,
  ): Promise<DomainClaim> {
    const found = replaces.index === 0 ? this.find(home, domain) : undefined;
    if (found !== undefined) return found;
    const command = encodeClaim(this.#proposer.header(home, writer), { domain, agentId, replaces });
    const { outcome } = await this.#proposer.propose(home, command, deadlineMs);
    const { code, claim, holder } = outcome;
    if (code === "ok") return { agentId, claim, pending: true };
    if (code === "domain_taken" && holder !== undefined) {
      return { agentId: holder, claim, pending: true };
    }
    throw new RegistryError(code === "domain_taken" ? "internal" : code, outcome.message);
  }

  /**
   * Revokes a claim in its agent's partition, after which no register with it succeeds.
   *
   * @returns whether the agent holds the claim, so that nothing was revoked.
   */
  async revoke(
    home: Partition,
    { agentId, claim, isForAnother }: RevokedClaim,
    writer: number,
    deadlineMs: number,
  ): Promise<boolean> {
    // Avoids a log entry where the claim is known to be held; the command decides all other cases.
    const mayGiveUp = isForAnother && this.#seemsStale(agentId);
    if (!mayGiveUp && this.holds(agentId, claim) === true) return true;
    const body = { agentId, claim, isForAnother };
    const command = encodeRevoke(this.#proposer.header(home, writer), body);
    const { outcome } = await this.#proposer.propose(home, command, deadlineMs);
    if (outcome.held) return true;
    if (outcome.code !== "ok") throw new RegistryError(outcome.code, outcome.message);
    return false;
  }

  /** Confirms an alias, after the agent's group logged the register with its claim. */
  async confirm(home: Partition, claimed: ClaimedDomain, deadlineMs: number): Promise<void> {
    const command = encodeConfirm(this.#proposer.header(home, 0), claimed);
    await this.#proposer.propose(home, command, deadlineMs);
  }

  /**
   * Frees a domain from a claim whose revocation is logged.
   *
   * @returns true if the alias is gone; false if the domain has another claim by now.
   */
  async release(
    home: Partition,
    { domain, agentId, claim }: ClaimedDomain,
    deadlineMs: number,
  ): Promise<boolean> {
    // The command names no agent. Without this check a node could free the domain of any agent by its
    // claim, on behalf of one that it holds.
    const found = await this.findCurrent(home, domain, deadlineMs);
    if (found !== undefined && !bytesEqual(found.agentId, agentId)) return false;
    const command = encodeRelease(this.#proposer.header(home, 0), { domain, claim });
    const { outcome } = await this.#proposer.propose(home, command, deadlineMs);
    return outcome.code === "ok";
  }

  /** Returns the claim on a domain (canonical), as its partition's replica here has it. */
  find(home: Partition, domain: string): DomainClaim | undefined {
    const key = domainBytes(domain);
    const slot = home.store.find(KIND_ALIAS, key, 0, key.length);
    if (slot === -1) return undefined;
    const alias = home.store.aliasView(slot);
    return {
      agentId: alias.agentId,
      claim: { generation: alias.claimGeneration, index: alias.claimIndex },
      pending: alias.state === ALIAS_STATES.pending,
    };
  }

  /** Returns the claim on a domain (canonical), with all that was committed before. @throws RegistryError */
  async findCurrent(
    home: Partition,
    domain: string,
    deadlineMs: number,
  ): Promise<DomainClaim | undefined> {
    const permitted = await home.group.readBarrier(0, this.#proposer.leftMs(deadlineMs));
    if (permitted instanceof RegistryError) throw permitted;
    return this.find(home, domain);
  }

  /**
   * Reports whether the agent's live record holds the claim; `undefined` if this node cannot tell
   * without asking the agent's group.
   */
  holds(agentId: Uint8Array, claim: Position): boolean | undefined {
    const home = this.#table.of(KIND_AGENT, agentId);
    if (!home.isHere || home.group.readPoint(0) === undefined) return undefined;
    return this.seemsHeld(agentId, claim);
  }

  /** Reports whether the agent's record is stale according to the replica here. */
  #seemsStale(agentId: Uint8Array): boolean {
    const home = this.#table.of(KIND_AGENT, agentId);
    if (!home.isHere) return false;
    const slot = home.store.find(KIND_AGENT, agentId, 0, agentId.length);
    return slot !== -1 && isStaleState(home.store.agentView(slot).state);
  }

  /**
   * Reports whether the agent's record holds the claim according to the replica here, which may be
   * behind; `undefined` if there is none.
   */
  seemsHeld(agentId: Uint8Array, claim: Position): boolean | undefined {
    const home = this.#table.of(KIND_AGENT, agentId);
    if (!home.isHere) return undefined;
    const slot = home.store.find(KIND_AGENT, agentId, 0, agentId.length);
    if (slot === -1) return false;
    const agent = home.store.agentView(slot);
    return agent.claimIndex === claim.index && agent.claimGeneration === claim.generation;
  }
}
