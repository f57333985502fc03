/** The frozen vectors of docs/vectors: each is decoded, verified, and produced again. */
import { createHash, createPublicKey, verify } from "node:crypto";
import { Buffer } from "node:buffer";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { decodeBase64, encodeBase64 } from "../../src/base/base64.ts";
import { GovernedVerifier } from "../../src/client/governed/governed_verifier.ts";
import { formatSha256, parseSha256 } from "../../src/governance/documents/content_id.ts";
import { entryBytes, entryHash, entryOf } from "../../src/governance/documents/entry.ts";
import { readGenesis } from "../../src/governance/documents/genesis.ts";
import type { JsonObject } from "../../src/governance/documents/json_members.ts";
import { canonicalPayload, readPayload } from "../../src/governance/documents/payload.ts";
import { readSignature } from "../../src/governance/documents/signature.ts";
import { isCheckpointSignedBy, readCheckpoint } from "../../src/governance/tree/checkpoint.ts";
import { provenHead } from "../../src/governance/tree/heads_tree.ts";
import { extendsTree, includes } from "../../src/governance/tree/merkle_proof.ts";
import { leafHash, MerkleTree } from "../../src/governance/tree/merkle_tree.ts";
import { parseTilePath, tileOf } from "../../src/governance/tree/tiles.ts";
import { verifyBundle } from "../../src/governance/verification/verify_bundle.ts";
import {
  encodeApplyProposal,
  encodeGovernInit,
  encodePropose,
} from "../../src/governance/governance_codec.ts";
import { GovernanceStore } from "../../src/governance/governance_store.ts";
import { canonicalJson } from "../../src/signing/canonical_json.ts";
import { TestKey } from "../support/governance.ts";

const FOLDER = new URL("../../docs/vectors/", import.meta.url);

// deno-lint-ignore no-explicit-any
function vectors(name: string): any {
  return JSON.parse(Deno.readTextFileSync(new URL(`${name}.json`, FOLDER)));
}

function canonicalBytes(value: JsonObject): Uint8Array {
  return new TextEncoder().encode(canonicalJson(value));
}

function hashes(texts: readonly string[]): Uint8Array[] {
  return texts.map((text) => decodeBase64(text)!);
}

/** Verifies a signature by the runtime. */
function isSigned(publicKey: string, message: string, signature: string): boolean {
  const prefix = Buffer.from("302a300506032b6570032100", "hex");
  const der = Buffer.concat([prefix, Buffer.from(publicKey, "base64")]);
  const key = createPublicKey({ key: der, format: "der", type: "spki" });
  return verify(null, Buffer.from(message), key, Buffer.from(signature, "base64"));
}

test("keys.json has the keys of its seeds", () => {
  for (const { seed_byte, public_key } of vectors("keys").keys) {
    assert.is(new TestKey(seed_byte).text, public_key);
  }
});

test("payloads.json has canonical forms, content ids and valid signatures of every schema and kind", () => {
  const { payloads } = vectors("payloads");
  const seen = new Set<string>();
  for (const { payload, canonical, payload_b3, signatures } of payloads) {
    const read = readPayload(new TextEncoder().encode(canonical));
    assert.equal(canonicalPayload(payload), read);
    assert.is(read.contentId, payload_b3);
    seen.add(read.schema).add(read.payload.kind);
    for (const { public_key, ...signature } of signatures) {
      readSignature(signature);
      const message = `ron:svc-registry:v1\n${payload_b3}`;
      assert.is(isSigned(public_key, message, signature.sig_bytes), true);
    }
  }
  const kinds = ["node", "policy_pin", "region_map", "service", "signers", "freeze"];
  const schemas = ["deprecation/1", "descriptor/1", "freeze/1", "signers/1", "supersession/1"];
  assert.equal([...seen].sort(), [...kinds, ...schemas].sort());
});

test("log.json is what the governed plane makes of payloads.json", () => {
  const { genesis, genesis_hash, entries, roots } = vectors("log");
  assert.is(readGenesis(canonicalBytes(genesis)).hash, genesis_hash);
  const store = new GovernanceStore();
  const apply = (data: Uint8Array) => store.apply({ index: store.appliedIndex + 1, data });
  const header = { timeMs: 1, unixS: 1, writer: 0 };
  apply(encodeGovernInit(header, { genesis: canonicalBytes(genesis), caller: "" }));
  vectors("payloads").payloads.forEach(({ payload, signatures: given }: JsonObject, at: number) => {
    const from = { ...header, unixS: entries[at].committed_at };
    const signatures = (given as JsonObject[]).map(({ public_key: _, ...one }) =>
      readSignature(one)
    );
    const bytes = canonicalBytes(payload as JsonObject);
    const proposed = apply(
      encodePropose(from, { payload: bytes, signatures, caller: "", region: "" }),
    );
    const proposal = proposed.code === "ok" ? proposed.proposal! : 0;
    assert.is(apply(encodeApplyProposal(from, { proposal, caller: "", region: "" })).code, "ok");
    const { log } = store.plane!;
    assert.equal(log.at(at + 1)!.leaf, canonicalBytes(entries[at]));
    assert.is(formatSha256(log.tree.root()), roots[at + 1]);
  });
  assert.equal(store.plane!.log.regionMap, vectors("region-map").region_map);
});

