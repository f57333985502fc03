/**
 * Commands on aliases: claim, confirm and release in the domain's partition, revoke in the agent's.
 * A claim is identified by where it was logged, partition and index, so every claim is unique: an
 * agent's partition sees claims of many domains' partitions. Before a domain is freed, its agent's
 * partition is asked; if the agent does not hold the claim, that partition remembers a revocation
 * and refuses a later register with the claim. So two live agents never hold one domain. (Design
 * §3.)
 */
import { DOMAIN_BYTES_MAX } from "../base/limits.ts";
import { NO_POSITION, type Position, samePosition } from "../base/position.ts";
import { isNilUuid } from "../base/uuid.ts";
import {
  agentCodec,
  type AgentView,
  ALIAS_STATES,
  aliasCodec,
  type AliasView,
} from "../../schemas/gen/record.ts";
import { KIND_AGENT, KIND_ALIAS } from "../record/key.ts";
import { isStaleState } from "../record/record_state.ts";
import type { ApplyContext } from "./apply_context.ts";
import type { PartitionState } from "./partition_state.ts";
import { type ApplyReply, refusal, success } from "./reply.ts";

/**
 * Claim indexes per partition: partition p has `[p × this, (p + 1) × this)`; 8,192 times it is
 * 2^53.
 */
export const CLAIM_INDEXES_PER_PARTITION = 2 ** 40;

function claimOf(alias: AliasView): Position {
  return { generation: alias.claimGeneration, index: alias.claimIndex };
}

function claimPosition(
  from: { readonly claimGeneration: number; readonly claimIndex: number },
): Position {
  return { generation: from.claimGeneration, index: from.claimIndex };
}

/**
 * Creates a pending alias for an agent, or returns the one that it already has. A revoked claim is
 * replaced by naming it, by another agent or by the agent whose register was refused.
 */
export function applyClaim({ state, command, data, index }: ApplyContext): ApplyReply {
  const claim = command.bodyInto(state.shared.views.claim);
  const start = claim.domainOffset;
  const end = start + claim.domainLength;
  if (!isDomain(data, start, end)) {
    return refusal("invalid_argument", "Domain must be a lower-case host name: it is not", {
      field: "domain",
    });
  }
  if (isNilUuid(data, claim.agentIdOffset)) {
    return refusal("invalid_argument", "Agent id must not be nil: it is", { field: "agentId" });
  }
  const slot = state.table.find(KIND_ALIAS, data, start, end);
  if (slot !== -1) {
    const alias = state.aliasView(slot);
    const current = claimOf(alias);
    const replaces = { generation: claim.replacesGeneration, index: claim.replacesIndex };
    if (!samePosition(replaces, current)) {
      if (alias.agentIdEquals(data, claim.agentIdOffset)) return success({ claim: current });
      return refusal("domain_taken", "Domain must be free: another agent holds it", {
        claim: current,
        holder: alias.agentId,
        field: "domain",
      });
    }
  }
  const position = {
    generation: state.generation,
    index: state.partition * CLAIM_INDEXES_PER_PARTITION + index,
  };
  const { writer } = state.shared;
  const domain = claim.domain;
  writer.reset();
  aliasCodec.append(writer, {
    agentId: claim.agentId,
    claim: position,
    state: ALIAS_STATES.pending,
    domain,
  });
  state.storeWritten(KIND_ALIAS, slot, "claimed", index);
  return success({ claim: position, created: true });
}

/** Reports whether the bytes are 1 to 253 lower-case letters, digits, hyphens and dots. */
function isDomain(bytes: Uint8Array, start: number, end: number): boolean {
  if (end === start || end - start > DOMAIN_BYTES_MAX) return false;
  for (let at = start; at < end; at++) {
    const code = bytes[at]!;
    const letter = code >= 0x61 && code <= 0x7a;
    const digit = code >= 0x30 && code <= 0x39;
    if (!letter && !digit && code !== 0x2d && code !== 0x2e) return false;
  }
  return true;
}

/** Makes an alias final if it still has the claim. */
export function applyConfirm({ state, command, data, index }: ApplyContext): ApplyReply {
  const confirm = command.bodyInto(state.shared.views.confirm);
  const start = confirm.domainOffset;
  const slot = state.table.find(KIND_ALIAS, data, start, start + confirm.domainLength);
  if (slot === -1) return revoked();
  const alias = state.aliasView(slot);
  const claim = claimPosition(confirm);
  if (!samePosition(claimOf(alias), claim)) return revoked();
  if (!alias.agentIdEquals(data, confirm.agentIdOffset)) return revoked();
  if (alias.state === ALIAS_STATES.confirmed) return success({ claim });
  state.keepForm(slot);
  state.writableAlias(slot).state = ALIAS_STATES.confirmed;
  state.emitChange("confirmed", slot, index);
  return success({ claim, count: 1 });
}

function revoked(): ApplyReply {
  return refusal("claim_revoked", "Claim must be the current one of the domain: it is not");
}

/**
 * Refuses a claim from now on, unless the agent's live record holds it. A stale record gives it up if
 * another agent claims the domain.
 */
export function applyRevoke({ state, command, data, index }: ApplyContext): ApplyReply {
  const revoke = command.bodyInto(state.shared.views.revoke);
  const idAt = revoke.agentIdOffset;
  const claim = claimPosition(revoke);
  if (claim.index === 0) {
    return refusal("invalid_argument", "Claim must be named: found none", { field: "claim" });
  }
  const slot = state.findLive(KIND_AGENT, data, idAt, idAt + 16);
  if (slot !== -1) {
    const agent = state.recordView(slot) as AgentView;
    if (samePosition(claimPosition(agent), claim)) {
      if (!revoke.isForAnother || !isStaleState(agent.state)) return success({ held: true, claim });
      giveUpDomain(state, slot, index);
    }
  }
  state.revoke(revoke.agentId, claim);
  return success({ claim, count: 1 });
}

/**
 * Takes the domain from a stale agent. Its record begins a new incarnation, as at a takeover, so that its
 * owner, if it is alive, is told by its next renewal.
 */
function giveUpDomain(state: PartitionState, slot: number, index: number): void {
  const { writer } = state.shared;
  const { generation } = state;
  const agent = (state.recordView(slot) as AgentView).toPlain();
  const position = { generation, index };
  state.emit("claim_dropped", slot, index);
  writer.reset();
  agentCodec.append(writer, {
    ...agent,
    domain: "",
    claim: NO_POSITION,
    incarnation: position,
    revision: position,
  });
  state.storeWritten(KIND_AGENT, slot, "updated", index);
}

/** Frees a domain after its claim was revoked; succeeds when the domain is already free. */
export function applyRelease({ state, command, data, index }: ApplyContext): ApplyReply {
  const release = command.bodyInto(state.shared.views.release);
  const start = release.domainOffset;
  const slot = state.table.find(KIND_ALIAS, data, start, start + release.domainLength);
  if (slot === -1) return success();
  if (!samePosition(claimOf(state.aliasView(slot)), claimPosition(release))) return revoked();
  state.emit("released", slot, index);
  state.remove(slot);
  return success({ count: 1 });
}
