/** The trust bundle: signed, canonical, never replaced by an older one. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../../src/base/errors.ts";
import type { PemPair } from "../../../../identity/enrolment/authority.ts";
import {
  createTrustBundle,
  isBundleRefusal,
  type OpenBundle,
  type OpenBundleOptions,
  openTrustBundle,
} from "../../../../identity/trust/trust_bundle.ts";
import type { TrustBundle } from "../../../../identity/trust/trust_bundle_content.ts";
import { validateIdentity } from "../../../../identity/pki/path_validation.ts";
import { isRefusal } from "../../../../identity/pki/certificate_refusal.ts";
import {
  AGENT,
  agentLeaf,
  createTestIntermediate,
  createTestPki,
  createTestRoot,
  DAY_MS,
  MINUTE_MS,
  NOW_MS,
  TRUST_DOMAIN,
} from "../../../support/test_pki.ts";

const pki = await createTestPki();
const { root, intermediate, entropy } = pki;
const validity = { notBeforeMs: NOW_MS - DAY_MS, notAfterMs: NOW_MS + 80 * DAY_MS };
const signer = await root.authority.createBundleSigner({ ...validity, entropy });
const roots = [root.certificate.der];

const BUNDLE: TrustBundle = {
  trustDomain: TRUST_DOMAIN,
  sequence: 5,
  issuedAtMs: NOW_MS,
  expiresAtMs: NOW_MS + 7 * DAY_MS,
  roots,
  intermediates: [intermediate.certificate.der],
  servers: [{
    subject: AGENT.replace("/agent/", "/node/"),
    authorities: ["node-1.example:4433", "[2001:db8::1]:4433"],
    currentPin: new Uint8Array(32).fill(1),
    nextPin: new Uint8Array(32).fill(2),
  }],
};
const text = await createTrustBundle(BUNDLE, signer);

async function open(
  changes: Partial<OpenBundleOptions> = {},
): Promise<OpenBundle> {
  const result = await openTrustBundle({
    text,
    trustDomain: TRUST_DOMAIN,
    roots,
    nowMs: NOW_MS,
    ...changes,
  });
  if (isBundleRefusal(result)) throw new Error(`${result.fault}: ${result.message}`);
  return result;
}

async function faultOf(changes: Partial<OpenBundleOptions> = {}): Promise<string> {
  const options = { text, trustDomain: TRUST_DOMAIN, roots, nowMs: NOW_MS, ...changes };
  const result = await openTrustBundle(options);
  return isBundleRefusal(result) ? result.fault : "";
}

const made = (changes: Partial<TrustBundle>, by: PemPair = signer) =>
  createTrustBundle({ ...BUNDLE, ...changes }, by);

test("openTrustBundle gives what createTrustBundle was given, and a closed store", async () => {
  const { bundle, trust } = await open();
  assert.equal(bundle, BUNDLE);
  assert.not(trust.isOpen);
  const chain = [await intermediate.authority.issueIdentity(agentLeaf(pki))];
  assert.not(isRefusal(await validateIdentity({ chain, trust, nowMs: NOW_MS })));
});

test("createTrustBundle gives one text for one content, and signs nothing that cannot be read", async () => {
  assert.is(await made({}), text);
  const [server] = BUNDLE.servers;
  const refused: Partial<TrustBundle>[] = [
    { trustDomain: "Registry" },
    { sequence: -1 },
    { sequence: 2 ** 53 },
    { expiresAtMs: 0.5 },
    { servers: [{ ...server!, nextPin: new Uint8Array(31) }] },
    { servers: [{ ...server!, subject: AGENT }] },
    { servers: [{ ...server!, authorities: [""] }] },
    { servers: [{ ...server!, authorities: ['"'] }] },
    { servers: new Array(1_025).fill(server) },
    { roots: new Array<Uint8Array>(129).fill(root.certificate.der) },
  ];
  for (const changes of refused) {
    try {
      await made(changes);
      assert.unreachable(JSON.stringify(changes).slice(0, 80));
    } catch (error) {
      assert.ok(error instanceof RegistryError, String(error));
    }
  }
});

test("openTrustBundle takes the canonical text and no other", async () => {
  const value = JSON.parse(text);
  const others = [
    "",
    "null",
    "[]",
    "{}",
    ` ${text}`,
    `${text}\n`,
    JSON.stringify({ ...value, further: 1 }),
    JSON.stringify({ ...value, bundle: { ...value.bundle, further: 1 } }),
    JSON.stringify(value, undefined, 1),
    text.replace('{"bundle"', '{"bundle":1,"bundle"'),
    text.replace('"sequence":5', '"sequence":5.0'),
    text.replace('"sequence":5', '"sequence":1e999'),
    text.replace('"version":1', '"version":2'),
    text.replace("node-1", "\\u006eode-1"),
    "[".repeat(100_000),
  ];
  for (const changed of others) {
    assert.is(await faultOf({ text: changed }), "malformed", changed.slice(0, 60));
  }
  assert.is(await faultOf({ text: " ".repeat(768 * 1024 + 1) }), "too_large");
});

test("openTrustBundle refuses each change of what was signed", async () => {
  const changes: [string, string][] = [
    ['"sequence":5', '"sequence":6'],
    [String(BUNDLE.expiresAtMs), String(BUNDLE.expiresAtMs + 1)],
    ["node-1.example", "node-2.example"],
  ];
  for (const [before, after] of changes) {
    assert.ok(text.includes(before));
    assert.is(await faultOf({ text: text.replace(before, after) }), "signature");
  }
});

test("openTrustBundle believes signers that a known root certified for bundles, itself", async () => {
  const foreign = await createTestRoot(entropy);
  const theirs = await foreign.authority.createBundleSigner({ ...validity, entropy });
  const indirect = await intermediate.authority.createBundleSigner({
    notBeforeMs: NOW_MS - DAY_MS,
    notAfterMs: NOW_MS + 80 * DAY_MS,
    entropy,
  });
  for (const by of [theirs, indirect]) {
    assert.is(await faultOf({ text: await made({}, by) }), "signer");
  }
  assert.is(await faultOf({ roots: [foreign.certificate.der] }), "signer");
  assert.is(await faultOf({ roots: [] }), "signer");
  // A CA of ours signs certificates, but no bundles.
  assert.is(await faultOf({ text: await made({}, intermediate.pair) }), "signer");
  assert.is(await faultOf({ text: await made({}, root.pair) }), "signer");
  const lateMs = NOW_MS + 81 * DAY_MS;
  const late = await made({ issuedAtMs: lateMs, expiresAtMs: lateMs + DAY_MS });
  assert.is(await faultOf({ text: late, nowMs: lateMs }), "signer", "its certificate has expired");
});

test("openTrustBundle refuses another trust domain, and a time outside its own", async () => {
  assert.is(await faultOf({ trustDomain: "other.example" }), "trust_domain");
  const behindMs = BUNDLE.issuedAtMs - 5 * MINUTE_MS;
  assert.is(await faultOf({ nowMs: behindMs }), "", "clocks differ a little");
  assert.is(await faultOf({ nowMs: behindMs - 1 }), "not_yet_valid");
  assert.is(await faultOf({ nowMs: BUNDLE.expiresAtMs - 1 }), "");
  assert.is(await faultOf({ nowMs: BUNDLE.expiresAtMs }), "expired");
});

test("openTrustBundle takes an ended bundle to supersede it, with all other checks", async () => {
  const toSupersede = true;
  const lateMs = NOW_MS + 365 * DAY_MS;
  assert.is(await faultOf({ nowMs: lateMs }), "signer");
  assert.is(await faultOf({ nowMs: lateMs, toSupersede }), "");
  assert.is(await faultOf({ nowMs: BUNDLE.expiresAtMs, toSupersede }), "");
  assert.is(
    await faultOf({ nowMs: BUNDLE.issuedAtMs - DAY_MS, toSupersede }),
    "not_yet_valid",
    "a clock that is behind is told",
  );
  const late = { nowMs: lateMs, toSupersede };
  assert.is(await faultOf({ ...late, trustDomain: "other.example" }), "trust_domain");
  assert.is(await faultOf({ ...late, text: text.replace("node-1.example", "x") }), "signature");
  const foreign = await createTestRoot(entropy);
  assert.is(await faultOf({ ...late, roots: [foreign.certificate.der] }), "signer");
  const known = await open();
  assert.is(await faultOf({ ...late, known, text: await made({ sequence: 4 }) }), "rolled_back");
  const after = { issuedAtMs: lateMs, expiresAtMs: lateMs + DAY_MS };
  assert.is(await faultOf({ ...late, text: await made(after) }), "signer", "issued after its end");
});

test("openTrustBundle never goes back, and never has two contents for one sequence", async () => {
  const known = await open();
  assert.is(await faultOf({ known }), "", "the same once more");
  assert.is(await faultOf({ known, text: await made({ sequence: 6 }) }), "");
  assert.is(await faultOf({ known, text: await made({ sequence: 4 }) }), "rolled_back");
  assert.is(await faultOf({ known, text: await made({ servers: [] }) }), "rolled_back");
});

test("openTrustBundle refuses CAs that cannot be read or that its roots did not sign", async () => {
  const foreign = await createTestRoot(entropy);
  const theirs = await createTestIntermediate(foreign, entropy);
  const bad: Partial<TrustBundle>[] = [
    { roots: [] },
    { roots: [Uint8Array.of(1, 2, 3)] },
    { intermediates: [theirs.certificate.der] },
    { intermediates: [await intermediate.authority.issueIdentity(agentLeaf(pki))] },
  ];
  for (const changes of bad) assert.is(await faultOf({ text: await made(changes) }), "authorities");
});

test("a bundle withdraws an intermediate and brings a new root", async () => {
  const newRoot = await createTestRoot(entropy);
  const newIntermediate = await createTestIntermediate(newRoot, entropy);
  const next = await open({
    known: await open(),
    text: await made({
      sequence: 6,
      roots: [...roots, newRoot.certificate.der],
      intermediates: [newIntermediate.certificate.der],
    }),
  });
  const old = [await intermediate.authority.issueIdentity(agentLeaf(pki))];
  const now = [await newIntermediate.authority.issueIdentity(agentLeaf(pki))];
  const refusal = await validateIdentity({ chain: old, trust: next.trust, nowMs: NOW_MS });
  assert.ok(isRefusal(refusal) && refusal.fault === "unknown_issuer");
  assert.not(isRefusal(await validateIdentity({ chain: now, trust: next.trust, nowMs: NOW_MS })));
});

test.run();
