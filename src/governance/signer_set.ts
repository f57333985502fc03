/**
 * The signers of a registry, the threshold, and the keys of its checkpoints.
 *
 * A set is changed as a descriptor is, under the quorum of the set that it replaces *and* its own. A key
 * belongs to one signer for ever. A key that is no longer listed is retired: its earlier approvals still
 * count. A key that is listed as revoked never counts again, and stays listed.
 */
import { decodeBase64 } from "../base/base64.ts";
import {
  CHECKPOINT_KEYS_MAX,
  REVOKED_KEYS_MAX,
  SIGNER_ID_LENGTH_MAX,
  SIGNERS_MAX,
} from "../base/limits.ts";
import { publicKeyFault } from "../signing/ed25519_verdict.ts";
import {
  arrayOf,
  exactMembers,
  integerOf,
  invalidDocument,
  type JsonObject,
  textOf,
} from "./documents/json_members.ts";

/** A signer set. */
export interface SignerSet {
  /** 0 for that of the genesis, then the version of `@signers`. */
  readonly number: number;
  readonly threshold: number;
  /** Public keys in base64, by the signer's id. */
  readonly signers: ReadonlyMap<string, string>;
  readonly revoked: ReadonlySet<string>;
  /** Public keys in base64, of which any may sign checkpoints. */
  readonly checkpointKeys: readonly string[];
}

const SIGNER_ID = /^[A-Za-z0-9][A-Za-z0-9._:@#/-]*$/;

/** Reports whether a text can be a signer's id. */
export function isSignerId(text: string): boolean {
  return text.length <= SIGNER_ID_LENGTH_MAX && SIGNER_ID.test(text);
}

/** Reads the members of a signer set. @throws RegistryError `invalid_argument`. */
export function readSignerSet(body: JsonObject, number: number): SignerSet {
  exactMembers(body, "A signer set", ["signers", "threshold", "checkpoint_keys"], ["revoked"]);
  const signers = new Map<string, string>();
  const keys = new Set<string>();
  for (const item of arrayOf(body, "signers", SIGNERS_MAX)) {
    const signer = exactMembers(item, "A signer", ["signer_id", "public_key"]);
    const id = textOf(signer, "signer_id", SIGNER_ID_LENGTH_MAX);
    const key = checkedKey(signer["public_key"], "public_key");
    if (!isSignerId(id)) throw invalidDocument(`signer_id must match ${SIGNER_ID}`, "signer_id");
    if (signers.has(id)) throw invalidDocument(`Signer ${id} must be listed once`, "signers");
    if (keys.has(key)) throw invalidDocument(`The key of ${id} must be listed once`, "signers");
    signers.set(id, key);
    keys.add(key);
  }
  const revoked = body["revoked"] === undefined ? [] : arrayOf(body, "revoked", REVOKED_KEYS_MAX);
  return {
    number,
    threshold: integerOf(body, "threshold", { min: 1, max: signers.size }),
    signers,
    revoked: new Set(revoked.map((key) => checkedKey(key, "revoked"))),
    checkpointKeys: checkpointKeysOf(body, keys),
  };
}

function checkpointKeysOf(body: JsonObject, signerKeys: ReadonlySet<string>): string[] {
  const keys = arrayOf(body, "checkpoint_keys", CHECKPOINT_KEYS_MAX).map((key) =>
    checkedKey(key, "checkpoint_keys")
  );
  if (keys.length === 0) throw invalidDocument("There must be a checkpoint key", "checkpoint_keys");
  // A key on a node must never be able to approve.
  const shared = keys.find((key) => signerKeys.has(key));
  if (shared === undefined) return keys;
  throw invalidDocument(`A signer's key must not sign checkpoints: ${shared}`, "checkpoint_keys");
}

/** Returns how many keys {@link readSignerSet} will check at most. */
export function keyCountOf(body: JsonObject): number {
  const lists = [body["signers"], body["revoked"], body["checkpoint_keys"]];
  return lists.reduce<number>((sum, list) => sum + (Array.isArray(list) ? list.length : 0), 0);
}

/** Returns a signer set as the body of a document. */
export function signerSetBody(
  { signers, threshold, revoked, checkpointKeys }: Omit<SignerSet, "number">,
): JsonObject {
  return {
    signers: Array.from(signers, ([signer_id, public_key]) => ({ signer_id, public_key })),
    threshold,
    revoked: [...revoked],
    checkpoint_keys: [...checkpointKeys],
  };
}

/** The signer sets of a registry, in order. */
export class SignerHistory {
  readonly #sets: SignerSet[] = [];
  /** The signer that each key ever belonged to. */
  readonly #owners = new Map<string, string>();

  /** @param first the set of the genesis. */
  constructor(first: SignerSet) {
    this.append(first);
  }

  /** The set that decides now. */
  get current(): SignerSet {
    return this.#sets.at(-1)!;
  }

  /** Returns the set of a number; undefined if there is none. */
  of(number: number): SignerSet | undefined {
    return this.#sets[number];
  }

  /**
   * Checks that `next` may follow the current set.
   *
   * @throws RegistryError `invalid_argument`.
   */
  check(next: SignerSet): void {
    for (const key of this.#sets.at(-1)?.revoked ?? []) {
      if (!next.revoked.has(key)) throw invalidDocument(`Key ${key} must stay revoked`, "revoked");
    }
    for (const [id, key] of next.signers) {
      const owner = this.#owners.get(key) ?? id;
      if (owner !== id) throw invalidDocument(`The key of ${id} belongs to ${owner}`, "signers");
      if (next.revoked.has(key)) throw invalidDocument(`The key of ${id} is revoked`, "signers");
    }
  }

  /** Makes a checked set the current one. */
  append(next: SignerSet): void {
    this.check(next);
    this.#sets.push(next);
    for (const [id, key] of next.signers) this.#owners.set(key, id);
  }
}

function checkedKey(value: unknown, field: string): string {
  const bytes = typeof value === "string" ? decodeBase64(value) : undefined;
  const fault = bytes === undefined ? "no base64" : publicKeyFault(bytes);
  if (fault === undefined) return value as string;
  throw invalidDocument(`${field} must be an Ed25519 public key in base64: found ${fault}`, field);
}
