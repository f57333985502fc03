/**
 * The identity of a development node: a CA and two server certificates in one private folder,
 * created on the first start, loaded on later ones, and replaced long before they expire.
 *
 * There are two server certificates because clients pin certificates by hash: the one served now
 * (`server.pem`) and the next one (`server-next.pem`) are both known in advance, so ring maps carry
 * both pins. Each file holds a key with its certificate, so a replacement is one rename and a crash
 * leaves no partial file. `ca.pem` is a copy of the CA's certificate for clients to read.
 *
 * Clock assumptions: validity and rotation follow the wall clock, because clients judge
 * certificates by theirs. A clock that jumps beyond all validities leads to new certificates, not
 * to an outage.
 */
import type { Entropy, WallClock } from "../../src/base/world.ts";
import { assert, defined } from "../../src/base/assert.ts";
import { RegistryError } from "../../src/base/errors.ts";
import { CERTIFICATE_BACKDATE_MS, SERVER_CERTIFICATE_LIFE_MS } from "../../src/base/limits.ts";
import {
  isIssuedBy,
  type KeyedCertificate,
  parseKeyedCertificate,
  type ServerCertificate,
  withChain,
} from "../pki/certificate.ts";
import { issueAuthority, issueServer, keyedPem } from "./development_authority.ts";
import {
  ensurePrivateFolder,
  moveFile,
  PRIVATE_FILE_MODE,
  PUBLIC_FILE_MODE,
  readFile,
  readPrivateFile,
  removeFile,
  replaceFile,
} from "../files/private_file.ts";
import { renewAtMs } from "./renewal_schedule.ts";

/** Files of the folder. */
export const CA_FILE = "ca.pem";
const CA_KEY_FILE = "ca-key.pem";
const SERVER_FILE = "server.pem";
const NEXT_FILE = "server-next.pem";

/**
 * The next certificate is valid from this fraction of the current one's life, which is before any
 * rotation.
 */
const NEXT_FRACTION = 0.4;

/** Options of {@link DevelopmentIdentity}. */
export interface DevelopmentIdentityOptions {
  /** `<data>/identity`; created with mode 0700. The caller holds the lock of the data folder. */
  readonly folder: string;
  readonly wall: WallClock;
  readonly entropy: Entropy;
}

/** Action due for the certificates. */
export type RotationStep = "keep" | "promote" | "renew";

/**
 * Decides what to do with the certificates: keep them, serve the next one, or create both anew.
 *
 * @param certificates.rotateAtMs Unix ms at which the current certificate is due for rotation.
 */
export function rotationStep(certificates: {
  readonly rotateAtMs: number;
  readonly current: Pick<KeyedCertificate, "notBeforeMs" | "notAfterMs">;
  readonly next: Pick<KeyedCertificate, "notBeforeMs" | "notAfterMs">;
}, nowMs: number): RotationStep {
  const { rotateAtMs, current, next } = certificates;
  const currentValid = isValid(current, nowMs);
  if (currentValid && nowMs < rotateAtMs) return "keep";
  if (isValid(next, nowMs)) return "promote";
  return currentValid ? "keep" : "renew";
}

/**
 * A development identity on disk and in memory. It has one owner, which makes one call at a time.
 */
export class DevelopmentIdentity {
  readonly #options: DevelopmentIdentityOptions;
  #authority: KeyedCertificate;
  #current: KeyedCertificate;
  #next: KeyedCertificate;
  #rotateAtMs: number;
  #busy = false;

  private constructor(
    options: DevelopmentIdentityOptions,
    authority: KeyedCertificate,
    servers: ServerPair,
  ) {
    this.#options = options;
    this.#authority = authority;
    this.#current = servers.current;
    this.#next = servers.next;
    this.#rotateAtMs = renewAtMs(servers.current, options.entropy);
  }

