/**
 * Makes the certificates of a development identity: a CA that may speak for this machine's loopback
 * names alone (name constraints, RFC 5280 §4.2.1.10), and server certificates that can be pinned by
 * hash: ECDSA P-256, valid for less than 14 days (WebTransport specification, custom certificate
 * requirements).
 *
 * `@peculiar/x509` takes about 100 ms to load, so it is loaded when a certificate must be made:
 * on the first start and at a rotation, never on a normal start.
 */
import type { Extension } from "@peculiar/x509";
import type { Entropy } from "../src/base/world.ts";
import { defined } from "../src/base/assert.ts";
import { toHex } from "../src/base/bytes.ts";
import { DEVELOPMENT_CA_LIFE_MS, SERVER_CERTIFICATE_LIFE_MS } from "../src/base/limits.ts";
import { certificatesOf, type KeyedCertificate, parseKeyedCertificate } from "./certificate.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const NAME_CONSTRAINTS = "2.5.29.30";

/** The start of a validity and where its randomness comes from. */
export interface IssueOptions {
  /** Unix ms, cut to the second that X.509 can express. */
  readonly notBeforeMs: number;
  readonly entropy: Entropy;
}

/** Makes a CA for this machine's loopback names. */
export async function issueAuthority(options: IssueOptions): Promise<KeyedCertificate> {
  const x509 = await loadX509();
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  // A name of its own: two CAs of one name on one machine would be taken for each other.
  const name = `CN=Registry development CA ${randomHex(options.entropy, 4)}`;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(options.entropy),
    name,
    ...validity(options.notBeforeMs, DEVELOPMENT_CA_LIFE_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      new x509.Extension(NAME_CONSTRAINTS, true, loopbackNameConstraints()),
    ],
  });
  return keyed(await privateKeyPem(keys.privateKey), certificate.toString("pem"));
}

/** Makes a server certificate for `localhost`, `127.0.0.1` and `::1`, signed by `authority`. */
export async function issueServer(
  authority: KeyedCertificate,
  options: IssueOptions,
): Promise<KeyedCertificate> {
  const x509 = await loadX509();
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const ca = new x509.X509Certificate(authority.certificatePem);
  const names: Extension = new x509.SubjectAlternativeNameExtension([
    { type: "dns", value: "localhost" },
    { type: "ip", value: "127.0.0.1" },
    { type: "ip", value: "::1" },
  ]);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(options.entropy),
    subject: "CN=localhost",
    issuer: ca.subject,
    ...validity(options.notBeforeMs, SERVER_CERTIFICATE_LIFE_MS),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: await signingKey(authority.keyPem),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([SERVER_AUTH]),
      names,
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(ca.publicKey),
    ],
  });
  return keyed(await privateKeyPem(keys.privateKey), certificate.toString("pem"));
}

/** The file form of a pair: key, then certificate. */
export function keyedPem(pair: Pick<KeyedCertificate, "keyPem" | "certificatePem">): string {
  return pair.keyPem + pair.certificatePem;
}

/** Its dependency container wants the polyfill in place before it loads. */
async function loadX509(): Promise<typeof import("@peculiar/x509")> {
  await import("reflect-metadata");
  return await import("@peculiar/x509");
}

function keyed(keyPem: string, certificatePem: string): KeyedCertificate {
  const [certificate] = certificatesOf(certificatePem + "\n");
  const pair = parseKeyedCertificate(keyPem + defined(certificate, "The library wrote no PEM"));
  if (typeof pair === "string") throw new Error(`A certificate was made wrongly: ${pair}`);
  return pair;
}

function validity(notBeforeMs: number, lifeMs: number): { notBefore: Date; notAfter: Date } {
  const startMs = Math.floor(notBeforeMs / 1_000) * 1_000;
  return { notBefore: new Date(startMs), notAfter: new Date(startMs + lifeMs) };
}

/** 127 random bits, positive and not zero (RFC 5280 §4.1.2.2). */
function serialNumber(entropy: Entropy): string {
  const bytes = new Uint8Array(16);
  entropy.fill(bytes);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return toHex(bytes);
}

function randomHex(entropy: Entropy, count: number): string {
  const bytes = new Uint8Array(count);
  entropy.fill(bytes);
  return toHex(bytes);
}

async function privateKeyPem(key: CryptoKey): Promise<string> {
  const der = new Uint8Array(await crypto.subtle.exportKey("pkcs8", key));
  const lines = btoa(String.fromCharCode(...der)).replace(/.{64}/g, "$&\n").trimEnd();
  return `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`;
}

async function signingKey(pem: string): Promise<CryptoKey> {
  const text = atob(pem.replace(/-----[A-Z ]+-----/g, "").replace(/\s/g, ""));
  const der = Uint8Array.from(text, (character) => character.charCodeAt(0));
  return await crypto.subtle.importKey("pkcs8", der, ALGORITHM, false, ["sign"]);
}

/** `NameConstraints` in DER: permitted are localhost, 127.0.0.1/32 and ::1/128, nothing else. */
function loopbackNameConstraints(): Uint8Array<ArrayBuffer> {
  const element = (tag: number, ...content: number[]) => [tag, content.length, ...content];
  const dnsName = 0x82, ipAddress = 0x87, sequence = 0x30, permitted = 0xa0;
  const loopback6 = [...new Array<number>(15).fill(0), 1];
  const subtrees = [
    ...element(sequence, ...element(dnsName, ...new TextEncoder().encode("localhost"))),
    ...element(sequence, ...element(ipAddress, 127, 0, 0, 1, 255, 255, 255, 255)),
    ...element(sequence, ...element(ipAddress, ...loopback6, ...new Array<number>(16).fill(255))),
  ];
  return new Uint8Array(element(sequence, ...element(permitted, ...subtrees)));
}
