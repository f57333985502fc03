/**
 * The attacks that the TUF specification names (§1.5.2), one test each, by somebody who controls all
 * that the client receives; further ones by somebody who has the checkpoint key too.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { encodeBase64 } from "../../../../src/base/base64.ts";
import { BUNDLE_BYTES_MAX, CHECKPOINT_AGE_MS_DEFAULT } from "../../../../src/base/limits.ts";
import {
  GovernedVerifier,
  type VerifiedHistory,
} from "../../../../src/client/governed/governed_verifier.ts";
import { entryBytes, entryOf } from "../../../../src/governance/documents/entry.ts";
import { formatSha256 } from "../../../../src/governance/documents/content_id.ts";
import { canonicalPayload } from "../../../../src/governance/documents/payload.ts";
import {
  checkpointText,
  originOf,
  signedNote,
} from "../../../../src/governance/tree/checkpoint.ts";
import { HeadsTree } from "../../../../src/governance/tree/heads_tree.ts";
import { leafHash, MerkleTree } from "../../../../src/governance/tree/merkle_tree.ts";
import {
  A,
  B,
  C,
  CHECKPOINT_KEY,
  D,
  GovernanceHarness,
  signatureOf,
  signer,
  signersBody,
  TestKey,
} from "../../../support/governance.ts";

const ID = "svc-storage@us-east-1";
const OTHER = "svc-index@us-east-1";

/** A registry, and a client of it. */
class Client {
  readonly harness = new GovernanceHarness();
  verifier = new GovernedVerifier({ genesis: this.harness.genesis.hash });

  constructor(versions = 2) {
    for (let version = 1; version <= versions; version++) {
      this.harness.decide(this.harness.next({ id: ID }));
    }
    this.harness.decide(this.harness.next({ id: OTHER }));
  }

  get nowMs(): number {
    return this.harness.unixS * 1_000 + 500;
  }

  /** The bundle that an honest registry sends. */
  // deno-lint-ignore no-explicit-any
  bundle(id = ID): any {
    return this.harness.bundle(id, this.verifier.size);
  }

  /** Returns `ok` or the fault of what was received. */
  receive(bundle: unknown, { id = ID, nowMs = this.nowMs, verifier = this.verifier } = {}): string {
    const verdict = verifier.verify(JSON.stringify(bundle), { id, nowMs });
    return verdict.ok ? "ok" : verdict.fault;
  }

  /** A client that reads for the first time. */
  get fresh(): GovernedVerifier {
    return new GovernedVerifier({ genesis: this.harness.genesis.hash });
  }
}

test("GovernedVerifier reads the newest version, or that there is none", () => {
  const client = new Client();
  const text = client.harness.bundleText(ID);
  const verdict = client.verifier.verify(text, { id: ID, nowMs: client.nowMs });
  assert.ok(verdict.ok);
  const { descriptor, ageMs } = verdict;
  assert.equal([descriptor?.version, descriptor?.body, ageMs], [2, { n: 2 }, 500]);
  assert.equal(descriptor?.signers, ["a", "b"]);
  const absent = client.bundle("nothing");
  const answer = client.verifier.verify(JSON.stringify(absent), {
    id: "nothing",
    nowMs: client.nowMs,
  });
  assert.equal(answer, { ok: true, descriptor: undefined, ageMs: 500 });
});

test("GovernedVerifier reads from a registry without entries, and follows it from there", () => {
  const harness = new GovernanceHarness();
  const verifier = new GovernedVerifier({ genesis: harness.genesis.hash });
  const nowMs = harness.unixS * 1_000;
  const read = () => verifier.verify(harness.bundleText(ID, verifier.size), { id: ID, nowMs });
  assert.equal(read(), { ok: true, descriptor: undefined, ageMs: 0 });
  harness.decide(harness.next({ id: ID }));
  const verdict = read();
  assert.is(verdict.ok && verdict.descriptor?.version, 1);
});

