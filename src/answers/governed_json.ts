/** The governed plane as JSON: descriptors and proposals as they are shown, payloads as they are given. */
import type { PayloadSignatureRecord } from "../../schemas/gen/governance.ts";
import type { ProposalReply, ProposalState } from "../../schemas/gen/wire.ts";
import { NO_PREVIOUS } from "../governance/documents/content_id.ts";
import { objectOf } from "../governance/documents/json_members.ts";
import { canonicalPayload, type ReadPayload } from "../governance/documents/payload.ts";
import { newestSchema } from "../governance/documents/schema_gate.ts";
import { signatureJson } from "../governance/documents/signature.ts";
import type { AppliedEntry, GovernedLog } from "../governance/governed_log.ts";
import type { JsonDocument } from "./record_json.ts";

/** Returns a version of a descriptor, with everything that its signatures are over. */
export function descriptorJson(applied: AppliedEntry, log: GovernedLog): JsonDocument {
  const { entry, read } = applied;
  return {
    schema: read.schema,
    ...read.payload,
    state: log.stateOf(applied),
    payload_b3: entry.contentId,
    global_version: entry.version,
    committed_at: entry.committedAt,
    ts: new Date(entry.committedAt * 1_000).toISOString(),
    signatures: entry.approvals.map(signatureJson),
  };
}

/** Returns the state of a proposal. @param more further members. */
export function proposalStateJson(
  { proposal, version, missing }: ProposalState,
  more: JsonDocument = {},
): JsonDocument {
  return { proposal_id: proposal, version: version || null, missing, ...more };
}

/** Returns a whole proposal. */
export function proposalJson(number: number, found: ProposalReply): JsonDocument {
  const { version, missing, caller, createdUnixS, remainingMs } = found;
  return {
    proposal_id: number,
    version: version || null,
    missing,
    caller: caller || null,
    created_at: createdUnixS,
    expires_in_ms: version === 0 ? remainingMs : null,
    payload: JSON.parse(new TextDecoder().decode(found.payload)) as unknown,
    signatures: found.signatures.map((one: PayloadSignatureRecord) => signatureJson(one)),
  };
}

/**
 * Returns the canonical form of a payload as people and programs write it: schema, version and
 * `prev_hash` may be left out of the first version of a descriptor.
 *
 * @throws RegistryError `invalid_argument`, `too_large`.
 */
export function givenPayload(value: unknown, field: string): ReadPayload {
  const first = { schema: newestSchema("descriptor"), version: 1, prev_hash: NO_PREVIOUS };
  return canonicalPayload({ ...first, ...objectOf(value, field) });
}
