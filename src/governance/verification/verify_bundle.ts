/**
 * Verification of a bundle by nothing but the hash of the genesis: no network, no clock, no state.
 *
 * From the genesis follow the signer sets, each under the quorum of the one before; from the newest set
 * the keys of checkpoints; from the checkpoint the newest entry; from that the heads; from the heads the
 * entry of the descriptor, and from its signer set the quorum over its payload. What a client knows
 * from earlier bundles is compared by `GovernedVerifier` (src/client/governed).
 */
import { decodeBase64 } from "../../base/base64.ts";
import { RegistryError } from "../../base/errors.ts";
import { BUNDLE_BYTES_MAX, GOVERNED_JSON_DEPTH_MAX } from "../../base/limits.ts";
import { canonicalJson } from "../../signing/canonical_json.ts";
import { verifyAgreed } from "../../signing/ed25519_verdict.ts";
import { readStrictJson } from "../../signing/strict_json.ts";
import { NO_PREVIOUS, parseSha256 } from "../documents/content_id.ts";
import { entryOf, type GovernedEntry } from "../documents/entry.ts";
import { readGenesis } from "../documents/genesis.ts";
import {
  arrayOf,
  exactMembers,
  integerOf,
  type JsonObject,
  textOf,
} from "../documents/json_members.ts";
import {
  canonicalPayload,
  publishedBody,
  type ReadPayload,
  SIGNERS_ID,
} from "../documents/payload.ts";
import { readDocumentOf } from "../documents/schema_gate.ts";
import { quorumFault } from "../entry_quorum.ts";
import { readSignerSet, SignerHistory, type SignerSet } from "../signer_set.ts";
import {
  type Checkpoint,
  isCheckpointSignedBy,
  originOf,
  readCheckpoint,
  type SignedCheckpoint,
} from "../tree/checkpoint.ts";
import { NO_HEADS, provenHead } from "../tree/heads_tree.ts";
import { includes } from "../tree/merkle_proof.ts";
import { leafHash } from "../tree/merkle_tree.ts";

/** The rule that a bundle breaks. */
export type BundleDefect =
  | "malformed"
  | "other_genesis"
  | "signatures"
  | "checkpoint"
  | "proof"
  | "wrong_descriptor";

/** A descriptor that was verified. */
export interface VerifiedDescriptor {
  readonly id: string;
  readonly kind: string;
  /** Version of the descriptor. */
  readonly version: number;
  readonly contentId: string;
  /** Global version of its entry. */
  readonly entryVersion: number;
  /** When it was applied, s since 1970, by the registry's clock. */
  readonly committedAt: number;
  /** The published body; undefined if the descriptor is deprecated. */
  readonly body: JsonObject | undefined;
  /** Signers whose signatures were verified; empty for `@signers`. */
  readonly signers: readonly string[];
}

/** The contents of a verified bundle. */
export interface VerifiedBundle {
  readonly checkpoint: Checkpoint;
  /** The proof that the checkpoint extends an earlier one, not verified yet. */
  readonly consistency:
    | { readonly from: number; readonly proof: readonly Uint8Array[] }
    | undefined;
  /** Number of the signer set in force. */
  readonly signerSet: number;
  /** The newest version of the descriptor; undefined: it is proven that there is none. */
  readonly descriptor: VerifiedDescriptor | undefined;
}

/** The verdict on a bundle. */
export type BundleVerdict =
  | { readonly ok: true; readonly verified: VerifiedBundle }
  | { readonly ok: false; readonly fault: BundleDefect; readonly message: string };

/** The refusal of a bundle; thrown to end its verification. */
class BundleRefused extends Error {
  readonly fault: BundleDefect;

  constructor(fault: BundleDefect, message: string) {
    super(message);
    this.fault = fault;
  }
}

/**
 * Verifies a bundle.
 *
 * @param text the bundle as JSON.
 * @param genesis the pinned hash, `sha256:…`.
 * @param id the descriptor that was asked for.
 */
export function verifyBundle(
  text: string,
  { genesis, id }: { readonly genesis: string; readonly id: string },
): BundleVerdict {
  try {
    return { ok: true, verified: verified(text, genesis, id) };
  } catch (error) {
    if (error instanceof BundleRefused) {
      return { ok: false, fault: error.fault, message: error.message };
    }
    if (!(error instanceof RegistryError)) throw error;
    return { ok: false, fault: "malformed", message: error.message };
  }
}

const MEMBERS = ["genesis", "checkpoint", "signers", "head"];
const OPTIONAL = ["consistency", "newest", "descriptor"];