test("GovernedVerifier follows changes of the signers, deprecations and freezes", () => {
  const client = new Client();
  const { harness } = client;
  assert.is(client.receive(client.bundle()), "ok");
  const a2 = signer("a", 42);
  harness.propose(harness.next({ id: ID }), [A]);
  harness.decide(harness.nextSigners(signersBody([a2, B, C], 2)), [A, a2, B]);
  harness.sign(4, [B]);
  assert.is(harness.applied(4).code, "ok", "with what a retired key had approved");
  assert.is(client.receive(client.bundle()), "ok");
  harness.decide(harness.nextFreeze(true), [C]);
  harness.decide(harness.nextFreeze(false), [a2, C]);
  const deprecation = { id: ID, schema: "deprecation/1", body: { reason: "unused" } };
  harness.decide(harness.next(deprecation), [a2, C]);
  for (const id of [ID, "@freeze", "@signers", OTHER]) {
    assert.is(client.receive(client.bundle(id), { id }), "ok", id);
    assert.is(client.receive(harness.bundle(id), { id, verifier: client.fresh }), "ok", id);
  }
  const text = client.harness.bundleText(ID, client.verifier.size);
  const verdict = client.verifier.verify(text, { id: ID, nowMs: client.nowMs });
  assert.is(verdict.ok && verdict.descriptor?.body, undefined, "deprecated");
});

test("attack: arbitrary content, in place of what the signers signed", () => {
  const client = new Client();
  const bundle = client.bundle();
  bundle.descriptor.payload.body = { n: "evil" };
  assert.is(client.receive(bundle), "proof");
  bundle.descriptor.entry.payload_b3 = canonicalPayload(bundle.descriptor.payload).contentId;
  assert.is(client.receive(bundle), "proof");
});

test("attack: wrong content, another descriptor than the one asked for", () => {
  const client = new Client();
  const own = client.bundle();
  const other = client.bundle(OTHER);
  assert.is(client.receive(other), "proof", "the head is that of another one");
  assert.is(client.receive({ ...own, descriptor: other.descriptor }), "wrong_descriptor");
  const { descriptor: _, ...absent } = own;
  assert.is(client.receive(absent), "wrong_descriptor");
  const nothing = client.bundle("nothing");
  assert.is(
    client.receive({ ...nothing, descriptor: own.descriptor }, { id: "nothing" }),
    "wrong_descriptor",
  );
});

test("attack: endless data", () => {
  const client = new Client();
  const text = `${client.harness.bundleText(ID)}${" ".repeat(BUNDLE_BYTES_MAX)}`;
  const verdict = client.verifier.verify(text, { id: ID, nowMs: client.nowMs });
  assert.is(verdict.ok || verdict.fault, "malformed");
  const deep = "[".repeat(100_000);
  const answer = client.verifier.verify(deep, { id: ID, nowMs: client.nowMs });
  assert.is(answer.ok || answer.fault, "malformed");
  const bundle = client.bundle();
  bundle.descriptor.proof = Array(10_000).fill(bundle.descriptor.proof[0]);
  assert.is(client.receive(bundle), "malformed");
});

test("attack: extraneous dependencies, parts that nobody asked for", () => {
  const client = new Client();
  const bundle = client.bundle();
  assert.is(client.receive({ ...bundle, requires: [bundle.descriptor] }), "malformed");
  assert.is(client.receive({ ...bundle, signers: [bundle.descriptor] }), "signatures");
});

test("attack: rollback, to an earlier state of the registry", () => {
  const client = new Client(1);
  const early = client.bundle();
  client.harness.decide(client.harness.next({ id: ID }));
  assert.is(client.receive(client.bundle()), "ok");
  assert.is(client.receive(early), "rollback");
});

test("attack: freeze, by showing for ever what was true once", () => {
  const client = new Client();
  const bundle = client.bundle();
  const late = client.nowMs + CHECKPOINT_AGE_MS_DEFAULT;
  assert.is(client.receive(bundle, { nowMs: client.nowMs + 60_000 }), "ok");
  assert.is(client.receive(bundle, { nowMs: late }), "freeze");
  const { genesis } = client.harness;
  const patient = new GovernedVerifier({ genesis: genesis.hash, checkpointAgeMsMax: 3_600_000 });
  assert.is(client.receive(bundle, { nowMs: late, verifier: patient }), "ok");
  // A time of the future would be believed for as long.
  assert.is(client.receive(bundle, { nowMs: client.nowMs - 120_000 }), "freeze");
});

