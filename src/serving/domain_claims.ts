/**
 * Claims of agents on domains, where agent and domain live in different groups, led by this node or by
 * others.
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
 *
 * The node that leads the agent's partition drives a claim, and the one that leads the domain's
 * partition drives its repair. Steps elsewhere are taken by the leader there (leader_calls.ts).
 */
import { NO_POSITION, type Position } from "../base/position.ts";
import { bytesEqual } from "../base/bytes.ts";
import { RegistryError } from "../base/errors.ts";
import { DOMAIN_CLAIM_TRIES_MAX } from "../base/limits.ts";
import { formatUuid, isNilUuid, UUID_BYTES } from "../base/uuid.ts";
import { domainBytes, KIND_AGENT, KIND_ALIAS } from "../record/key.ts";
import type { ClaimedDomain, ClaimSteps, DomainClaim } from "./claim_steps.ts";
import type { LeaderCalls } from "./leader_calls.ts";
import { REGISTRY_ITSELF, type Requester } from "./node_calls.ts";
import type { PartitionPlace, PartitionTable } from "./partitions.ts";

/** Claim that its agent may register with. */
export interface HeldClaim {
  readonly claim: Position;
  /** False once the alias is confirmed: the register needs no step after it. */
  readonly pending: boolean;
}

/** In a revocation: the domain's own partition gives the claim up. */
const NO_CLAIMANT = new Uint8Array(UUID_BYTES);

/** Claims, confirms and gives up domains. */
export class DomainClaims {
  readonly #table: PartitionTable;
  readonly #steps: ClaimSteps;
  readonly #leaders: LeaderCalls;

  constructor(table: PartitionTable, steps: ClaimSteps, leaders: LeaderCalls) {
    this.#table = table;
    this.#steps = steps;
    this.#leaders = leaders;
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
    options: {
      readonly requester: Requester;
      readonly deadlineMs: number;
      readonly yields: boolean;
    },
  ): Promise<HeldClaim> {
    const { requester, deadlineMs, yields } = options;
    let replaces: Position = NO_POSITION;
    for (let tries = 0; tries <= DOMAIN_CLAIM_TRIES_MAX; tries++) {
      const found = await this.#claim({ domain, agentId, replaces }, requester, deadlineMs);
      if (bytesEqual(found.agentId, agentId)) return found;
      const isUnderWay = found.pending &&
        this.#steps.seemsHeld(found.agentId, found.claim) !== true;
      if (tries === 0 && yields && isUnderWay) break;
      const claimed = { domain, agentId: found.agentId, claim: found.claim };
      if (await this.#revoke(claimed, agentId, requester, deadlineMs)) {
        throw domainTaken(domain, found.agentId);
      }
      replaces = found.claim;
    }
    throw claimedByOthers(domain);
  }

  /** Confirms the alias, after the agent's group logged the register with its claim. */
  async confirm(claimed: ClaimedDomain, deadlineMs: number): Promise<void> {
    await this.#leaders.take({
      what: `the domain ${claimed.domain}`,
      place: () => this.#homeOf(claimed.domain),
      here: (home) => this.#steps.confirm(home, claimed, deadlineMs),
      there: async (calls, node, timeoutMs) => {
        await calls.call(node, "confirmClaim", claimed, timeoutMs);
      },
      deadlineMs,
    });
  }

  /**
   * Gives up an alias unless its agent holds it: logs the revocation, then the release.
   *
   * @returns true if the alias is gone.
   */
  async giveUp(claimed: ClaimedDomain, deadlineMs: number): Promise<boolean> {
    if (await this.revoke(claimed, deadlineMs)) return false;
    return await this.release(claimed, deadlineMs);
  }

  /**
   * Revokes a claim on behalf of the domain's partition, which this node leads.
   *
   * @returns true if the agent holds it, so that nothing was revoked.
   */
  revoke(claimed: ClaimedDomain, deadlineMs: number): Promise<boolean> {
    return this.#revoke(claimed, NO_CLAIMANT, REGISTRY_ITSELF, deadlineMs);
  }

  /**
   * Frees a domain from a claim whose revocation is logged.
   *
   * @returns true if the alias is gone; false if the domain has another claim by now.
   */
  async release(claimed: ClaimedDomain, deadlineMs: number): Promise<boolean> {
    return await this.#leaders.take({
      what: `the domain ${claimed.domain}`,
      place: () => this.#homeOf(claimed.domain),
      here: (home) => this.#steps.release(home, claimed, deadlineMs),
      there: async (calls, node, timeoutMs) =>
        (await calls.call(node, "releaseDomain", claimed, timeoutMs)).released,
      deadlineMs,
    });
  }

  /**
   * Reports whether a claim of the agent on the domain (canonical) would add an alias to this node, as
   * far as its replica of the domain's partition knows.
   */
  addsAlias(domain: string, agentId: Uint8Array): boolean {
    const home = this.#homeOf(domain);
    if (!home.isHere) return false;
    const found = this.#steps.find(home, domain);
    return found === undefined || !bytesEqual(found.agentId, agentId);
  }

  /** See {@link ClaimSteps.seemsHeld}. */
  seemsHeld(agentId: Uint8Array, claim: Position): boolean | undefined {
    return this.#steps.seemsHeld(agentId, claim);
  }

  #claim(
    claim: {
      readonly domain: string;
      readonly agentId: Uint8Array;
      readonly replaces: Position;
    },
    requester: Requester,
    deadlineMs: number,
  ): Promise<DomainClaim> {
    return this.#leaders.take({
      what: `the domain ${claim.domain}`,
      place: () => this.#homeOf(claim.domain),
      here: (home) => this.#steps.claim(home, claim, requester.lineage, deadlineMs),
      there: (calls, node, timeoutMs) =>
        calls.call(node, "claimDomain", { ...claim, ...requester }, timeoutMs),
      deadlineMs,
    });
  }

  /** Revokes a claim, in its agent's group; returns true if the agent holds it. */
  #revoke(
    { agentId, claim }: ClaimedDomain,
    claimant: Uint8Array,
    requester: Requester,
    deadlineMs: number,
  ): Promise<boolean> {
    const isForAnother = !isNilUuid(claimant, 0);
    const revoked = { agentId, claim, isForAnother };
    return this.#leaders.take({
      what: `agent ${formatUuid(agentId)}`,
      place: () => this.#table.of(KIND_AGENT, agentId),
      here: (home) => this.#steps.revoke(home, revoked, requester.lineage, deadlineMs),
      there: async (calls, node, timeoutMs) => {
        const body = { agentId, claim, claimant, ...requester };
        return (await calls.call(node, "revokeClaim", body, timeoutMs)).held;
      },
      deadlineMs,
    });
  }

  #homeOf(domain: string): PartitionPlace {
    return this.#table.of(KIND_ALIAS, domainBytes(domain));
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
