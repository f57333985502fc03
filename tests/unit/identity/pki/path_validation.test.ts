/**
 * Trusted chains: each rule of `path_validation.ts` with a case that meets it and one that breaks
 * it. `node:crypto` gives a second opinion on issuer, signature, CA bit and validity.
 */
import { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { RegistryError } from "../../../../src/base/errors.ts";
import { NO_GRANTS, type ReadLimit } from "../../../../src/base/peer.ts";
import type { CertificateFault } from "../../../../identity/pki/certificate_refusal.ts";
import { isRefusal } from "../../../../identity/pki/certificate_refusal.ts";
import { createKey } from "../../../../identity/pki/certificate_key.ts";
import { KEY_USAGE, OID } from "../../../../identity/pki/certificate_profile.ts";
import {
  type CertificateContents,
  writeCertificate,
} from "../../../../identity/pki/certificate_writer.ts";
import type { ExtensionContents } from "../../../../identity/pki/extension_writer.ts";
import { validateIdentity, validatePath } from "../../../../identity/pki/path_validation.ts";
import { TrustStore } from "../../../../identity/trust/trust_store.ts";
import {
  accepted,
  AGENT,
  AGENT_ID,
  agentLeaf,
  createOddIntermediate,
  createTestIntermediate,
  createTestPki,
  createTestRoot,
  DAY_MS,
  derOf,
  leafContents,
  MINUTE_MS,
  NOW_MS,
  REGION,
  type TestAuthority,
  TRUST_DOMAIN,
  writeWithExtension,
} from "../../../support/test_pki.ts";

const pki = await createTestPki();
const { root, intermediate, closed, open } = pki;
const leafDer = await intermediate.authority.issueIdentity(agentLeaf(pki));
const shown = [leafDer, intermediate.certificate.der];

type Names = NonNullable<ExtensionContents["names"]>;
const uris = (...list: string[]): Names => ({ dns: [], ips: [], uris: list });

/**
 * Returns a leaf that differs from an agent's in the given parts, by default issued by the
 * intermediate.
 */
async function leafWith(
  extensions: ExtensionContents,
  changes: Partial<Omit<CertificateContents, "extensions">> = {},
  issuer: Pick<TestAuthority, "key" | "certificate"> = intermediate,
): Promise<Uint8Array> {
  const contents = leafContents(pki, changes, extensions);
  return await writeCertificate(contents, issuer.key, issuer.certificate);
}

/** Returns the fault of an identity's chain; "" if it is trusted. */
async function faultOf(
  chain: readonly Uint8Array[],
  options: { readonly trust?: TrustStore; readonly nowMs?: number; readonly graceMs?: number } = {},
): Promise<CertificateFault | ""> {
  const result = await validateIdentity({ chain, trust: open, nowMs: NOW_MS, ...options });
  return isRefusal(result) ? result.fault : "";
}

/** Returns the fault of a leaf presented with an intermediate of its own. */
async function faultUnder(
  issuer: TestAuthority,
  leaf?: Uint8Array,
): Promise<CertificateFault | ""> {
  return await faultOf([leaf ?? await leafWith({}, {}, issuer), issuer.certificate.der]);
}

/**
 * Reports whether `node:crypto` accepts a path from the leaf to the root, as far as it can without
 * a store.
 */
function nodeBelieves(path: readonly Uint8Array[], nowMs = NOW_MS): boolean {
  const certificates = path.map((der) => new X509Certificate(Buffer.from(der)));
  return certificates.every((certificate, index) => {
    const issuer = certificates[index + 1] ?? certificate;
    const valid = Date.parse(certificate.validFrom) <= nowMs &&
      nowMs <= Date.parse(certificate.validTo);
    return valid && (index === 0 || certificate.ca) && certificate.checkIssued(issuer) &&
      certificate.verify(issuer.publicKey);
  });
}

test("validateIdentity says who the leaf speaks of", async () => {
  const grants = { domains: ["*.bank.example"], gateways: [AGENT_ID], credentialHashes: true };
  const der = await intermediate.authority.issueIdentity(
    agentLeaf(pki, { registryIdentity: { lineage: 9, generation: 3, grants } }),
  );
  const identity = accepted(
    await validateIdentity({ chain: [der], trust: closed, nowMs: NOW_MS }),
  );
  assert.is(identity.subject, AGENT);
  assert.is(identity.spiffe.role, "agent");
  assert.is(identity.spiffe.region, REGION);
  assert.is(identity.lineage, 9);
  assert.is(identity.generation, 3);
  assert.equal(identity.grants, grants);
  assert.equal(identity.publicKey, pki.leafKey.verifying.bytes);
  assert.is(identity.expiresAtMs, NOW_MS + 60 * MINUTE_MS);
  assert.not(identity.expired);
  const hash = await crypto.subtle.digest("SHA-256", new Uint8Array(der));
  assert.equal(identity.sha256, new Uint8Array(hash));
});

test("validateIdentity reads limits on reads, and issueIdentity writes no others", async () => {
  const full = {
    regions: ["eu-1"],
    labels: [{ key: "k", value: "ü=1" }],
    domains: ["*.a.example"],
  };
  const issue = (reads: readonly ReadLimit[], credentialHashes = false) => {
    const grants = { ...NO_GRANTS, ...(credentialHashes ? { credentialHashes } : {}), reads };
    const registryIdentity = { lineage: 9, generation: 3, grants };
    return intermediate.authority.issueIdentity(agentLeaf(pki, { registryIdentity }));
  };
  const lists = [[full], [full, { ...full, labels: [], regions: [] }]];
  for (const reads of lists) {
    for (const credentialHashes of [false, true]) {
      const chain = [await issue(reads, credentialHashes)];
      const { grants } = accepted(await validateIdentity({ chain, trust: closed, nowMs: NOW_MS }));
      assert.equal([grants.reads, grants.credentialHashes === true], [reads, credentialHashes]);
    }
  }
  const none = { regions: [], labels: [], domains: [] };
  const bad: (readonly ReadLimit[])[] = [
    [],
    [none],
    [{ ...none, regions: ["EU"] }],
    [{ ...none, domains: ["*.A.example"] }],
    [{ ...none, labels: [{ key: "a b", value: "" }] }],
    [{ ...none, labels: [{ key: "a", value: "1" }, { key: "a", value: "2" }] }],
    [{ ...none, regions: Array(9).fill("eu") }],
    Array(5).fill(full),
  ];
  for (const reads of bad) {
    const code = await issue(reads).then(() => "ok", (error: RegistryError) => error.code);
    assert.is(code, "invalid_argument", JSON.stringify(reads));
  }
});

test("validatePath takes a chain with or without what the store has", async () => {
  const whole = [...shown, root.certificate.der];
  for (const chain of [[leafDer], shown, whole]) {
    assert.is(await faultOf(chain, { trust: closed }), "");
  }
  for (const chain of [shown, whole]) assert.is(await faultOf(chain, { trust: open }), "");
  assert.ok(nodeBelieves(whole));
});

test("validatePath refuses a chain that leads to no root of the store", async () => {
  assert.is(await faultOf([leafDer], { trust: open }), "unknown_issuer");
  const other = await createTestRoot(pki.entropy);
  const foreign = await createTestIntermediate(other, pki.entropy);
  const leaf = await foreign.authority.issueIdentity(agentLeaf(pki));
  const chain = [leaf, foreign.certificate.der];
  assert.is(await faultOf(chain), "unknown_issuer");
  // Even with its root included, and although the chain itself is valid.
  assert.is(await faultOf([...chain, other.certificate.der]), "unknown_issuer");
  assert.ok(nodeBelieves([...chain, other.certificate.der]));
});

test("validatePath refuses an intermediate that the bundle does not publish", async () => {
  const withdrawn = await createTestIntermediate(root, pki.entropy);
  const chain = [
    await withdrawn.authority.issueIdentity(agentLeaf(pki)),
    withdrawn.certificate.der,
  ];
  assert.is(await faultOf(chain, { trust: open }), "");
  assert.is(await faultOf(chain, { trust: closed }), "unknown_issuer");
});

test("validatePath refuses junk in a chain at any position", async () => {
  const junk = new Uint8Array(300).fill(0x30);
  const foreign = derOf((await createTestRoot(pki.entropy)).pair);
  for (const der of [junk, new Uint8Array(0), leafDer.subarray(0, 200)]) {
    for (const chain of [[der, ...shown], [leafDer, der], [...shown, der]]) {
      for (const trust of [open, closed]) assert.is(await faultOf(chain, { trust }), "malformed");
    }
  }
  for (const der of [foreign, leafDer, intermediate.certificate.der]) {
    for (const trust of [open, closed]) {
      assert.is(await faultOf([...shown, der], { trust }), "unknown_issuer");
      assert.is(await faultOf([...shown, root.certificate.der, der], { trust }), "unknown_issuer");
    }
  }
  assert.is(await faultOf([leafDer, foreign]), "unknown_issuer");
});

test("validatePath bounds the chain and each certificate", async () => {
  assert.is(await faultOf([]), "path_size");
  assert.is(await faultOf(new Array<Uint8Array>(5).fill(leafDer)), "path_size");
  assert.is(await faultOf([new Uint8Array(12 * 1024 + 1)]), "too_large");
});

test("validatePath checks every signature of the chain", async () => {
  for (const index of [0, 1]) {
    const chain = shown.map((der) => der.slice());
    chain[index]![chain[index]!.length - 1]! ^= 1;
    assert.is(await faultOf(chain), "signature");
    assert.not(nodeBelieves([...chain, root.certificate.der]));
  }
  // A leaf that names the intermediate as its issuer, signed by another key.
  const { key } = await createKey("Ed25519", pki.entropy);
  const forged = await leafWith({}, {}, { key, certificate: intermediate.certificate });
  assert.is(await faultOf([forged, intermediate.certificate.der]), "signature");
  assert.is(await faultOf([forged], { trust: closed }), "signature");
});

test("validatePath judges validity at the time that it is given", async () => {
  const { notBeforeMs, notAfterMs } = agentLeaf(pki);
  assert.is(await faultOf(shown, { nowMs: notBeforeMs - 1 }), "not_yet_valid");
  assert.is(await faultOf(shown, { nowMs: notBeforeMs }), "");
  assert.is(await faultOf(shown, { nowMs: notAfterMs }), "");
  assert.is(await faultOf(shown, { nowMs: notAfterMs + 1 }), "expired");
  const path = [...shown, root.certificate.der];
  for (const nowMs of [notBeforeMs - 1, notBeforeMs, notAfterMs, notAfterMs + 1]) {
    assert.is(nodeBelieves(path, nowMs), (await faultOf(shown, { nowMs })) === "");
  }
});

test("validatePath judges each CA's validity too", async () => {
  const late = await createOddIntermediate(pki, {}, { notBeforeMs: NOW_MS + 1_000 });
  assert.is(await faultUnder(late), "not_yet_valid");
  const rootEndsMs = root.certificate.notAfterMs;
  const early = { notBeforeMs: NOW_MS - DAY_MS, notAfterMs: rootEndsMs + 60 * MINUTE_MS };
  const outliving = await createOddIntermediate(pki, {}, early);
  const times = { notBeforeMs: rootEndsMs - MINUTE_MS, notAfterMs: rootEndsMs + MINUTE_MS };
  const chain = [await leafWith({}, times, outliving), outliving.certificate.der];
  assert.is(await faultOf(chain, { nowMs: rootEndsMs }), "");
  assert.is(await faultOf(chain, { nowMs: rootEndsMs + 1 }), "expired");
});

test("validatePath takes an expired leaf within the grace, marked as such", async () => {
  const { notAfterMs } = agentLeaf(pki);
  const options = { chain: shown, trust: open, graceMs: DAY_MS };
  const identity = accepted(await validateIdentity({ ...options, nowMs: notAfterMs + DAY_MS }));
  assert.ok(identity.expired);
  assert.is(identity.expiresAtMs, notAfterMs);
  assert.is(await faultOf(shown, { graceMs: DAY_MS, nowMs: notAfterMs + DAY_MS + 1 }), "expired");
  assert.not(accepted(await validateIdentity({ ...options, nowMs: notAfterMs })).expired);
  const early = { graceMs: DAY_MS, nowMs: agentLeaf(pki).notBeforeMs - 1 };
  assert.is(await faultOf(shown, early), "not_yet_valid");
});

test("validatePath refuses a leaf that lives longer than its kind or than its CA", async () => {
  const notAfterMs = NOW_MS + 60 * MINUTE_MS + 1_000;
  const long = await leafWith({}, { notAfterMs });
  assert.is(await faultOf([long], { trust: closed }), "lifetime");
  const brief = await createOddIntermediate(pki, {}, { notAfterMs: NOW_MS + 30 * MINUTE_MS });
  assert.is(await faultUnder(brief), "lifetime");
  const within = await leafWith({}, { notAfterMs: NOW_MS + 30 * MINUTE_MS }, brief);
  assert.is(await faultUnder(brief, within), "");
});

test("validatePath refuses a chain through a certificate that is no CA", async () => {
  // The leaf signs another leaf; the library's own chain builder accepts it.
  const { key } = await createKey("Ed25519", pki.entropy);
  const first = await leafWith({}, { publicKey: key.publicKey });
  const certificate = accepted(
    await validateIdentity({ chain: [first], trust: closed, nowMs: NOW_MS }),
  ).certificate;
  const second = await leafWith({}, {}, { key, certificate });
  for (const trust of [open, closed]) {
    const fault = await faultOf([second, first, intermediate.certificate.der], { trust });
    assert.is(fault, trust === open ? "not_a_ca" : "unknown_issuer");
  }
  const path = [second, first, intermediate.certificate.der, root.certificate.der];
  assert.not(nodeBelieves(path));
  const notCa = await createOddIntermediate(pki, { isCa: false, pathLength: undefined });
  assert.is(await faultUnder(notCa), "not_a_ca");
});

test("validatePath refuses a CA in the place of the leaf", async () => {
  assert.is(await faultOf([intermediate.certificate.der]), "leaf_is_ca");
  assert.is(await faultOf([root.certificate.der]), "leaf_is_ca");
  const both = await leafWith({ isCa: true, keyUsage: KEY_USAGE.digitalSignature });
  assert.is(await faultOf([both], { trust: closed }), "leaf_is_ca");
});

test("validatePath keeps path lengths", async () => {
  // The root allows one CA below it, the intermediate none.
  const sub = await createOddIntermediate(pki, {}, {}, intermediate);
  const leaf = await leafWith({}, {}, sub);
  const chain = [leaf, sub.certificate.der, intermediate.certificate.der];
  assert.is(await faultOf(chain), "path_length");
  const wide = await createOddIntermediate(pki, { pathLength: 5 });
  const below = await createOddIntermediate(pki, {}, {}, wide);
  const deep = [await leafWith({}, {}, below), below.certificate.der, wide.certificate.der];
  assert.is(await faultOf(deep), "path_length", "the root's own length counts too");
  assert.is(await faultUnder(await createOddIntermediate(pki, { pathLength: undefined })), "");
});

test("validatePath requires each key's usage to match its use", async () => {
  const usages: [ExtensionContents, CertificateFault][] = [
    [{ keyUsage: undefined }, "key_usage"],
    [{ keyUsage: KEY_USAGE.keyCertSign }, "key_usage"],
    [{ keyUsage: KEY_USAGE.digitalSignature | KEY_USAGE.keyCertSign }, "key_usage"],
    [{ extendedKeyUsage: undefined }, "extended_key_usage"],
    [{ extendedKeyUsage: [OID.serverAuth] }, "extended_key_usage"],
    [{ extendedKeyUsage: [OID.clientAuth, OID.serverAuth] }, "extended_key_usage"],
    [{ extendedKeyUsage: ["2.5.29.37.0"] }, "extended_key_usage"],
  ];
  for (const [extensions, fault] of usages) {
    assert.is(await faultOf([await leafWith(extensions)], { trust: closed }), fault);
  }
  for (const keyUsage of [undefined, KEY_USAGE.digitalSignature, KEY_USAGE.crlSign]) {
    assert.is(await faultUnder(await createOddIntermediate(pki, { keyUsage })), "key_usage");
  }
  const forServers = await createOddIntermediate(pki, { extendedKeyUsage: [OID.serverAuth] });
  assert.is(await faultUnder(forServers), "extended_key_usage");
  const forClients = await createOddIntermediate(pki, { extendedKeyUsage: [OID.clientAuth] });
  assert.is(await faultUnder(forClients), "");
});

test("validatePath tells identities, servers and bundle signers apart", async () => {
  const validity = { notBeforeMs: NOW_MS - MINUTE_MS, notAfterMs: NOW_MS + 60 * MINUTE_MS };
  const names = { dns: ["node-1.example"], ips: [Uint8Array.of(192, 0, 2, 1)] };
  const server = derOf(
    await intermediate.authority.createServer({
      ...validity,
      commonName: "node-1.example",
      names,
      entropy: pki.entropy,
    }),
  );
  const signer = derOf(
    await root.authority.createBundleSigner({ ...validity, entropy: pki.entropy }),
  );
  const leaves = { identity: leafDer, server, bundleSigner: signer };
  for (const profile of ["identity", "server", "bundleSigner"] as const) {
    for (const [name, der] of Object.entries(leaves)) {
      const result = await validatePath({ chain: [der], trust: closed, nowMs: NOW_MS, profile });
      assert.is(isRefusal(result), name !== profile, `${name} as ${profile}`);
    }
  }
});

test("validatePath refuses a critical extension that it does not understand", async () => {
  const { der: issuerDer } = intermediate.certificate;
  const unknown = { oid: "1.2.3.4", value: Uint8Array.of(5, 0) };
  const policies = { oid: "2.5.29.36", value: Uint8Array.of(0x30, 3, 0x80, 1, 0) };
  for (const extension of [unknown, policies]) {
    for (const critical of [true, false]) {
      const extra = { ...extension, critical };
      const leaf = await writeWithExtension(intermediate, leafContents(pki), extra);
      const expected = critical ? "critical_extension" : "";
      assert.is(await faultOf([leaf], { trust: closed }), expected);
      assert.ok(nodeBelieves([leaf, issuerDer, root.certificate.der]), "all else is right with it");
    }
  }
});

test("validatePath keeps the name constraints of every CA above", async () => {
  const permitting = (base: string) =>
    createOddIntermediate(pki, {
      nameConstraints: { permitted: [{ form: "uri", base }], excluded: [] },
    });
  assert.is(await faultUnder(await permitting(TRUST_DOMAIN)), "");
  assert.is(await faultUnder(await permitting("other.example")), "name_constraints");
  const excluding = await createOddIntermediate(pki, {
    nameConstraints: { permitted: [], excluded: [{ form: "uri", base: ".example" }] },
  });
  assert.is(await faultUnder(excluding), "name_constraints");
});

test("validateIdentity wants exactly one SPIFFE id and no other name", async () => {
  const other = AGENT.replace("agent", "controller");
  const cases: (Names | undefined)[] = [
    undefined,
    uris(AGENT, other),
    uris(AGENT, AGENT),
    uris(AGENT, "https://example.com"),
    uris("https://registry.example/region/eu-1/agent/1"),
    uris(AGENT.toUpperCase()),
    uris(AGENT + "/"),
    uris(AGENT.replace("agent", "development")),
    uris(AGENT.replace("agent", "admin")),
    uris(AGENT.replace(AGENT_ID, "00000000-0000-0000-0000-000000000000")),
    uris(`spiffe://${TRUST_DOMAIN}/region/${REGION}`),
    { dns: ["node-1.example"], ips: [], uris: [AGENT] },
    { dns: [], ips: [Uint8Array.of(127, 0, 0, 1)], uris: [AGENT] },
  ];
  for (const names of cases) {
    const fault = await faultOf([await leafWith({ names })], { trust: closed });
    assert.is(fault, "names", JSON.stringify(names));
  }
  const nameless = await leafWith({ registryIdentity: undefined });
  assert.is(await faultOf([nameless], { trust: closed }), "names");
});

test("validateIdentity holds the leaf to its trust domain and to the region of its CA", async () => {
  const foreign = await leafWith({ names: uris(AGENT.replace(TRUST_DOMAIN, "other.example")) });
  assert.is(await faultOf([foreign], { trust: closed }), "trust_domain");
  const elsewhere = await leafWith({ names: uris(AGENT.replace(REGION, "us-2")) });
  assert.is(await faultOf([elsewhere], { trust: closed }), "region");
  const scopes = [undefined, uris(AGENT), uris(`spiffe://other.example/region/${REGION}`)];
  for (const names of scopes) {
    assert.is(await faultUnder(await createOddIntermediate(pki, { names })), "region");
  }
  // A root signs no identity itself, because it belongs to no region.
  const direct = await leafWith({}, {}, root);
  assert.is(await faultOf([direct], { trust: closed }), "region");
});

test("validatePath takes identities with Ed25519 keys alone, and sound ones", async () => {
  const { key } = await createKey("P-256", pki.entropy);
  assert.is(
    await faultOf([await leafWith({}, { publicKey: key.publicKey })], { trust: closed }),
    "algorithm",
  );
  const weak = [
    new Uint8Array(32),
    Uint8Array.of(1, ...new Uint8Array(31)),
    new Uint8Array(32).fill(0xff),
  ];
  for (const bytes of weak) {
    const publicKey = { algorithm: "Ed25519", bytes } as const;
    assert.is(await faultOf([await leafWith({}, { publicKey })], { trust: closed }), "weak_key");
  }
});

test("a CA of the store signs what it signed, and one whose key is no point signs nothing", async () => {
  const other = await leafWith({}, { serialNumber: Uint8Array.of(0x41, 9) }, {
    certificate: intermediate.certificate,
    key: root.key,
  });
  for (let round = 0; round < 3; round++) {
    assert.is(await faultOf([other], { trust: closed }), "signature");
    assert.is(await faultOf([leafDer], { trust: closed }), "");
  }
  // No x on the curve has this y.
  const publicKey = { algorithm: "Ed25519", bytes: new Uint8Array(32).fill(2, 0, 1) } as const;
  const weak = await createOddIntermediate(pki, {}, { publicKey });
  const options = { trustDomain: TRUST_DOMAIN, roots: [root.certificate.der] };
  const trust = accepted(
    await TrustStore.open({ ...options, intermediates: [weak.certificate.der] }),
  );
  assert.is(await faultOf([await leafWith({}, {}, weak)], { trust }), "signature");
});

test("TrustStore opens what a root signed and nothing else", async () => {
  const roots = [root.certificate.der];
  const refused = async (options: Partial<Parameters<typeof TrustStore.open>[0]>) => {
    const result = await TrustStore.open({ trustDomain: TRUST_DOMAIN, roots, ...options });
    return isRefusal(result) ? result.fault : "";
  };
  assert.is(await refused({ intermediates: [intermediate.certificate.der] }), "");
  assert.is(await refused({ roots: [] }), "unknown_issuer");
  assert.is(await refused({ roots: [leafDer] }), "not_a_ca");
  assert.is(await refused({ intermediates: [leafDer] }), "not_a_ca");
  assert.is(await refused({ roots: [new Uint8Array(3)] }), "malformed");
  const other = await createTestRoot(pki.entropy);
  assert.is(
    await refused({
      roots: [other.certificate.der],
      intermediates: [intermediate.certificate.der],
    }),
    "unknown_issuer",
  );
  const forged = intermediate.certificate.der.slice();
  forged[forged.length - 1]! ^= 1;
  assert.is(await refused({ intermediates: [forged] }), "unknown_issuer");
  assert.is(
    await refused({ roots: new Array<Uint8Array>(129).fill(root.certificate.der) }),
    "too_large",
  );
});

test.run();
