/**
 * The TLS certificates of a node with an identity: the current and the next one, both signed by
 * the region's intermediate and stored on disk, so that their pins survive a restart. The keys are made
 * here; whoever holds the intermediate's key signs. As with the
 * development identity (`development_identity.ts`), the next certificate is known, and its pin
 * published, long before it is served.
 *
 * Clock assumption: the wall clock decides, because clients judge certificates by theirs.
 */
import { assert } from "../../src/base/assert.ts";
import { bytesEqual } from "../../src/base/bytes.ts";
import { CERTIFICATE_BACKDATE_MS } from "../../src/base/limits.ts";
import type { Entropy, WallClock } from "../../src/base/world.ts";
import { createKey } from "../pki/certificate_key.ts";
import type { ServerOrder, SignedServer } from "./server_signing.ts";
import {
  isIssuedBy,
  type KeyedCertificate,
  parseKeyedCertificate,
  type ServerCertificate,
  withChain,
} from "../pki/certificate.ts";
import { readCertificate } from "../pki/certificate_reader.ts";
import { isRefusal } from "../pki/certificate_refusal.ts";
import type { RotatingCertificates } from "./certificate_rotation.ts";
import { keyedPem } from "../enrolment/development_authority.ts";
import { nextStartMs, rotationStep } from "../enrolment/development_identity.ts";
import type { CertificateNames } from "../pki/name_constraints.ts";
import { decodePem, encodePem } from "../pki/pem.ts";
import {
  ensurePrivateFolder,
  moveFile,
  PRIVATE_FILE_MODE,
  readKeyFile,
  replaceFile,
} from "../files/private_file.ts";
import { renewAtMs } from "../enrolment/renewal_schedule.ts";

const CURRENT_FILE = "tls.pem";
const NEXT_FILE = "tls-next.pem";
/** Drafts of the two, until they are renamed. */
const RENEWED_FILE = "tls-renewed.pem";
const FOLLOWING_FILE = "tls-following.pem";

/** Options of {@link ServerCertificates}. */
export interface ServerCertificatesOptions {
  /** Created with mode 0700. The caller holds the lock of the data folder. */
  readonly folder: string;
  readonly names: Omit<CertificateNames, "uris">;
  /** Has a certificate signed by an intermediate of the region. */
  readonly sign: (order: ServerOrder) => Promise<SignedServer>;
  /** Returns the region's intermediates, DER; stored certificates of others are replaced. */
  readonly issuers: () => readonly Uint8Array[];
  readonly wall: WallClock;
  readonly entropy: Entropy;
}

/** The current and the next certificate. They have one owner, which makes one call at a time. */
export class ServerCertificates implements RotatingCertificates {
  readonly #options: ServerCertificatesOptions;
  #current: ServerCertificate;
  #next: ServerCertificate;
  #rotateAtMs: number;

  private constructor(
    options: ServerCertificatesOptions,
    current: ServerCertificate,
    next: ServerCertificate,
  ) {
    this.#options = options;
    this.#current = current;
    this.#next = next;
    this.#rotateAtMs = renewAtMs(current, options.entropy);
  }

  /** Loads both certificates and replaces missing or expired ones. @throws RegistryError */
  static async open(options: ServerCertificatesOptions): Promise<ServerCertificates> {
    ensurePrivateFolder(options.folder);
    const nowMs = options.wall.unixMs();
    const stored = load(options, CURRENT_FILE);
    const isShown = stored !== undefined && nowMs < stored.notAfterMs;
    const current = isShown
      ? stored
      : await make(options, CURRENT_FILE, nowMs - CERTIFICATE_BACKDATE_MS);
    const next = load(options, NEXT_FILE) ??
      await make(options, NEXT_FILE, nextStartMs(current, nowMs));
    const certificates = new ServerCertificates(options, current, next);
    await certificates.check();
    return certificates;
  }

  get current(): ServerCertificate {
    return this.#current;
  }

  get next(): ServerCertificate {
    return this.#next;
  }

  get rotateAtMs(): number {
    return this.#rotateAtMs;
  }

  async check(): Promise<boolean> {
    const options = this.#options;
    const nowMs = options.wall.unixMs();
    const step = rotationStep(this, nowMs);
    if (step === "keep") return false;
    // Steps that can fail (on a full disk) come before any change to the served certificate.
    const current = step === "promote"
      ? this.#next
      : await make(options, RENEWED_FILE, nowMs - CERTIFICATE_BACKDATE_MS);
    const next = await make(options, FOLLOWING_FILE, nextStartMs(current, nowMs));
    move(options, step === "promote" ? NEXT_FILE : RENEWED_FILE, CURRENT_FILE);
    move(options, FOLLOWING_FILE, NEXT_FILE);
    this.#current = current;
    this.#next = next;
    this.#rotateAtMs = renewAtMs(current, options.entropy);
    return true;
  }
}

/**
 * Loads the certificate of a file; `undefined` if there is none, or if none of the authorities
 * signed it, or if it lacks a name or address by which the node is dialed now.
 */
function load(options: ServerCertificatesOptions, file: string): ServerCertificate | undefined {
  const text = readKeyFile(`${options.folder}/${file}`);
  const parsed = text === undefined ? "it is missing" : parseKeyedCertificate(text);
  if (typeof parsed === "string" || !hasNames(parsed, options)) return undefined;
  const issuer = options.issuers().map((der) => encodePem("CERTIFICATE", der))
    .find((pem) => isIssuedBy(parsed.certificatePem, pem));
  return issuer === undefined ? undefined : withChain(parsed, issuer);
}

function hasNames(
  { certificatePem }: KeyedCertificate,
  { names }: ServerCertificatesOptions,
): boolean {
  const [der] = decodePem("CERTIFICATE", certificatePem);
  const certificate = der && readCertificate(der);
  if (certificate === undefined || isRefusal(certificate)) return false;
  const { ips = [], dns = [] } = certificate.extensions.names ?? {};
  return names.dns.every((name) => dns.includes(name)) &&
    names.ips.every((address) => ips.some((other) => bytesEqual(address, other)));
}

async function make(
  options: ServerCertificatesOptions,
  file: string,
  startMs: number,
): Promise<ServerCertificate> {
  const { key, keyPem } = await createKey("P-256", options.entropy);
  const { names } = options;
  const { bytes: publicKey } = key.publicKey;
  const signed = await options.sign({ publicKey, names, notBeforeMs: startMs });
  const text = keyedPem({ keyPem, certificatePem: encodePem("CERTIFICATE", signed.certificate) });
  const parsed = parseKeyedCertificate(text);
  assert(typeof parsed !== "string", "An issued certificate must be readable");
  replaceFile(`${options.folder}/${file}`, text, PRIVATE_FILE_MODE);
  return withChain(parsed, encodePem("CERTIFICATE", signed.issuer));
}

function move({ folder }: ServerCertificatesOptions, from: string, to: string): void {
  moveFile(`${folder}/${from}`, `${folder}/${to}`);
}