function verified(text: string, pinned: string, id: string): VerifiedBundle {
  const bundle = readBundle(text);
  const genesis = readGenesis(canonicalBytes(bundle["genesis"]));
  if (genesis.hash !== pinned) {
    throw new BundleRefused("other_genesis", `Genesis must be ${pinned}: found ${genesis.hash}`);
  }
  const checkpoint = checkpointOf(bundle, originOf(pinned));
  const chain = new SignerChain(genesis.signers);
  for (const item of arrayOf(bundle, "signers", Infinity)) {
    chain.append(provenItem(item, checkpoint));
  }
  const { history } = chain;
  if (!history.current.checkpointKeys.some((key) => isSignedBy(checkpoint, key))) {
    throw new BundleRefused("checkpoint", "A checkpoint key of the signers must have signed it");
  }
  const heads = headsOf(bundle, checkpoint, history);
  const version = headOf(bundle, heads, id);
  const given = bundle["descriptor"];
  if ((version === 0) !== (given === undefined)) {
    const fault = version === 0
      ? `proves that there is none, and has a descriptor`
      : `proves that there is one, and has none`;
    throw new BundleRefused("wrong_descriptor", `The bundle must be that of ${id}: it ${fault}`);
  }
  const descriptor = given === undefined ? undefined : descriptorOf(given, checkpoint, chain);
  if (descriptor !== undefined && (descriptor.id !== id || descriptor.entryVersion !== version)) {
    throw new BundleRefused("wrong_descriptor", `The newest ${id} must be entry ${version}`);
  }
  const { size, root, unixS, origin } = checkpoint;
  return {
    checkpoint: { size, root, unixS, origin },
    consistency: consistencyOf(bundle),
    signerSet: history.current.number,
    descriptor,
  };
}

function readBundle(text: string): JsonObject {
  if (text.length > BUNDLE_BYTES_MAX) {
    throw new BundleRefused("malformed", `A bundle may have at most ${BUNDLE_BYTES_MAX} bytes`);
  }
  const read = readStrictJson(text, GOVERNED_JSON_DEPTH_MAX + 4);
  if ("fault" in read) throw new BundleRefused("malformed", read.fault);
  return readDocumentOf("bundle", read.value, MEMBERS, OPTIONAL);
}

function checkpointOf(bundle: JsonObject, origin: string): SignedCheckpoint {
  const checkpoint = readCheckpoint(textOf(bundle, "checkpoint", 4_096));
  if (checkpoint === undefined) throw new BundleRefused("malformed", "It must have a checkpoint");
  if (checkpoint.origin === origin) return checkpoint;
  const message = `Checkpoint must be of ${origin}: found ${checkpoint.origin}`;
  throw new BundleRefused("other_genesis", message);
}

function isSignedBy(checkpoint: SignedCheckpoint, key: string): boolean {
  return isCheckpointSignedBy(checkpoint, decodeBase64(key)!);
}

/** An entry that is in the tree, with its payload. */
interface ProvenItem {
  readonly entry: GovernedEntry;
  readonly read: ReadPayload;
}

function provenItem(value: unknown, checkpoint: Checkpoint): ProvenItem {
  const item = exactMembers(value, "An entry with its payload", ["entry", "payload", "proof"]);
  const entry = provenEntry(item, checkpoint);
  const read = canonicalPayload(item["payload"]);
  const { id, kind, version } = read.payload;
  const isOf = entry.contentId === read.contentId && entry.id === id && entry.kind === kind &&
    entry.idVersion === version && entry.payloadSchema === read.schema;
  if (isOf) return { entry, read };
  throw new BundleRefused("proof", `The payload must be that of entry ${entry.version}: it is not`);
}

function provenEntry(item: JsonObject, checkpoint: Checkpoint): GovernedEntry {
  const entry = entryOf(item["entry"]);
  const hash = leafHash(canonicalBytes(item["entry"]));
  const proof = hashesOf(item, "proof");
  if (includes(checkpoint, { index: entry.version - 1, hash, proof })) return entry;
  throw new BundleRefused("proof", `Entry ${entry.version} must be in the tree: it is not proven`);
}

/** The signer sets of a bundle, each with the entry that began it. */
class SignerChain {
  readonly history: SignerHistory;
  /** Global version of the entry that began each set. */
  readonly #begun = [0];
  #previous = NO_PREVIOUS;

  constructor(first: SignerSet) {
    this.history = new SignerHistory(first);
  }

  /** Appends a set under the quorum of the one before and its own. */
  append({ entry, read }: ProvenItem): void {
    const { number } = this.history.current;
    const { id, version, body, prev_hash } = read.payload;
    const isNext = id === SIGNERS_ID && version === number + 1 && prev_hash === this.#previous;
    if (!isNext || entry.signers !== number || entry.version <= this.#begun.at(-1)!) {
      throw new BundleRefused("signatures", `Signer set ${number + 1} must follow: it does not`);
    }
    const proposed = readSignerSet(body, version);
    this.history.check(proposed);
    checkQuorum({ entry, read }, this.history, proposed);
    this.history.append(proposed);
    this.#begun.push(entry.version);
    this.#previous = read.contentId;
  }

