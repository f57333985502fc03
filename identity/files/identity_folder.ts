/**
 * The folder of one identity, kept by a program or a person:
 *
 * | file              | contents                                                    |
 * | ----------------- | ----------------------------------------------------------- |
 * | `identity.json`   | the subject                                                 |
 * | `key.pem`         | the key of the current certificate (mode 0600)              |
 * | `next-key.pem`    | the key for the next certificate (mode 0600)                |
 * | `certificate.pem` | the current certificate and its intermediate                |
 * | `root.pem`        | the roots by which servers are verified                     |
 * | `bundle.json`     | the newest trust bundle                                     |
 *
 * A key is on disk before its certificate is requested, so that after a lost reply the request is
 * repeated with the same key (`enrolment.ts`).
 */
import { RegistryError } from "../../src/base/errors.ts";
import type { Entropy } from "../../src/base/world.ts";
import { keyOfPem } from "./authority_folder.ts";
import { createKey } from "../pki/certificate_key.ts";
import { isRefusal, refusedCertificate } from "../pki/certificate_refusal.ts";
import type { SigningKey } from "../pki/ed25519.ts";
import { openOwnIdentity, type OwnIdentity } from "../trust/own_identity.ts";
import { decodePem, encodePem } from "../pki/pem.ts";
import {
  ensurePrivateFolder,
  moveFile,
  PRIVATE_FILE_MODE,
  PUBLIC_FILE_MODE,
  readFile,
  readKeyFile,
  removeEmptyFolder,
  removeFile,
  replaceFile,
} from "./private_file.ts";
import { parseSpiffeId } from "../pki/spiffe.ts";
import { isBundleRefusal, type OpenBundle, openTrustBundle } from "../trust/trust_bundle.ts";
import type { TrustBundle } from "../trust/trust_bundle_content.ts";
import { TrustStore } from "../trust/trust_store.ts";

/** Files of the folder. */
export const IDENTITY_SETTINGS_FILE = "identity.json";
export const IDENTITY_KEY_FILE = "key.pem";
const NEXT_KEY_FILE = "next-key.pem";
const CERTIFICATE_FILE = "certificate.pem";
const ROOTS_FILE = "root.pem";
const BUNDLE_FILE = "bundle.json";
/** Files that exist before the first certificate. */
const FIRST_FILES = [IDENTITY_SETTINGS_FILE, IDENTITY_KEY_FILE, ROOTS_FILE];

/** Trust anchors of a folder. */
export interface FolderTrust {
  readonly store: TrustStore;
  /** The newest bundle that is valid now. */
  readonly bundle: TrustBundle | undefined;
}