test("attack: malicious mirrors that prevent updates, found as a freeze", () => {
  const client = new Client(1);
  const stale = client.bundle();
  assert.is(client.receive(stale), "ok");
  client.harness.decide(client.harness.next({ id: ID }));
  client.harness.unixS += CHECKPOINT_AGE_MS_DEFAULT / 1_000;
  assert.is(client.receive(stale), "freeze");
  assert.is(client.receive(client.bundle()), "ok", "an honest mirror is believed");
});

test("attack: slow retrieval, a bundle that takes longer than its checkpoint is worth", () => {
  const client = new Client();
  const text = client.harness.bundleText(ID);
  // The age counts at the end of the transmission.
  const nowMs = client.nowMs + CHECKPOINT_AGE_MS_DEFAULT + 1;
  const verdict = client.verifier.verify(text, { id: ID, nowMs });
  assert.is(verdict.ok || verdict.fault, "freeze");
});

test("attack: fast-forward, a longer log without the proof that it extends the known one", () => {
  const client = new Client();
  assert.is(client.receive(client.bundle()), "ok");
  client.harness.decide(client.harness.next({ id: ID }));
  const bundle = client.bundle();
  const { consistency, ...bare } = bundle;
  assert.is(client.receive(bare), "fast_forward");
  assert.is(
    client.receive({ ...bundle, consistency: { ...consistency, from: 1 } }),
    "fast_forward",
  );
  const [first, ...rest] = consistency.proof;
  assert.is(client.receive({ ...bundle, consistency: { from: 3, proof: rest } }), "fork");
  const wrong = { from: 3, proof: [...rest, first] };
  assert.is(client.receive({ ...bundle, consistency: wrong }), "fork");
  assert.is(client.receive(bundle), "ok");
});

test("attack: mix-and-match, parts that were never true together", () => {
  const client = new Client(1);
  const early = client.bundle();
  client.harness.decide(client.harness.next({ id: ID }));
  const late = client.bundle();
  // The old version under the new checkpoint, although both are in the log, with true proofs.
  const { log } = client.harness.plane;
  const old = { ...early.descriptor, proof: log.tree.inclusion(0).map(encodeBase64) };
  assert.is(client.receive({ ...late, descriptor: old }), "wrong_descriptor");
  assert.is(client.receive({ ...late, descriptor: old, head: early.head }), "proof");
  assert.is(client.receive({ ...late, newest: early.newest }), "proof");
  assert.is(client.receive({ ...late, checkpoint: early.checkpoint }), "proof");
  assert.is(client.receive(late), "ok");
});

test("attack: fewer signatures than the threshold", () => {
  const client = new Client();
  const { harness } = client;
  const forged = new Forgery(harness);
  const read = harness.next({ id: ID });
  assert.is(client.receive(forged.bundle(read, [A, B])), "ok", "the forger can do it right");
  assert.is(client.receive(forged.bundle(read, [A])), "signatures");
  assert.is(client.receive(forged.bundle(read, [A, A])), "signatures");
  assert.is(client.receive(forged.bundle(read, [A, D])), "signatures");
  const first = harness.plane.log.at(1)!.read;
  assert.is(
    client.receive(forged.bundle(read, [A, B], { signed: first })),
    "signatures",
    "of a version before",
  );
});

test("attack: key compromise, keys that a quorum revoked", () => {
  const client = new Client();
  const { harness } = client;
  const [a2, b2] = [signer("a", 42), signer("b", 43)];
  const revoking = signersBody([a2, b2, C], 2, [A, B]);
  assert.is(harness.decide(harness.nextSigners(revoking), [A, B, a2, b2]), "ok");
  const forged = new Forgery(harness);
  const read = harness.next({ id: ID });
  assert.is(client.receive(forged.bundle(read, [a2, b2])), "ok");
  assert.is(client.receive(forged.bundle(read, [A, B])), "signatures");
  // With the checkpoint key too, an entry may name the set in which the keys counted.
  const lie = { set: 0, isCovered: true };
  const receive = (bundle: unknown) => client.receive(bundle, { verifier: client.fresh });
  assert.is(receive(forged.bundle(read, [A, B], lie)), "signatures");
  assert.is(receive(forged.bundle(read, [a2, b2], { isCovered: true })), "ok");
});