test("log.json has a chain, proofs, heads, tiles and a checkpoint that verify", () => {
  const log = vectors("log");
  const leaves: Uint8Array[] = log.entries.map(canonicalBytes);
  let previous: string = log.genesis_hash;
  for (const [at, value] of log.entries.entries()) {
    const entry = entryOf(value);
    assert.equal(entryBytes(entry, 1), leaves[at]);
    assert.is(entry.previous, previous);
    previous = entryHash(leaves[at]!);
  }
  const empty = createHash("sha256").digest();
  assert.equal(parseSha256(log.roots[0]), new Uint8Array(empty));
  const head = (size: number) => ({ size, root: parseSha256(log.roots[size])! });
  for (const { index, size, proof } of log.inclusion) {
    const hash = leafHash(leaves[index]!);
    assert.is(includes(head(size), { index, hash, proof: hashes(proof) }), true);
  }
  for (const { from, size, proof } of log.consistency) {
    assert.is(extendsTree(head(size), head(from), hashes(proof)), true);
  }
  const heads = parseSha256(log.entries.at(-1).heads)!;
  for (const { id, version, siblings, leaf: given } of log.heads) {
    const leaf = given && { key: decodeBase64(given.key)!, version: given.version };
    assert.is(provenHead(heads, id, { siblings: hashes(siblings), leaf }), version, id);
  }
  const checkpoint = readCheckpoint(log.checkpoint)!;
  const { size, root } = checkpoint;
  assert.equal({ size, root }, head(leaves.length));
  const [key] = log.genesis.checkpoint_keys;
  assert.is(isCheckpointSignedBy(checkpoint, decodeBase64(key)!), true);
  const tree = new MerkleTree();
  for (const leaf of leaves) tree.append(leafHash(leaf));
  for (const { path, bytes } of log.tiles) {
    const tile = tileOf(tree, parseTilePath(path)!, (at) => leaves[at]!)!;
    assert.is(encodeBase64(tile), bytes, path);
  }
});

test("proposals.json has signatures that are accepted, and others that are not", () => {
  const { payload, payload_b3, signatures, refused } = vectors("proposals");
  const { genesis } = vectors("log");
  const store = new GovernanceStore();
  const header = { timeMs: 1, unixS: 1, writer: 0 };
  const apply = (data: Uint8Array) => store.apply({ index: store.appliedIndex + 1, data });
  apply(encodeGovernInit(header, { genesis: canonicalBytes(genesis), caller: "" }));
  const read = canonicalPayload(payload);
  assert.is(read.contentId, payload_b3);
  const outcome = (given: unknown) => {
    try {
      const signature = readSignature(given);
      const command = { payload: read.bytes, signatures: [signature], caller: "", region: "" };
      return apply(encodePropose(header, command)).code;
    } catch {
      return "invalid_argument";
    }
  };
  for (const { why, signature } of refused) assert.is.not(outcome(signature), "ok", why);
  for (const signature of signatures) assert.is(outcome(signature), "ok");
});

test("bundles.json has bundles that verify, and bundles with their faults", () => {
  const { genesis_hash: genesis, now_ms: nowMs, bundles, refused } = vectors("bundles");
  const verifier = new GovernedVerifier({ genesis });
  for (const { id, version, entry, since, bundle } of bundles) {
    const verdict = verifyBundle(JSON.stringify(bundle), { genesis, id });
    assert.ok(verdict.ok, id);
    const { descriptor, consistency } = verdict.verified;
    assert.equal([descriptor?.version ?? 0, descriptor?.entryVersion ?? 0], [version, entry], id);
    assert.is(consistency?.from, since);
    assert.is(verifier.verify(JSON.stringify(bundle), { id, nowMs }).ok, true);
  }
  for (const { why, id, fault, bundle } of refused) {
    const verdict = verifyBundle(JSON.stringify(bundle), { genesis, id });
    assert.is(verdict.ok || verdict.fault, fault, why);
  }
});

test.run();
