/**
 * Measures the cost of certificates: issuing a leaf, a whole renewal (request checked, decided,
 * leaf issued), parsing a certificate, and verifying a chain. Runs in one process, because only
 * computation is measured.
 */
import { NO_GRANTS } from "../src/base/peer.ts";
import { SeededEntropy } from "../src/base/prng.ts";
import type { Lineage } from "../src/system/enrolment_records.ts";
import { CertificateAuthority, createRoot } from "../identity/enrolment/authority.ts";
import { readCertificate } from "../identity/pki/certificate_reader.ts";
import { type CertificateRefusal, isRefusal } from "../identity/pki/certificate_refusal.ts";
import {
  checkCertificateRequest,
  createCertificateRequest,
} from "../identity/pki/certificate_request.ts";
import { keyIdOf } from "../identity/pki/certificate_writer.ts";
import { signingKeyOfSeed } from "../identity/pki/ed25519.ts";
import {
  decideRenewal,
  DEFAULT_RENEWAL_GRACE,
  leafOf,
  type Signer,
} from "../identity/enrolment/enrolment.ts";
import { validateIdentity } from "../identity/pki/path_validation.ts";
import { TrustStore } from "../identity/trust/trust_store.ts";
import type { ResultFile } from "./harness.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;
const ROUNDS = 9;

/** Returns the microseconds per call: the median of some rounds, after one round to warm up. */
async function usPerCall(calls: number, run: () => unknown): Promise<number> {
  const found: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const startMs = performance.now();
    for (let call = 0; call < calls; call++) await run();
    if (round > 0) found.push((performance.now() - startMs) * 1_000 / calls);
  }
  return Math.round(found.sort((left, right) => left - right)[ROUNDS >> 1]!);
}

function sound<T extends object>(result: T | CertificateRefusal): T {
  if (isRefusal(result)) throw new Error(`Refused: ${result.message}`);
  return result;
}

/** Runs all of these measurements. */
export async function benchAuthority(file: ResultFile): Promise<void> {
  const entropy = new SeededEntropy(1);
  const validity = { notBeforeMs: NOW_MS - DAY_MS, notAfterMs: NOW_MS + 90 * DAY_MS };
  const root = await CertificateAuthority.open(
    await createRoot({ name: "Registry root", ...validity, entropy }),
  );
  const scope = { trustDomain: "registry.example", region: "eu-1" };
  const intermediate = await CertificateAuthority.open(
    await root.createIntermediate({ scope, ...validity, entropy }),
  );
  const key = await signingKeyOfSeed(new Uint8Array(32).fill(1));
  const signer: Signer = {
    ...validity,
    keyId: await keyIdOf(intermediate.certificate.publicKey),
    region: scope.region,
  };
  const subject =
    "spiffe://registry.example/region/eu-1/agent/6f1c2f6e-8a58-5d0c-9f6e-0d8d6c1b7a11";
  const lineage: Lineage = {
    lineage: 7,
    version: 1,
    subject,
    grants: { ...NO_GRANTS, domains: ["bank.example"] },
    latest: {
      generation: 1,
      publicKey: key.verifying.bytes,
      notBeforeMs: NOW_MS,
      notAfterMs: NOW_MS + 3_600_000,
      issuerKeyId: signer.keyId,
    },
    latestUsed: true,
  };
  const leaf = leafOf(lineage, lineage.latest);
  const der = await intermediate.issueIdentity(leaf);
  const issueUs = await usPerCall(500, () => intermediate.issueIdentity(leaf));

  const request = await createCertificateRequest(key);
  const renewalUs = await usPerCall(200, async () => {
    const { publicKey } = sound(await checkCertificateRequest(request));
    const decision = decideRenewal({
      lineage,
      presented: { subject, ...lineage.latest },
      publicKey,
      memberKey: undefined,
      signer,
      grace: DEFAULT_RENEWAL_GRACE,
      nowMs: NOW_MS,
    });
    if (decision.kind !== "issue") throw new Error(`Not issued: ${decision.kind}`);
    await intermediate.issueIdentity(decision.leaf);
  });
  file.write({
    bench: "issue",
    issueUs,
    issuePerSecond: Math.round(1e6 / issueUs),
    renewalUs,
    renewalsPerSecond: Math.round(1e6 / renewalUs),
  });

  const { trustDomain } = scope;
  const roots = [root.certificate.der];
  const intermediates = [intermediate.certificate.der];
  const closed = sound(await TrustStore.open({ trustDomain, roots, intermediates }));
  const open = sound(await TrustStore.open({ trustDomain, roots }));
  const validate = async (chain: readonly Uint8Array[], trust: TrustStore) => {
    sound(await validateIdentity({ chain, trust, nowMs: NOW_MS }));
  };
  const shown = [der, ...intermediates];
  file.write({
    bench: "validate",
    leafBytes: der.length,
    readUs: await usPerCall(2_000, () => sound(readCertificate(der))),
    knownCaUs: await usPerCall(500, () => validate([der], closed)),
    shownCaUs: await usPerCall(500, () => validate(shown, open)),
  });
}
