/** Handlers of the operations on the governed plane. */
import {
  encodeAddSignatures,
  encodeApplyProposal,
  encodePropose,
} from "../../governance/governance_codec.ts";
import type { AuthenticatedPeer } from "../../base/peer.ts";
import { readPayload } from "../../governance/documents/payload.ts";
import type { GOVERNANCE_OPERATIONS } from "../../wire/operations/governance.ts";
import type { REGION_OPERATIONS } from "../../wire/operations/regions.ts";
import { demandId, isLimitedToIds } from "../access_control.ts";
import type { Checkpoints } from "../governance/checkpoints.ts";
import { type GovernanceService, payloadRefusal } from "../governance/governance_service.ts";
import type { PlaneMirror } from "../governance/plane_mirror.ts";
import type { Handlers } from "../handler.ts";

/** The handlers of the operations on the governed plane, also of the one for regions that mirror it. */
export type GovernanceHandlers =
  & Handlers<typeof GOVERNANCE_OPERATIONS>
  & Pick<Handlers<typeof REGION_OPERATIONS>, "regionGovernedLog">;

/** Returns the handlers. */
export function governanceHandlers(
  service: GovernanceService,
  mirror: PlaneMirror,
  checkpoints: Checkpoints,
): GovernanceHandlers {
  // Of a proposal only the plane knows the id.
  const checkProposal = async (number: number, peer: AuthenticatedPeer, deadlineMs: number) => {
    if (isLimitedToIds(peer)) demandId(peer, await service.idOfProposal(number, deadlineMs));
  };
  return {
    initGovernance: async (request, { peer, deadlineMs }) => ({
      genesis: await service.init(request, peer.subject, deadlineMs),
    }),
    mirrorGovernance: async ({ region, genesis }, { peer, deadlineMs }) => ({
      version: await mirror.begin(region, genesis, peer.subject, deadlineMs),
    }),
    regionGovernedLog: (request, { deadlineMs }) => service.log(request, deadlineMs),
    propose: async ({ payload, signatures }, { peer, deadlineMs }) => {
      const refusal = payloadRefusal(payload);
      if (refusal !== undefined) throw refusal;
      if (isLimitedToIds(peer)) demandId(peer, readPayload(payload).payload.id);
      const { region } = service;
      const body = { payload, signatures, region, caller: peer.subject };
      await service.prepareFor(payload, deadlineMs);
      return await service.propose((header) => encodePropose(header, body), deadlineMs);
    },
    signProposal: async ({ proposal, signatures }, { peer, deadlineMs }) => {
      await checkProposal(proposal, peer, deadlineMs);
      const body = { proposal, signatures, caller: peer.subject };
      return await service.propose((header) => encodeAddSignatures(header, body), deadlineMs);
    },
    applyProposal: async ({ proposal }, { peer, deadlineMs }) => {
      await checkProposal(proposal, peer, deadlineMs);
      const body = { proposal, region: service.region, caller: peer.subject };
      return await service.propose((header) => encodeApplyProposal(header, body), deadlineMs);
    },
    getProposal: async ({ proposal }, { peer, deadlineMs }) => {
      await checkProposal(proposal, peer, deadlineMs);
      return await service.proposal(proposal, deadlineMs);
    },
    governanceStatus: (_, { deadlineMs }) => service.status(deadlineMs),
    readGovernedLog: async (request, { peer, deadlineMs }) => {
      demandId(peer, request.id);
      return await service.log(request, deadlineMs);
    },
    governedBundle: async (request, { peer, deadlineMs }) => {
      demandId(peer, request.id);
      return { text: await service.bundle(request, deadlineMs) };
    },
    governedCheckpoint: async (_, { deadlineMs }) => ({
      text: await service.checkpoint(deadlineMs),
    }),
    signCheckpoint: (request) => checkpoints.sign(request),
    readGovernanceAudit: (request, { deadlineMs }) => service.audit(request, deadlineMs),
  };
}