  /**
   * Loads the identity of a folder, creates missing certificates and replaces expired ones.
   *
   * @throws RegistryError `corrupt` if a file is damaged or does not match the others,
   * `storage_unavailable` if the folder cannot be read or written; both messages name the file and
   * the remedy.
   */
  static async open(options: DevelopmentIdentityOptions): Promise<DevelopmentIdentity> {
    ensurePrivateFolder(options.folder);
    const authority = await openAuthority(options);
    const servers = loadServers(options.folder, authority) ??
      await issueServers(options, authority);
    const identity = new DevelopmentIdentity(options, authority, servers);
    await identity.check();
    return identity;
  }

  /** The CA's certificate, PEM, for clients that verify by CA. */
  get caPem(): string {
    return this.#authority.certificatePem;
  }

  /**
   * The certificate to serve now. Without the CA's the first flight of a handshake fits one packet,
   * where the runtime would otherwise keep a send buffer of 13 KB for the connection.
   */
  get current(): ServerCertificate {
    return withChain(this.#current, "");
  }

  /** The certificate to serve after the next rotation. */
  get next(): ServerCertificate {
    return withChain(this.#next, "");
  }

  /** Unix ms from which {@link check} rotates. */
  get rotateAtMs(): number {
    return this.#rotateAtMs;
  }

  /**
   * Rotates the certificates if due: on disk first, then in memory.
   *
   * @returns whether `current` changed.
   * @throws RegistryError `storage_unavailable`; the current certificate then stays, and a later
   * call retries.
   */
  async check(): Promise<boolean> {
    assert(!this.#busy, "The identity is checked by one caller at a time");
    this.#busy = true;
    try {
      return await this.#rotate();
    } finally {
      this.#busy = false;
    }
  }

  async #rotate(): Promise<boolean> {
    const nowMs = this.#options.wall.unixMs();
    const step = rotationStep(this, nowMs);
    if (step === "keep") return false;
    if (step === "promote" && outlives(this.#authority, nowMs)) await this.#promote(nowMs);
    else await this.#renew(nowMs);
    this.#rotateAtMs = renewAtMs(this.#current, this.#options.entropy);
    return true;
  }

  async #promote(nowMs: number): Promise<void> {
    const { folder, entropy } = this.#options;
    const following = await issueServer(this.#authority, {
      notBeforeMs: nextStartMs(this.#next, nowMs),
      entropy,
    });
    // After a crash between the two steps there is no next certificate; the following start creates
    // it.
    moveFile(`${folder}/${NEXT_FILE}`, `${folder}/${SERVER_FILE}`);
    replaceFile(`${folder}/${NEXT_FILE}`, keyedPem(following), PRIVATE_FILE_MODE);
    this.#current = this.#next;
    this.#next = following;
  }

  async #renew(nowMs: number): Promise<void> {
    if (!outlives(this.#authority, nowMs)) {
      this.#authority = await replaceAuthority(this.#options);
    }
    const servers = await issueServers(this.#options, this.#authority);
    this.#current = servers.current;
    this.#next = servers.next;
  }
}

interface ServerPair {
  readonly current: KeyedCertificate;
  readonly next: KeyedCertificate;
}

/** Returns the CA of the folder, or a new one if there is none or it expires too soon. */
async function openAuthority(options: DevelopmentIdentityOptions): Promise<KeyedCertificate> {
  const { folder, wall } = options;
  const loaded = load(folder, CA_KEY_FILE);
  if (loaded === undefined) {
    for (const file of [SERVER_FILE, NEXT_FILE]) {
      if (readFile(`${folder}/${file}`) !== undefined) {
        throw corrupt(folder, CA_KEY_FILE, `it is missing although ${file} exists`);
      }
    }
  }
  if (loaded !== undefined && !isIssuedBy(loaded.certificatePem, loaded.certificatePem)) {
    throw corrupt(folder, CA_KEY_FILE, "its certificate is not that of a CA");
  }
  if (loaded === undefined || !outlives(loaded, wall.unixMs())) {
    return await replaceAuthority(options);
  }
  const caPath = `${folder}/${CA_FILE}`;
  if (readFile(caPath) !== loaded.certificatePem) {
    replaceFile(caPath, loaded.certificatePem, PUBLIC_FILE_MODE);
  }
  return loaded;
}

/**
 * Creates a new CA. Certificates signed by the old one are removed first, so that a crash leaves no
 * mismatched files.
 */
async function replaceAuthority(options: DevelopmentIdentityOptions): Promise<KeyedCertificate> {
  const { folder, wall, entropy } = options;
  const authority = await issueAuthority({
    notBeforeMs: wall.unixMs() - CERTIFICATE_BACKDATE_MS,
    entropy,
  });
  removeFile(`${folder}/${NEXT_FILE}`);
  removeFile(`${folder}/${SERVER_FILE}`);
  replaceFile(`${folder}/${CA_KEY_FILE}`, keyedPem(authority), PRIVATE_FILE_MODE);
  replaceFile(`${folder}/${CA_FILE}`, authority.certificatePem, PUBLIC_FILE_MODE);
  return authority;
}

/** Loads both server certificates; `undefined` if one is missing, as a crash may leave it. */
function loadServers(folder: string, authority: KeyedCertificate): ServerPair | undefined {
  const [current, next] = [SERVER_FILE, NEXT_FILE].map((file) => {
    const certificate = load(folder, file);
    if (certificate && !isIssuedBy(certificate.certificatePem, authority.certificatePem)) {
      throw corrupt(folder, file, `it is not signed by the CA in ${CA_KEY_FILE}`);
    }
    return certificate;
  });
  return current && next ? { current, next } : undefined;
}

/** Creates and stores both certificates; a valid stored one is kept as the current one. */
async function issueServers(
  options: DevelopmentIdentityOptions,
  authority: KeyedCertificate,
): Promise<ServerPair> {
  const { folder, wall, entropy } = options;
  const nowMs = wall.unixMs();
  const stored = load(folder, SERVER_FILE);
  let current = stored && isValid(stored, nowMs) ? stored : undefined;
  if (current === undefined) {
    current = await issueServer(authority, {
      notBeforeMs: nowMs - CERTIFICATE_BACKDATE_MS,
      entropy,
    });
    replaceFile(`${folder}/${SERVER_FILE}`, keyedPem(current), PRIVATE_FILE_MODE);
  }
  const next = await issueServer(authority, { notBeforeMs: nextStartMs(current, nowMs), entropy });
  replaceFile(`${folder}/${NEXT_FILE}`, keyedPem(next), PRIVATE_FILE_MODE);
  return { current, next };
}

function load(folder: string, file: string): KeyedCertificate | undefined {
  const text = readPrivateFile(`${folder}/${file}`);
  if (text === undefined) return undefined;
  const parsed = parseKeyedCertificate(text);
  if (typeof parsed === "string") throw corrupt(folder, file, parsed);
  return defined(parsed, "A parsed certificate is there");
}

function corrupt(folder: string, file: string, reason: string): RegistryError {
  return new RegistryError(
    "corrupt",
    `Cannot use ${folder}/${file} as ${reason}: restore it, or remove the folder ${folder} to have ` +
      "a new development identity made (clients that pinned the old one need the new pin)",
    { field: `${folder}/${file}` },
  );
}

function isValid(
  certificate: Pick<KeyedCertificate, "notBeforeMs" | "notAfterMs">,
  nowMs: number,
): boolean {
  return certificate.notBeforeMs <= nowMs && nowMs < certificate.notAfterMs;
}

/** Reports whether the CA is valid now and for as long as any certificate that it signs next. */
function outlives(authority: KeyedCertificate, nowMs: number): boolean {
  return authority.notBeforeMs <= nowMs &&
    nowMs + 2 * SERVER_CERTIFICATE_LIFE_MS < authority.notAfterMs;
}

/**
 * Returns the Unix ms from which the next certificate is valid: before the current one is replaced,
 * and never with a part of its life already over, as it would then be due for replacement as soon
 * as it is served.
 */
export function nextStartMs(
  current: Pick<KeyedCertificate, "notBeforeMs" | "notAfterMs">,
  nowMs: number,
): number {
  const lifeMs = current.notAfterMs - current.notBeforeMs;
  return Math.max(current.notBeforeMs + lifeMs * NEXT_FRACTION, nowMs - CERTIFICATE_BACKDATE_MS);
}