test("attack: a checkpoint key compromise shows no history that contradicts what was seen", () => {
  const client = new Client();
  const { harness } = client;
  assert.is(client.receive(client.bundle()), "ok");
  // Another history of the same length, signed by the quorum of a test registry with the same keys.
  const other = new GovernanceHarness();
  for (const id of [OTHER, ID, ID]) other.decide(other.next({ id }));
  assert.is(client.receive(other.bundle(ID)), "fork");
  other.decide(other.next({ id: ID }));
  assert.is(client.receive(other.bundle(ID, 3)), "fork");
  // The heads may not go back.
  const forged = new Forgery(harness);
  forged.heads = new HeadsTree();
  const read = harness.next({ id: "new" });
  const bundle = forged.bundle(read, [A, B], { id: ID });
  assert.is(client.receive(bundle), "rollback");
});

test("attack: another registry, with another genesis", () => {
  const client = new Client();
  const other = new GovernanceHarness({ signers: [A, B], threshold: 1 });
  other.decide(other.next({ id: ID }));
  assert.is(client.receive(other.bundle(ID)), "other_genesis");
  const bundle = client.bundle();
  assert.is(client.receive({ ...bundle, genesis: other.bundle(ID).genesis }), "other_genesis");
  assert.is(client.receive({ ...bundle, checkpoint: other.note() }), "other_genesis");
});

test("attack: a checkpoint that a key of nobody, or of a signer, signed", () => {
  const client = new Client();
  const { harness } = client;
  for (const key of [new TestKey(77), A.key]) {
    assert.is(client.receive({ ...client.bundle(), checkpoint: harness.note(key) }), "checkpoint");
  }
});

test("attack: a signer set that the old quorum, or the new one, did not sign", () => {
  const client = new Client();
  const { harness } = client;
  const forged = new Forgery(harness);
  const read = harness.nextSigners(signersBody([C, D], 2));
  const receive = (bundle: unknown) =>
    client.receive(bundle, { id: "@signers", verifier: client.fresh });
  assert.is(receive(forged.signersBundle(read, [C, D])), "signatures", "the new set alone");
  assert.is(receive(forged.signersBundle(read, [A, B])), "signatures", "the old set alone");
  assert.is(receive(forged.signersBundle(read, [A, C, D])), "ok");
});

test("attack: a signer set that no quorum signed, as a descriptor and not among the signer sets", () => {
  const client = new Client();
  const { harness } = client;
  const read = harness.nextSigners(signersBody([D], 1));
  const bundle = new Forgery(harness).bundle(read, [D], { isCovered: true });
  const receive = () => client.receive(bundle, { id: "@signers", verifier: client.fresh });
  assert.is(receive(), "signatures");
});

test("attack: a signer set that is held back", () => {
  const client = new Client();
  const { harness } = client;
  harness.decide(harness.nextSigners(signersBody([A, C], 2, [B])), [A, C]);
  harness.decide(harness.next({ id: ID }), [A, C]);
  const bundle = client.bundle();
  assert.is(client.receive({ ...bundle, signers: [] }), "proof");
  assert.is(client.receive(bundle), "ok");
});

test("GovernedVerifier continues from what it saved", () => {
  const client = new Client();
  const early = client.bundle();
  client.harness.decide(client.harness.next({ id: ID }));
  assert.is(client.receive(client.bundle()), "ok");
  const saved: VerifiedHistory = client.verifier.saved!;
  assert.equal(saved.versions, { [ID]: 4 });
  client.verifier = new GovernedVerifier({ genesis: client.harness.genesis.hash, saved });
  assert.is(client.receive(early), "rollback");
  assert.is(client.receive(client.bundle()), "ok");
  assert.is(client.fresh.saved, undefined);
});

test("GovernedVerifier remembers nothing of what it refuses", () => {
  const client = new Client();
  const bundle = client.bundle();
  client.receive({ ...bundle, descriptor: undefined });
  client.receive({ ...bundle, newest: undefined });
  assert.is(client.verifier.size, 0);
});

