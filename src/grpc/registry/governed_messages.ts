/** Descriptors and proposals as messages. */
import type { MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { ProposalState } from "../../../schemas/gen/wire.ts";
import {
  type DescriptorSchema,
  DescriptorState,
  LogAction,
  type PayloadSignatureSchema,
  type ProposalStateSchema,
} from "../../../schemas/proto/gen/crs/v1/governed_pb.ts";
import { SIGNED_AT_LENGTH_MAX, SIGNER_ID_LENGTH_MAX } from "../../base/limits.ts";
import type { PayloadSignature } from "../../governance/documents/signature.ts";
import type { AppliedEntry, GovernedLog } from "../../governance/governed_log.ts";
import { SIGNATURE_BYTES } from "../../signing/ed25519_verdict.ts";
import { invalidField } from "./request_fields.ts";

const STATES: Readonly<Record<ReturnType<GovernedLog["stateOf"]>, DescriptorState>> = {
  published: DescriptorState.PUBLISHED,
  replaced: DescriptorState.REPLACED,
  superseded: DescriptorState.SUPERSEDED,
  deprecated: DescriptorState.DEPRECATED,
};

/** Actions of entries, by the schema of their payload. */
export const LOG_ACTIONS: Readonly<Record<AppliedEntry["read"]["action"], LogAction>> = {
  descriptor: LogAction.PUBLISH,
  supersession: LogAction.SUPERSEDE,
  deprecation: LogAction.DEPRECATE,
  signers: LogAction.CHANGE_SIGNERS,
  freeze: LogAction.FREEZE,
  home: LogAction.MOVE_HOME,
};

const decoder = new TextDecoder();

/** Returns the text of a canonical document. */
export function documentText(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** Returns a version of a descriptor. @param log the log that it is in. */
export function descriptorMessage(
  applied: AppliedEntry,
  log: GovernedLog,
): MessageInitShape<typeof DescriptorSchema> {
  const { id, kind, idVersion, contentId, version, committedAt, approvals } = applied.entry;
  return {
    id,
    kind,
    version: BigInt(idVersion),
    state: STATES[log.stateOf(applied)],
    payload: documentText(applied.payload),
    contentId,
    globalVersion: BigInt(version),
    committedAtUnixS: BigInt(committedAt),
    signatures: approvals.map(signatureMessage),
  };
}

/** Returns the state of a proposal. */
export function proposalMessage(
  { proposal, version, missing }: ProposalState,
): MessageInitShape<typeof ProposalStateSchema> {
  return { proposal: BigInt(proposal), version: BigInt(version), missing };
}

/** Returns a signature. */
export function signatureMessage(
  { signerId, signature, signedAt }: PayloadSignature,
): MessageInitShape<typeof PayloadSignatureSchema> {
  return { signerId, signature, signedAt };
}

/** Returns a signature of a request. @throws RegistryError `invalid_argument`. */
export function signatureOf(
  { signerId, signature, signedAt }: MessageShape<typeof PayloadSignatureSchema>,
): PayloadSignature {
  if (signature.length !== SIGNATURE_BYTES) {
    throw invalidField("signature", `have ${SIGNATURE_BYTES} bytes: found ${signature.length}`);
  }
  checkText(signerId, SIGNER_ID_LENGTH_MAX, "signer_id");
  checkText(signedAt, SIGNED_AT_LENGTH_MAX, "signed_at");
  return { signerId, signature, signedAt };
}

function checkText(text: string, lengthMax: number, field: string): void {
  if (text.length > 0 && text.length <= lengthMax) return;
  throw invalidField(field, `have 1 to ${lengthMax} characters: found ${text.length}`);
}
