/** Issues certificates for identities in folders, as a node does, from a test authority. */
import { isRefusal } from "../../identity/pki/certificate_refusal.ts";
import { checkCertificateRequest } from "../../identity/pki/certificate_request.ts";
import { IdentityFolder } from "../../identity/files/identity_folder.ts";
import { encodePem } from "../../identity/pki/pem.ts";
import { AGENT, agentLeaf, MINUTE_MS, type TestPki } from "./test_pki.ts";

/** An issuer that numbers generations. */
export class FolderAuthority {
  readonly pki: TestPki;
  /** Count of issued certificates. */
  generation = 0;

  constructor(pki: TestPki) {
    this.pki = pki;
  }

  /** Issues a chain for a key, valid for an hour from `nowMs`. */
  async issue(publicKey: Uint8Array, nowMs: number, subject = AGENT): Promise<Uint8Array[]> {
    const generation = ++this.generation;
    const leaf = agentLeaf(this.pki, {
      serialNumber: Uint8Array.of(0x41, 1, 2, generation),
      subject,
      publicKey,
      notBeforeMs: nowMs - 5 * MINUTE_MS,
      notAfterMs: nowMs + 60 * MINUTE_MS,
      registryIdentity: {
        lineage: 7,
        generation,
        grants: { domains: [], gateways: [] },
      },
    });
    const { authority, certificate } = this.pki.intermediate;
    return [await authority.issueIdentity(leaf), certificate.der];
  }

  /** Answers a certificate request. */
  async answer(request: Uint8Array, nowMs: number) {
    const checked = await checkCertificateRequest(request);
    if (isRefusal(checked)) throw new Error(checked.message);
    return { chain: await this.issue(checked.publicKey, nowMs), bundle: "" };
  }

  /** Creates a folder with a first certificate, issued at `nowMs`. */
  async folder(path: string, nowMs: number): Promise<IdentityFolder> {
    const folder = new IdentityFolder(path);
    folder.create(AGENT);
    folder.keepRoots(encodePem("CERTIFICATE", this.pki.root.certificate.der));
    const key = await folder.firstKey(this.pki.entropy);
    await folder.keep(await this.issue(key.verifying.bytes, nowMs), "", nowMs);
    return folder;
  }
}