/** The folder of an identity. */
export class IdentityFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /**
   * Creates the folder for an identity without a certificate; it may already exist for the same
   * subject.
   *
   * @returns whether the folder held nothing of an identity before.
   * @throws RegistryError `invalid_argument`.
   */
  create(subject: string): boolean {
    parseSpiffeId(subject);
    const isNew = FIRST_FILES.every((file) => this.#read(file) === undefined);
    const before = this.#read(IDENTITY_SETTINGS_FILE) === undefined ? subject : this.subject;
    if (before !== subject) {
      const rest = this.chain === undefined ? ", which has no certificate yet" : "";
      throw new RegistryError(
        "invalid_argument",
        `${this.path} must be the folder of ${subject}: it is that of ${before}${rest}. Name ` +
          `another folder`,
        { field: "identity" },
      );
    }
    ensurePrivateFolder(this.path);
    this.#write(IDENTITY_SETTINGS_FILE, JSON.stringify({ subject }, undefined, 2) + "\n");
    return isNew;
  }

  /**
   * Removes the files that were created in a new folder before its first certificate, unless that
   * certificate exists.
   */
  discard(): void {
    if (this.chain !== undefined) return;
    for (const file of FIRST_FILES) removeFile(`${this.path}/${file}`);
    removeEmptyFolder(this.path);
  }

  /** Stores the roots by which servers are verified; existing ones stay. */
  keepRoots(pem: string): void {
    if (this.#read(ROOTS_FILE) === undefined) this.#write(ROOTS_FILE, pem);
  }

  /** Whether the folder has roots by which servers are verified. */
  get hasRoots(): boolean {
    return this.#read(ROOTS_FILE) !== undefined;
  }

  /**
   * The roots by which servers are verified. @throws RegistryError `invalid_argument` if there are
   * none.
   */
  get rootsPem(): string {
    return this.#must(ROOTS_FILE);
  }

  /** The SPIFFE id. @throws RegistryError `invalid_argument`. */
  get subject(): string {
    const text = this.#must(IDENTITY_SETTINGS_FILE);
    try {
      const { subject } = JSON.parse(text) as { subject: string };
      parseSpiffeId(subject);
      return subject;
    } catch (error) {
      throw this.#unusable(IDENTITY_SETTINGS_FILE, "it names no SPIFFE id", error);
    }
  }

  /** Returns the key for the first certificate; creates it if there is none. */
  async firstKey(entropy: Entropy): Promise<SigningKey> {
    return await this.#keyOf(IDENTITY_KEY_FILE) ?? await this.#newKey(IDENTITY_KEY_FILE, entropy);
  }

  /** Returns the key for the next certificate; creates it if there is none. */
  async nextKey(entropy: Entropy): Promise<SigningKey> {
    return await this.#keyOf(NEXT_KEY_FILE) ?? await this.#newKey(NEXT_KEY_FILE, entropy);
  }

  /** The stored chain, DER, the leaf first; `undefined`: there is none. */
  get chain(): readonly Uint8Array[] | undefined {
    const text = this.#read(CERTIFICATE_FILE);
    return text === undefined ? undefined : ders(text);
  }

  /** The stored chain and key. @throws RegistryError `invalid_argument` if one is missing. */
  get pem(): { readonly chainPem: string; readonly keyPem: string } {
    const keyPem = readKeyFile(`${this.path}/${IDENTITY_KEY_FILE}`);
    if (keyPem === undefined) throw this.#unusable(IDENTITY_KEY_FILE, "it is missing");
    return { chainPem: this.#must(CERTIFICATE_FILE), keyPem };
  }

  /** Returns the current key. @throws RegistryError `invalid_argument` if there is none. */
  async key(): Promise<SigningKey> {
    const key = await this.#keyOf(IDENTITY_KEY_FILE);
    if (key === undefined) throw this.#unusable(IDENTITY_KEY_FILE, "it is missing");
    return key;
  }

  /**
   * Stores a first certificate, or the next one of the same key.
   *
   * @throws RegistryError `unauthenticated` if the certificate is not trusted.
   */
  async keep(chain: readonly Uint8Array[], bundle: string, nowMs: number): Promise<OwnIdentity> {
    const own = await this.#check(chain, await this.key(), nowMs);
    this.#write(CERTIFICATE_FILE, pemOf(own.chain));
    if (bundle !== "") await this.keepBundle(bundle, nowMs);
    return own;
  }

  /** Stores the certificate of {@link nextKey}, which replaces the current one. */
  async keepNext(
    chain: readonly Uint8Array[],
    bundle: string,
    nowMs: number,
  ): Promise<OwnIdentity> {
    const key = await this.#keyOf(NEXT_KEY_FILE);
    if (key === undefined) throw this.#unusable(NEXT_KEY_FILE, "it is missing");
    const own = await this.#check(chain, key, nowMs);
    // A crash between the two steps leaves a key without its certificate; `open` then tries the
    // next key.
    this.#write(CERTIFICATE_FILE, pemOf(own.chain));
    moveFile(`${this.path}/${NEXT_KEY_FILE}`, `${this.path}/${IDENTITY_KEY_FILE}`);
    if (bundle !== "") await this.keepBundle(bundle, nowMs);
    return own;
  }

  /** Stores a newer bundle; one that is not trusted is refused. */
  async keepBundle(text: string, nowMs: number): Promise<void> {
    const before = this.#read(BUNDLE_FILE);
    const known = before === undefined ? undefined : await this.#openBundle(before, nowMs);
    const opened = await this.#openBundle(
      text,
      nowMs,
      known === undefined || isBundleRefusal(known) ? undefined : known,
    );
    if (isBundleRefusal(opened)) {
      throw new RegistryError("unauthenticated", `The trust bundle is refused: ${opened.message}`);
    }
    this.#write(BUNDLE_FILE, text);
  }

  /** Opens the identity. @throws RegistryError `unauthenticated` if it has expired. */
  async open(nowMs: number): Promise<OwnIdentity> {
    const { chain } = this;
    if (chain === undefined) throw this.#unusable(CERTIFICATE_FILE, "it is missing");
    try {
      return await this.#check(chain, await this.key(), nowMs);
    } catch (error) {
      const isOther = error instanceof RegistryError && error.code === "invalid_argument";
      const next = isOther ? await this.#keyOf(NEXT_KEY_FILE) : undefined;
      if (next === undefined) throw error;
      const own = await this.#check(chain, next, nowMs);
      moveFile(`${this.path}/${NEXT_KEY_FILE}`, `${this.path}/${IDENTITY_KEY_FILE}`);
      return own;
    }
  }

  /** Returns the trust anchors for servers: the bundle if it is valid, otherwise the roots. */
  async trust(nowMs: number): Promise<FolderTrust> {
    const text = this.#read(BUNDLE_FILE);
    const opened = text === undefined ? undefined : await this.#openBundle(text, nowMs);
    if (opened !== undefined && !isBundleRefusal(opened)) {
      return { store: opened.trust, bundle: opened.bundle };
    }
    const store = await TrustStore.open({ trustDomain: this.#trustDomain, roots: this.#roots });
    if (isRefusal(store)) throw refusedCertificate(store);
    return { store, bundle: undefined };
  }

  get #roots(): readonly Uint8Array[] {
    return ders(this.rootsPem);
  }

  get #trustDomain(): string {
    return parseSpiffeId(this.subject).trustDomain;
  }

  #openBundle(text: string, nowMs: number, known?: OpenBundle) {
    const { trustDomain } = parseSpiffeId(this.subject);
    return openTrustBundle({ text, trustDomain, roots: this.#roots, nowMs, known });
  }

  async #check(
    chain: readonly Uint8Array[],
    key: SigningKey,
    nowMs: number,
  ): Promise<OwnIdentity> {
    // Checked by the roots alone: the bundle may be older than the intermediate that signed this
    // certificate.
    const trust = await TrustStore.open({ trustDomain: this.#trustDomain, roots: this.#roots });
    if (isRefusal(trust)) throw refusedCertificate(trust);
    const own = await openOwnIdentity({ chain, key, trust, nowMs });
    if (own.identity.subject !== this.subject) {
      throw new RegistryError(
        "unauthenticated",
        `The certificate must be that of ${this.subject}: it is that of ${own.identity.subject}`,
      );
    }
    return own;
  }

  async #keyOf(file: string): Promise<SigningKey | undefined> {
    const text = readKeyFile(`${this.path}/${file}`);
    if (text === undefined) return undefined;
    const key = await keyOfPem(text);
    if (key === undefined) throw this.#unusable(file, "it holds no Ed25519 key");
    return key;
  }

  async #newKey(file: string, entropy: Entropy): Promise<SigningKey> {
    const { keyPem } = await createKey("Ed25519", entropy);
    replaceFile(`${this.path}/${file}`, keyPem, PRIVATE_FILE_MODE);
    const key = await this.#keyOf(file);
    if (key === undefined) throw this.#unusable(file, "it was removed while it was being created");
    return key;
  }

  #read(file: string): string | undefined {
    return readFile(`${this.path}/${file}`);
  }

  #must(file: string): string {
    const text = this.#read(file);
    if (text === undefined) throw this.#unusable(file, "it is missing");
    return text;
  }

  #write(file: string, text: string): void {
    replaceFile(`${this.path}/${file}`, text, PUBLIC_FILE_MODE);
  }

  #unusable(file: string, reason: string, cause?: unknown): RegistryError {
    return new RegistryError(
      "invalid_argument",
      `Cannot use ${this.path}/${file}: ${reason}; crs identity issue makes such a folder`,
      { field: "identity" },
      cause,
    );
  }
}

function ders(pem: string): Uint8Array[] {
  return decodePem("CERTIFICATE", pem).flatMap((der) => der === undefined ? [] : [der]);
}

function pemOf(chain: readonly Uint8Array[]): string {
  return chain.map((der) => encodePem("CERTIFICATE", der)).join("");
}
