/**
 * The genesis: the first signers and threshold. Its hash is what users of the registry pin; every
 * entry, checkpoint and bundle leads back to it.
 */
import { bytesEqual } from "../../base/bytes.ts";
import { canonicalJson } from "../../signing/canonical_json.ts";
import { readSignerSet, type SignerSet, signerSetBody } from "../signer_set.ts";
import { sha256Text } from "./content_id.ts";
import { invalidDocument, objectOf, strictJsonIn } from "./json_members.ts";
import { checkWritable, newestSchema, readDocumentOf } from "./schema_gate.ts";

/** A genesis. */
export interface GovernanceGenesis {
  /** Its canonical form. */
  readonly bytes: Uint8Array;
  /** `sha256:…` of the bytes. */
  readonly hash: string;
  readonly signers: SignerSet;
}

/** Returns the genesis of a signer set. */
export function genesisOf(signers: Omit<SignerSet, "number" | "revoked">): GovernanceGenesis {
  const { revoked: _, ...body } = signerSetBody({ ...signers, revoked: new Set() });
  const text = canonicalJson({ schema: newestSchema("genesis", 1), ...body });
  return readGenesis(new TextEncoder().encode(text));
}

/**
 * Reads the canonical bytes of a genesis.
 *
 * @param applyVersion the version by which a command that brings the genesis is applied; only the
 * schema that it writes is read. By default all that this program knows.
 * @throws RegistryError `invalid_argument`; `unsupported_version`, but not with an `applyVersion`.
 */
export function readGenesis(bytes: Uint8Array, applyVersion?: number): GovernanceGenesis {
  const value = objectOf(strictJsonIn(bytes, "Genesis"), "Genesis");
  if (!bytesEqual(new TextEncoder().encode(canonicalJson(value)), bytes)) {
    throw invalidDocument("Genesis must be canonical JSON: it is not");
  }
  if (applyVersion !== undefined) checkWritable(value["schema"], applyVersion);
  const members = ["signers", "threshold", "checkpoint_keys"];
  const body = readDocumentOf("genesis", value, members);
  return { bytes, hash: sha256Text(bytes), signers: readSignerSet(body, 0) };
}
