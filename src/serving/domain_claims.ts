/**
 * Claims of agents on domains, where agent and domain live in different groups.
 *
 * A claim takes three logged commands; a crash after any of them is safe:
 * 1. *claim* in the domain's group: a pending alias with a unique claim;
 * 2. *register* in the agent's group, with that claim (the write path);
 * 3. *confirm* in the domain's group.
 * A domain resolves when the agent's live record holds the alias' claim, pending or not. Before an
 * alias is taken from an agent, a *revoke* is logged in that agent's group: if the claim is held
 * the revoke has no effect, otherwise it ensures that the claim never will be held. Therefore two
 * live agents never hold one domain, whichever process crashes and whichever message is delayed.
 * Clients never renew aliases.
 */
import { bytesEqual } from "../base/bytes.ts";
import { RegistryError } from "../base/errors.ts";
import { DOMAIN_CLAIM_TRIES_MAX } from "../base/limits.ts";
import { formatUuid } from "../base/uuid.ts";
import { encodeClaim, encodeConfirm, encodeRelease, encodeRevoke } from "../record/command.ts";
import { domainBytes, KIND_AGENT, KIND_ALIAS } from "../record/key.ts";
import { ALIAS_PENDING } from "../store/apply_aliases.ts";
import { NO_POSITION, type Position } from "../store/reply.ts";
import type { Partition, PartitionTable } from "./partitions.ts";
import type { Proposer } from "./proposer.ts";

/** Claim that its agent may register with. */
export interface HeldClaim {
  readonly claim: Position;
  /** False once the alias is confirmed: the register needs no step after it. */
  readonly pending: boolean;
}

/** Current state of an alias. */
interface FoundAlias {
  readonly agentId: Uint8Array;
  readonly claim: Position;
  readonly pending: boolean;
}

/** Claims, confirms and gives up domains. */
export class DomainClaims {
  readonly #table: PartitionTable;
  readonly #proposer: Proposer;

  constructor(table: PartitionTable, proposer: Proposer) {
    this.#table = table;
    this.#proposer = proposer;
  }

