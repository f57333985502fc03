/**
 * The TLS certificates of a node with a real authority: the one that is shown now and the one that comes
 * next, both signed by the region's intermediate and kept on the disk, so that their pins outlive a
 * restart. As with the development identity (`development_identity.ts`), the next one is known, and
 * its pin published, long before it is shown.
 *
 * Clock assumption: the wall clock decides, for clients judge certificates by theirs.
 */
import { assert } from "../../src/base/assert.ts";
import { bytesEqual } from "../../src/base/bytes.ts";
import { CERTIFICATE_BACKDATE_MS, SERVER_CERTIFICATE_LIFE_MS } from "../../src/base/limits.ts";
import type { Entropy, WallClock } from "../../src/base/world.ts";
import type { CertificateAuthority } from "../enrolment/authority.ts";
import {
  isIssuedBy,
  type KeyedCertificate,
  parseKeyedCertificate,
  type ServerCertificate,
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
/** Drafts of the two, until they take their places. */
const RENEWED_FILE = "tls-renewed.pem";
const FOLLOWING_FILE = "tls-following.pem";

/** What the certificates are made from. */
export interface ServerCertificatesOptions {
  /** Made with mode 0700. The caller holds the lock of the data folder. */
  readonly folder: string;
  readonly names: Omit<CertificateNames, "uris">;
  /** The intermediate that signs now; asked each time. */
  readonly signer: () => CertificateAuthority;
  /** All that the node holds: what they signed is kept. */
  readonly authorities: () => readonly CertificateAuthority[];
  readonly wall: WallClock;
  readonly entropy: Entropy;
}

/** Both certificates. One owner calls it, one call at a time. */
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

  /** Loads both, makes what is missing or not to be shown any more. @throws RegistryError */
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
    const step = rotationStep({
      nowMs,
      rotateAtMs: this.#rotateAtMs,
      current: this.#current,
      next: this.#next,
    });
    if (step === "keep") return false;
    // What can fail, a full disk, fails before anything that is shown was touched.
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
 * The certificate of a file; `undefined` where there is none that one of the authorities signed, for
 * the addresses and names by which the node is dialed now.
 */
function load(options: ServerCertificatesOptions, file: string): ServerCertificate | undefined {
  const text = readKeyFile(`${options.folder}/${file}`);
  const parsed = text === undefined ? "it is missing" : parseKeyedCertificate(text);
  if (typeof parsed === "string" || !hasNames(parsed, options)) return undefined;
  const issuer = options.authorities().find(({ certificate }) =>
    isIssuedBy(parsed.certificatePem, encodePem("CERTIFICATE", certificate.der))
  );
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
  const issuer = options.signer();
  const notBeforeMs = Math.max(startMs, issuer.certificate.notBeforeMs);
  const pair = await issuer.createServer({
    commonName: "Registry node",
    names: options.names,
    notBeforeMs,
    notAfterMs: Math.min(notBeforeMs + SERVER_CERTIFICATE_LIFE_MS, issuer.certificate.notAfterMs),
    entropy: options.entropy,
  });
  const text = keyedPem(pair);
  const parsed = parseKeyedCertificate(text);
  assert(typeof parsed !== "string", "A certificate that was made can be read");
  replaceFile(`${options.folder}/${file}`, text, PRIVATE_FILE_MODE);
  return withChain(parsed, issuer);
}

function move({ folder }: ServerCertificatesOptions, from: string, to: string): void {
  moveFile(`${folder}/${from}`, `${folder}/${to}`);
}

function withChain(keyed: KeyedCertificate, { certificate }: CertificateAuthority) {
  const chainPem = keyed.certificatePem + encodePem("CERTIFICATE", certificate.der);
  return { ...keyed, chainPem };
}
