/** The governed plane: its state, proposals, and the audit of them. */
import { GOVERNANCE_ACTION_NAMES } from "../../../schemas/gen/governance.ts";
import { givenPayload } from "../../answers/governed_json.ts";
import { GOVERNANCE_AUDIT_PAGE_MAX, SIGNERS_MAX } from "../../base/limits.ts";
import { strictJsonIn } from "../../governance/documents/json_members.ts";
import { callOptionsOf } from "../service.ts";
import {
  documentText,
  proposalMessage,
  signatureMessage,
  signatureOf,
} from "./governed_messages.ts";
import type { RegistryFunctions, RegistryParts } from "./registry_functions.ts";
import { checkCount, numberOf } from "./request_fields.ts";

type GovernedFunctions = Pick<
  RegistryFunctions,
  | "getGovernanceStatus"
  | "initGovernance"
>;
type ProposalFunctions = Pick<
  RegistryFunctions,
  | "propose"
  | "addSignatures"
  | "applyProposal"
  | "getProposal"
  | "readGovernanceAudit"
>;

/** Returns the functions of the state of the governed plane. */
export function governedMethods(): GovernedFunctions {
  return {
    getGovernanceStatus: async (_request, context) => {
      const status = await context.client.governed.status(callOptionsOf(context));
      const { version, signerSet, openProposals, threshold, isFrozen, genesis, signers } = status;
      return {
        version: BigInt(version),
        signerSet: BigInt(signerSet),
        openProposals,
        threshold,
        isFrozen,
        genesis,
        signers: signers.map(({ id, publicKey }) => ({ id, publicKey })),
      };
    },
    initGovernance: async ({ signers, threshold }, context) => {
      checkCount(signers.length, SIGNERS_MAX, "signers");
      const { governed } = context.client;
      const genesis = await governed.init(signers, threshold, callOptionsOf(context));
      return { genesis: documentText(genesis) };
    },
  };
}

/** Returns the functions of proposals. */
export function proposalMethods({ governed: source }: RegistryParts): ProposalFunctions {
  return {
    propose: async ({ payload, signatures }, context) => {
      const read = givenPayload(strictJsonIn(encoder.encode(payload), "payload"), "payload");
      const given = signatures.map(signatureOf);
      const { governed } = context.client;
      const state = await governed.propose(read.bytes, given, callOptionsOf(context));
      return { state: proposalMessage(state), contentId: read.contentId };
    },
    addSignatures: async ({ proposal, signatures }, context) => {
      const number = numberOf(proposal, "proposal");
      const given = signatures.map(signatureOf);
      const { governed } = context.client;
      return {
        state: proposalMessage(await governed.sign(number, given, callOptionsOf(context))),
      };
    },
    applyProposal: async ({ proposal }, context) => {
      const { client } = context;
      const number = numberOf(proposal, "proposal");
      const state = await client.governed.apply(number, callOptionsOf(context));
      await source.seen(client, state.version, context.signal);
      return { state: proposalMessage(state) };
    },
    getProposal: async (request, context) => {
      const { client: { governed } } = context;
      const number = numberOf(request.proposal, "proposal");
      const found = await governed.proposal(number, callOptionsOf(context));
      const { caller, createdUnixS, remainingMs, payload, signatures } = found;
      return {
        state: proposalMessage(found),
        caller,
        createdUnixS: BigInt(createdUnixS),
        remainingMs,
        payload: documentText(payload),
        signatures: signatures.map(signatureMessage),
      };
    },
    readGovernanceAudit: async ({ after, limit }, context) => {
      const { governed } = context.client;
      const page = await governed.audit(
        numberOf(after, "after"),
        limit || GOVERNANCE_AUDIT_PAGE_MAX,
        callOptionsOf(context),
      );
      return {
        records: page.records.map(({ number, unixS, proposal, action, ...record }) => ({
          ...record,
          number: BigInt(number),
          unixS: BigInt(unixS),
          proposal: BigInt(proposal),
          action: GOVERNANCE_ACTION_NAMES[action] ?? String(action),
        })),
        count: BigInt(page.count),
      };
    },
  };
}

const encoder = new TextEncoder();