  /**
   * Obtains a claim of `agentId` on `domain` (canonical): its existing claim, or a new one.
   *
   * @param yields true for an agent that just lost its claim to another one: it does not take over
   * that agent's pending claim in turn, as otherwise both could lose theirs forever.
   * @throws RegistryError `domain_taken` if a live agent holds it; `overloaded` if this agent
   * yields.
   */
  async hold(
    domain: string,
    agentId: Uint8Array,
    options: { readonly writer: number; readonly deadlineMs: number; readonly yields: boolean },
  ): Promise<HeldClaim> {
    const { writer, deadlineMs, yields } = options;
    const home = this.#homeOf(domain);
    let replaces: Position = NO_POSITION;
    for (let tries = 0; tries < DOMAIN_CLAIM_TRIES_MAX; tries++) {
      const found = tries === 0 ? this.#find(home, domain) : undefined;
      if (found !== undefined && bytesEqual(found.agentId, agentId)) {
        return { claim: found.claim, pending: found.pending };
      }
      if (found !== undefined) {
        const isUnderWay = found.pending && this.holds(found.agentId, found.claim) !== true;
        if (yields && isUnderWay) throw claimedByOthers(domain);
        await this.#revoke(domain, found, writer, deadlineMs);
        replaces = found.claim;
      }
      const command = encodeClaim(this.#proposer.header(home, writer), {
        domain,
        agentId,
        replaces,
      });
      const { outcome } = await this.#proposer.propose(home, command, deadlineMs);
      if (outcome.code === "ok") return { claim: outcome.claim, pending: true };
      if (outcome.code !== "domain_taken" || outcome.holder === undefined) {
        throw new RegistryError(
          outcome.code === "domain_taken" ? "internal" : outcome.code,
          outcome.message,
        );
      }
      // Another agent claimed it first: revoke that claim in its agent's group.
      const holder = { agentId: outcome.holder, claim: outcome.claim, pending: true };
      await this.#revoke(domain, holder, writer, deadlineMs);
      replaces = holder.claim;
    }
    throw claimedByOthers(domain);
  }

  /** Confirms the alias, after the agent's group logged the register with its claim. */
  async confirm(
    domain: string,
    agentId: Uint8Array,
    claim: Position,
    deadlineMs: number,
  ): Promise<void> {
    const home = this.#homeOf(domain);
    const command = encodeConfirm(this.#proposer.header(home, 0), { domain, agentId, claim });
    await this.#proposer.propose(home, command, deadlineMs);
  }

  /**
   * Gives up an alias unless its agent holds it: logs the revocation, then the release.
   *
   * @returns true if the alias is gone.
   */
  async giveUp(
    domain: string,
    agentId: Uint8Array,
    claim: Position,
    deadlineMs: number,
  ): Promise<boolean> {
    const alias = { agentId, claim, pending: true };
    try {
      await this.#revoke(domain, alias, 0, deadlineMs);
    } catch (error) {
      if (error instanceof RegistryError && error.code === "domain_taken") return false;
      throw error;
    }
    return await this.release(domain, claim, deadlineMs);
  }

  /**
   * Frees a domain from a claim whose revocation is logged.
   *
   * @returns true if the alias is gone; false if the domain has another claim by now.
   */
  async release(domain: string, claim: Position, deadlineMs: number): Promise<boolean> {
    const home = this.#homeOf(domain);
    const command = encodeRelease(this.#proposer.header(home, 0), { domain, claim });
    const { outcome } = await this.#proposer.propose(home, command, deadlineMs);
    return outcome.code === "ok";
  }

  /** Reports whether the domain (canonical) has an alias for that agent, pending or not. */
  isClaimedBy(domain: string, agentId: Uint8Array): boolean {
    const found = this.#find(this.#homeOf(domain), domain);
    return found !== undefined && bytesEqual(found.agentId, agentId);
  }

  /**
   * Reports whether the agent's live record holds the claim; `undefined` if this node cannot tell
   * without asking the agent's group.
   */
  holds(agentId: Uint8Array, claim: Position): boolean | undefined {
    const home = this.#table.of(KIND_AGENT, agentId);
    if (!home.isHere || home.group.readPoint(0) === undefined) return undefined;
    const slot = home.store.find(KIND_AGENT, agentId, 0, agentId.length);
    if (slot === -1) return false;
    const agent = home.store.agentView(slot);
    return agent.claimIndex === claim.index && agent.claimGeneration === claim.generation;
  }

  /** Logs the revocation in the agent's group, after which no register with this claim succeeds. */
  async #revoke(
    domain: string,
    alias: FoundAlias,
    writer: number,
    deadlineMs: number,
  ): Promise<void> {
    const { agentId, claim } = alias;
    // Avoids a log entry where the claim is known to be held; the command decides all other cases.
    if (this.holds(agentId, claim) === true) throw domainTaken(domain, agentId);
    const home = this.#table.held(KIND_AGENT, agentId);
    const command = encodeRevoke(this.#proposer.header(home, writer), { agentId, claim });
    const { outcome } = await this.#proposer.propose(home, command, deadlineMs);
    if (outcome.held) throw domainTaken(domain, agentId);
    if (outcome.code !== "ok") throw new RegistryError(outcome.code, outcome.message);
  }

  #find(home: Partition, domain: string): FoundAlias | undefined {
    const key = domainBytes(domain);
    const slot = home.store.find(KIND_ALIAS, key, 0, key.length);
    if (slot === -1) return undefined;
    const alias = home.store.aliasView(slot);
    return {
      agentId: alias.agentId,
      claim: { generation: alias.claimGeneration, index: alias.claimIndex },
      pending: alias.state === ALIAS_PENDING,
    };
  }

  #homeOf(domain: string): Partition {
    return this.#table.held(KIND_ALIAS, domainBytes(domain));
  }
}

function claimedByOthers(domain: string): RegistryError {
  return new RegistryError("overloaded", `Concurrent claims on the domain ${domain}: try again`, {
    retryAfterMs: 100,
  });
}

function domainTaken(domain: string, holder: Uint8Array): RegistryError {
  return new RegistryError(
    "domain_taken",
    `The domain ${domain} is held by agent ${formatUuid(holder)}`,
    { field: "domain" },
  );
}
