/** The governed plane with signers of known keys, to which commands are applied one after another. */
import { createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";
import { Buffer } from "node:buffer";
import { encodeBase64 } from "../../src/base/base64.ts";
import type { RegistryError } from "../../src/base/errors.ts";
import { NO_PREVIOUS, signingMessage } from "../../src/governance/documents/content_id.ts";
import { genesisOf, type GovernanceGenesis } from "../../src/governance/documents/genesis.ts";
import type { JsonObject } from "../../src/governance/documents/json_members.ts";
import { canonicalPayload, type ReadPayload } from "../../src/governance/documents/payload.ts";
import {
  encodeAddSignatures,
  encodeApplyProposal,
  encodeGovernInit,
  encodePropose,
} from "../../src/governance/governance_codec.ts";
import { type GovernanceReply, GovernanceStore } from "../../src/governance/governance_store.ts";
import type { GovernedPlane } from "../../src/governance/governed_plane.ts";
import { checkpointText, originOf, signedNote } from "../../src/governance/tree/checkpoint.ts";
import { bundleOf } from "../../src/governance/verification/bundle.ts";
import { canonicalJson } from "../../src/signing/canonical_json.ts";

const PKCS8_PREFIX = "302e020100300506032b657004220420";

/** A key whose seed is one byte repeated. */
export class TestKey {
  readonly publicKey: Uint8Array;
  readonly text: string;
  readonly #key: KeyObject;

  constructor(seedByte: number) {
    const seed = Buffer.alloc(32, seedByte);
    const der = Buffer.concat([Buffer.from(PKCS8_PREFIX, "hex"), seed]);
    this.#key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
    const spki = createPublicKey(this.#key).export({ format: "der", type: "spki" });
    this.publicKey = new Uint8Array(spki.subarray(-32));
    this.text = encodeBase64(this.publicKey);
  }

  sign(message: Uint8Array): Uint8Array {
    return new Uint8Array(sign(null, message, this.#key));
  }
}

/** A signer with a key. */
export interface TestSigner {
  readonly id: string;
  readonly key: TestKey;
}

/** Signers a, b, c, …: each key is made once, as it takes a millisecond. */
export function signer(id: string, keyNumber = id.charCodeAt(0)): TestSigner {
  return { id, key: keyOf(keyNumber) };
}

const KEYS = new Map<number, TestKey>();

function keyOf(number: number): TestKey {
  let key = KEYS.get(number);
  if (key === undefined) KEYS.set(number, key = new TestKey(number));
  return key;
}

/** The key that signs checkpoints. */
export const CHECKPOINT_KEY: TestKey = keyOf(1);

export const [A, B, C, D] = ["a", "b", "c", "d"].map((id) => signer(id)) as [
  TestSigner,
  TestSigner,
  TestSigner,
  TestSigner,
];

/** The body of a signer set. */
export function signersBody(
  signers: readonly TestSigner[],
  threshold: number,
  revoked: readonly TestSigner[] = [],
): JsonObject {
  return {
    signers: signers.map(({ id, key }) => ({ signer_id: id, public_key: key.text })),
    threshold,
    revoked: revoked.map(({ key }) => key.text),
    checkpoint_keys: [CHECKPOINT_KEY.text],
  };
}

/** Returns the genesis of signers. */
export function testGenesis(signers: readonly TestSigner[], threshold: number): GovernanceGenesis {
  return genesisOf({
    threshold,
    signers: new Map(signers.map(({ id, key }) => [id, key.text])),
    checkpointKeys: [CHECKPOINT_KEY.text],
  });
}

/** Signs a payload. */
export function signatureOf({ id, key }: TestSigner, { contentId }: ReadPayload) {
  const signature = key.sign(signingMessage(contentId));
  return { signerId: id, signature, signedAt: "2026-01-01T00:00:00Z" };
}

/** A governed plane: by default two of the signers a, b and c. */
export class GovernanceHarness {
  store = new GovernanceStore();
  readonly genesis: GovernanceGenesis;
  timeMs = 1_000;
  unixS = 1_800_000_000;
  /** The own region, as commands name it. */
  region = "";

  constructor({ signers = [A, B, C], threshold = 2 }: {
    readonly signers?: readonly TestSigner[];
    readonly threshold?: number;
  } = {}) {
    this.genesis = testGenesis(signers, threshold);
    this.apply(encodeGovernInit(this.header, { genesis: this.genesis.bytes, caller: "operator" }));
  }

  get header() {
    return { timeMs: this.timeMs, unixS: this.unixS, writer: 0 };
  }

  get plane(): GovernedPlane {
    return this.store.plane!;
  }

  apply(data: Uint8Array): GovernanceReply {
    return this.store.apply({ index: this.store.appliedIndex + 1, data });
  }

  /** Returns the payload that is next for a descriptor, with changes. */
  next(fields: JsonObject & { readonly id: string }): ReadPayload {
    const head = this.plane.log.headOf(fields.id)?.entry;
    return canonicalPayload({
      schema: "descriptor/1",
      kind: head?.kind ?? "service",
      version: (head?.idVersion ?? 0) + 1,
      prev_hash: head?.contentId ?? NO_PREVIOUS,
      body: { n: (head?.idVersion ?? 0) + 1 },
      ...fields,
    });
  }

  /** Returns the next signer set. */
  nextSigners(body: JsonObject): ReadPayload {
    return this.next({ id: "@signers", kind: "signers", schema: "signers/1", body });
  }

  /** Returns the next freeze, or the end of one. */
  nextFreeze(frozen: boolean): ReadPayload {
    const body = { frozen, reason: "drill" };
    return this.next({ id: "@freeze", kind: "freeze", schema: "freeze/1", body });
  }

  propose(read: ReadPayload, signers: readonly TestSigner[] = [], caller = "proposer") {
    const signatures = signers.map((one) => signatureOf(one, read));
    const { region } = this;
    return this.apply(
      encodePropose(this.header, { payload: read.bytes, signatures, caller, region }),
    );
  }

  sign(proposal: number, signers: readonly TestSigner[], read?: ReadPayload) {
    const payload = read ?? this.plane.proposals.of(proposal)!.read;
    const signatures = signers.map((one) => signatureOf(one, payload));
    return this.apply(encodeAddSignatures(this.header, { proposal, signatures, caller: "x" }));
  }

  applied(proposal: number, caller = "applier"): GovernanceReply {
    return this.apply(encodeApplyProposal(this.header, { proposal, caller, region: this.region }));
  }

  /** Proposes and applies a payload. @returns the code of the last step. */
  decide(
    read: ReadPayload,
    signers: readonly TestSigner[] = [A, B],
  ): RegistryError["code"] | "ok" {
    const proposed = this.propose(read, signers);
    if (proposed.code !== "ok") return proposed.code;
    return this.applied(proposed.proposal!).code;
  }

  /** Returns the checkpoint of the log as it is. */
  note(key: TestKey = CHECKPOINT_KEY, unixS = this.unixS): string {
    const { log } = this.plane;
    const origin = originOf(this.genesis.hash);
    const text = checkpointText({ origin, size: log.version, root: log.tree.root(), unixS });
    const signature = key.sign(new TextEncoder().encode(text));
    return signedNote(text, { name: origin, publicKey: key.publicKey, signature });
  }

  /** Returns the bundle of a descriptor, as a value that a test may change. */
  // deno-lint-ignore no-explicit-any
  bundle(id: string, since = 0): any {
    return structuredClone(bundleOf(this.plane, id, { note: this.note(), since }));
  }

  bundleText(id: string, since = 0): string {
    return canonicalJson(this.bundle(id, since));
  }

  /** Continues from an image of the state; fails if the restored state gives a different image. */
  reload(): void {
    const image = [...this.store.writeImage()].map((chunk) => chunk.slice());
    const loaded = new GovernanceStore();
    loaded.loadImage(image);
    const again = [...loaded.writeImage()];
    if (String(again) !== String(image)) throw new Error("The image of an image differs");
    this.store = loaded;
  }
}