test("verifyBundle ends with a verdict whichever member is missing or of another type", () => {
  const client = new Client();
  const paths: (readonly string[])[] = [];
  const collect = (value: unknown, path: readonly string[]) => {
    if (typeof value !== "object" || value === null) return;
    for (const [name, member] of Object.entries(value)) {
      // Items of a list are alike.
      if (Array.isArray(value) && name !== "0") continue;
      paths.push([...path, name]);
      collect(member, [...path, name]);
    }
  };
  collect(client.bundle(), []);
  for (const path of paths) {
    for (const junk of [null, "x", [], undefined]) {
      const bundle = client.bundle();
      const place = path.slice(0, -1).reduce((at, name) => at[name], bundle);
      if (JSON.stringify(place[path.at(-1)!]) === JSON.stringify(junk)) continue;
      place[path.at(-1)!] = junk;
      assert.is.not(client.receive(bundle), "ok", `${path.join(".")} = ${JSON.stringify(junk)}`);
    }
  }
});

/** Somebody with the checkpoint key, who appends entries that no registry would. */
class Forgery {
  heads: HeadsTree | undefined;
  readonly #harness: GovernanceHarness;

  constructor(harness: GovernanceHarness) {
    this.#harness = harness;
  }

  /**
   * A bundle after one more entry, whose signatures may be those of another payload, whose signer set
   * may be another one, and which a further entry may cover.
   */
  bundle(
    read: ReturnType<typeof canonicalPayload>,
    signers: readonly typeof A[],
    {
      signed = read,
      set = this.#harness.plane.signers.current.number,
      id = read.payload.id,
      isCovered = false,
    } = {},
  ) {
    const { genesis, plane, unixS } = this.#harness;
    const { log } = plane;
    const heads = this.heads ?? new HeadsTree();
    if (this.heads === undefined) {
      for (const known of log.ids) heads.set(known, log.headOf(known)!.entry.version);
    }
    const version = log.version + 1;
    heads.set(read.payload.id, version);
    const entry = {
      ...log.at(log.version)!.entry,
      version,
      id: read.payload.id,
      kind: read.payload.kind,
      idVersion: read.payload.version,
      payloadSchema: read.schema,
      contentId: read.contentId,
      signers: set,
      heads: formatSha256(heads.root),
      approvals: signers.map((one) => ({
        ...signatureOf(one, signed),
        set: setOf(plane, one, set),
      })),
    };
    const leaf = entryBytes(entry, 1);
    assert.is(entryOf(JSON.parse(new TextDecoder().decode(leaf))).version, version);
    const tree = new MerkleTree();
    for (const { leaf } of log.entries) tree.append(leafHash(leaf));
    tree.append(leafHash(leaf));
    const { number } = plane.signers.current;
    const cover = entryBytes(
      { ...entry, id: "cover", version: version + 1, signers: number },
      1,
    );
    if (isCovered) tree.append(leafHash(cover));
    const origin = originOf(genesis.hash);
    const text = checkpointText({ origin, size: tree.size, root: tree.root(), unixS });
    const signature = CHECKPOINT_KEY.sign(new TextEncoder().encode(text));
    const proof = (index: number) => tree.inclusion(index).map(encodeBase64);
    const proven = { entry: JSON.parse(new TextDecoder().decode(leaf)), proof: proof(version - 1) };
    const payload = JSON.parse(new TextDecoder().decode(read.bytes));
    const { siblings, leaf: head } = heads.prove(id);
    const base = this.#harness.bundle("@signers");
    for (const item of base.signers) item.proof = proof(item.entry.version - 1);
    return {
      ...base,
      checkpoint: signedNote(text, {
        name: origin,
        publicKey: CHECKPOINT_KEY.publicKey,
        signature,
      }),
      consistency: { from: 3, proof: tree.consistency(3).map(encodeBase64) },
      newest: isCovered
        ? { entry: JSON.parse(new TextDecoder().decode(cover)), proof: proof(version) }
        : proven,
      head: {
        siblings: siblings.map(encodeBase64),
        leaf: { key: encodeBase64(head!.key), version: head!.version },
      },
      descriptor: id === read.payload.id ? { ...proven, payload } : undefined,
    };
  }

  signersBundle(read: ReturnType<typeof canonicalPayload>, signers: readonly typeof A[]) {
    const bundle = this.bundle(read, signers);
    return { ...bundle, signers: [bundle.descriptor] };
  }
}

/** Returns the set that has a signer's key: that number, or else the one that a payload would make. */
function setOf(
  plane: GovernanceHarness["plane"],
  { id, key }: typeof A,
  number: number,
): number {
  for (let set = number; set >= 0; set--) {
    if (plane.signers.of(set)?.signers.get(id) === key.text) return set;
  }
  return number + 1;
}

test.run();