  /**
   * Checks that an entry was decided by the set that was in force at its place. Otherwise keys that were
   * revoked since could still decide, under the set that they belonged to.
   */
  checkInForce({ version, signers }: GovernedEntry): void {
    const isInForce = version > (this.#begun[signers] ?? Infinity) &&
      version <= (this.#begun[signers + 1] ?? Infinity);
    if (isInForce) return;
    throw new BundleRefused("signatures", `Signer set ${signers} did not decide entry ${version}`);
  }

  /** Checks that an entry began the newest set. */
  checkNewest({ version }: GovernedEntry): void {
    if (version === this.#begun.at(-1)) return;
    const { number } = this.history.current;
    throw new BundleRefused("signatures", `Signer set ${number} did not begin at entry ${version}`);
  }
}

/** Returns the root of the heads in the newest entry. */
function headsOf(bundle: JsonObject, checkpoint: Checkpoint, history: SignerHistory): Uint8Array {
  const { number } = history.current;
  if (checkpoint.size === 0) {
    if (bundle["newest"] === undefined && number === 0) return NO_HEADS;
    throw new BundleRefused("proof", "An empty tree must have no entries");
  }
  const item = exactMembers(bundle["newest"], "newest", ["entry", "proof"]);
  const entry = provenEntry(item, checkpoint);
  const after = entry.id === SIGNERS_ID ? entry.idVersion : entry.signers;
  if (entry.version !== checkpoint.size || after !== number) {
    throw new BundleRefused("proof", "The newest entry must name the newest signer set");
  }
  return parseSha256(entry.heads)!;
}

function headOf(bundle: JsonObject, heads: Uint8Array, id: string): number {
  const head = exactMembers(bundle["head"], "head", ["siblings"], ["leaf"]);
  const siblings = hashesOf(head, "siblings");
  let leaf;
  if (head["leaf"] !== undefined) {
    const object = exactMembers(head["leaf"], "leaf", ["key", "version"]);
    leaf = { key: hashOf(object["key"]), version: integerOf(object, "version", { min: 1 }) };
  }
  const version = provenHead(heads, id, { siblings, leaf });
  if (version !== undefined) return version;
  throw new BundleRefused("proof", `The head of ${id} must be proven: it is not`);
}

function descriptorOf(
  value: unknown,
  checkpoint: Checkpoint,
  chain: SignerChain,
): VerifiedDescriptor {
  const { entry, read } = provenItem(value, checkpoint);
  chain.checkInForce(entry);
  if (entry.id === SIGNERS_ID) chain.checkNewest(entry);
  // The quorums of a signer set were verified when the chain was read.
  const signers = entry.id === SIGNERS_ID ? [] : checkQuorum({ entry, read }, chain.history);
  return {
    id: entry.id,
    kind: entry.kind,
    version: entry.idVersion,
    contentId: entry.contentId,
    entryVersion: entry.version,
    committedAt: entry.committedAt,
    body: publishedBody(read),
    signers,
  };
}

/** Verifies the approvals of an entry. @returns the ids of their signers. */
function checkQuorum(
  { entry, read }: ProvenItem,
  history: SignerHistory,
  proposed?: SignerSet,
): string[] {
  const fault = quorumFault({ entry, read, history, proposed, isSigned: verifyAgreed });
  if (fault !== undefined) throw new BundleRefused("signatures", fault);
  return entry.approvals.map(({ signerId }) => signerId);
}

function consistencyOf(bundle: JsonObject): VerifiedBundle["consistency"] {
  if (bundle["consistency"] === undefined) return undefined;
  const object = exactMembers(bundle["consistency"], "consistency", ["from", "proof"]);
  return { from: integerOf(object, "from", { min: 1 }), proof: hashesOf(object, "proof") };
}

/** Hashes of a proof at most: two for each level of the largest tree, or a path of the heads. */
const PROOF_HASHES_MAX = 256;

function hashesOf(object: JsonObject, name: string): Uint8Array[] {
  return arrayOf(object, name, PROOF_HASHES_MAX).map(hashOf);
}

function hashOf(value: unknown): Uint8Array {
  const bytes = typeof value === "string" ? decodeBase64(value) : undefined;
  if (bytes?.length === 32) return bytes;
  throw new BundleRefused("malformed", "A hash must be 32 bytes in base64");
}

function canonicalBytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(canonicalJson(value as JsonObject));
}
