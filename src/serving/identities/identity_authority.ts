/**
 * Keys with which a node issues certificates and tokens: those of its region's authority folder
 * that group 0 currently allows to sign. Publishes in advance what peers must know: intermediates
 * in the trust bundle, token keys in the key plan.
 */
import type { SigningKey } from "../../../identity/pki/ed25519.ts";
import { RegistryError } from "../../base/errors.ts";
import type { Entropy, WallClock } from "../../base/world.ts";
import { DOCUMENTS } from "../../../schemas/gen/identity.ts";
import type { IdentityState } from "../../system/identity_state.ts";
import type { RootKey } from "../../../identity/capabilities/root_key.ts";
import type { CertificateAuthority } from "../../../identity/enrolment/authority.ts";
import {
  type Administrator,
  issueByKeyId,
  openAuthorityFolder,
  type RegionAuthority,
} from "../../../identity/files/authority_folder.ts";
import type { RotatedPart } from "../../../identity/enrolment/authority_rotation.ts";
import {
  type BundlePublication,
  bundleSignerCertificate,
  type HeldIntermediate,
  heldIntermediates,
  nextPublication,
  publicationFromBytes,
  publicationToBytes,
} from "../../../identity/trust/bundle_publication.ts";
import {
  type ServerOrder,
  type SignedServer,
  signServer,
} from "../../../identity/trust/server_signing.ts";
import type { DecidedLeaf } from "../../../identity/enrolment/enrolment.ts";
import { intermediateSteps } from "../../../identity/enrolment/intermediate_schedule.ts";
import type { TokenSigningKey } from "../../../identity/tokens/token.ts";
import { planToBytes } from "../../../identity/tokens/token_key_plan.ts";
import { type PlannedKey, signingKeyAt, withKey } from "../../../identity/tokens/token_keys.ts";
import {
  isBundleRefusal,
  type OpenBundle,
  openTrustBundle,
} from "../../../identity/trust/trust_bundle.ts";
import type { TrustedServer } from "../../../identity/trust/trust_bundle_content.ts";
import type { TrustStore } from "../../../identity/trust/trust_store.ts";

/** Document to be published next, and the reason. */
export interface DueDocument {
  readonly bytes: Uint8Array;
  readonly detail: string;
}

/** Authority of a region, in use by a node. */
export class IdentityAuthority {
  readonly #folder: string;
  readonly #wall: WallClock;
  #held: RegionAuthority;
  /** Newest bundle of group 0, even if it has ended. */
  #known: BundlePublication | undefined;
  /** Newest bundle that was valid when it was read. */
  #validated: OpenBundle | undefined;

  private constructor(folder: string, wall: WallClock, held: RegionAuthority) {
    this.#folder = folder;
    this.#wall = wall;
    this.#held = held;
  }

  /** Opens the authority folder. @throws RegistryError `invalid_configuration`. */
  static async open(folder: string, wall: WallClock): Promise<IdentityAuthority> {
    return new IdentityAuthority(folder, wall, await openAuthorityFolder(folder));
  }

  get trustDomain(): string {
    return this.#held.trustDomain;
  }

  get region(): string {
    return this.#held.region;
  }

  /** Intermediates of the region, including those that no longer sign. */
  get held(): readonly CertificateAuthority[] {
    return this.#held.intermediates;
  }

  /** Name of the issuer in tokens. */
  get issuer(): string {
    return `spiffe://${this.#held.trustDomain}`;
  }

  /** Token keys of the folder, the newest last. */
  get tokenKeys(): readonly TokenSigningKey[] {
    return this.#held.tokenKeys;
  }

  /** The keys of checkpoints of the governed plane, the newest last. */
  get checkpointKeys(): readonly SigningKey[] {
    return this.#held.checkpointKeys;
  }

  /** Root keys of capabilities, the newest last. */
  get capabilityKeys(): readonly RootKey[] {
    return this.#held.capabilityKeys;
  }

  get administrators(): readonly Administrator[] {
    return this.#held.administrators;
  }

  /**
   * Reads the folder again, as PEM files of keys may have been added.
   *
   * @throws RegistryError `invalid_configuration`.
   */
  async reload(): Promise<void> {
    this.#held = await openAuthorityFolder(this.#folder);
  }

  /**
   * Adopts the current bundle of group 0; no peer is trusted before. A bundle that has ended, for
   * example after a long downtime, makes no peer trusted; {@link dueBundle} continues from it.
   *
   * @param isFutureAccepted whether a bundle that was issued in the future is treated in the same way:
   * the operator says that the clock was ahead then and is right now.
   * @throws RegistryError `invalid_configuration` if the clock is behind the bundle, `corrupt`.
   */
  async learn(state: IdentityState, isFutureAccepted = false): Promise<void> {
    const document = state.document(DOCUMENTS.trustBundle);
    if (document === undefined) return;
    const publication = publicationFromBytes(document.bytes);
    if (publication.text === this.#known?.text) return;
    const nowMs = this.#wall.unixMs();
    const { trustDomain, roots } = this.#held;
    const options = { text: publication.text, trustDomain, roots, nowMs, known: this.#validated };
    const opened = await openTrustBundle(options);
    if (!isBundleRefusal(opened)) {
      this.#known = publication;
      this.#validated = opened;
      return;
    }
    const { issuedAtMs } = publication.bundle;
    const ended = await openTrustBundle({
      ...options,
      toSupersede: true,
      nowMs: isFutureAccepted ? Math.max(nowMs, issuedAtMs) : nowMs,
    });
    if (isBundleRefusal(ended)) {
      if (ended.fault === "not_yet_valid") {
        throw clockBehind(nowMs, "the trust bundle was issued", issuedAtMs, SET_BACK);
      }
      throw new RegistryError("corrupt", `Group 0's trust bundle is refused: ${ended.message}`);
    }
    this.#known = publication;
  }

  /**
   * Checks that the folder can sign what a node needs now.
   *
   * @throws RegistryError `invalid_configuration`, naming every part that only the root can renew,
   * or the clock if it is behind the certificates.
   */
  checkSigners(): void {
    const nowMs = this.#wall.unixMs();
    const bundleSigner = bundleSignerCertificate(this.#held);
    const intermediates = this.held.map(({ certificate }) => certificate);
    const startMs = Math.max(
      bundleSigner.notBeforeMs,
      Math.min(...intermediates.map(({ notBeforeMs }) => notBeforeMs)),
    );
    if (nowMs < startMs) {
      throw clockBehind(nowMs, "the certificates of the authority folder begin", startMs);
    }
    const ended: { part: RotatedPart; atMs: number }[] = [];
    const lastMs = Math.max(...intermediates.map(({ notAfterMs }) => notAfterMs));
    if (lastMs <= nowMs) ended.push({ part: "intermediate", atMs: lastMs });
    if (bundleSigner.notAfterMs <= nowMs) {
      ended.push({ part: "bundle-signer", atMs: bundleSigner.notAfterMs });
    }
    if (ended.length === 0) return;
    const parts = ended.map(({ part, atMs }) => `the ${part} at ${iso(atMs)}`).join(", ");
    const commands = ended.map(({ part }) => `crs identity rotate ${part}`).join(" and ");
    throw new RegistryError(
      "invalid_configuration",
      `The authority folder can sign nothing new, as certificates in it have expired: ${parts}. ` +
        `Renew them with the root: ${commands}, with --authority ${this.#folder} and --root`,
      { field: "authority" },
    );
  }

  /**
   * Trust store that peers are verified with.
   *
   * @throws RegistryError `unauthenticated` before a bundle is trusted.
   */
  get trust(): TrustStore {
    if (this.#validated !== undefined) return this.#validated.trust;
    throw new RegistryError("unauthenticated", "This node has no valid trust bundle yet");
  }

  /**
   * Returns the trust bundle to be published, if one is due.
   *
   * @param servers the region's nodes.
   */
  async dueBundle(servers: readonly TrustedServer[]): Promise<DueDocument | undefined> {
    const nowMs = this.#wall.unixMs();
    if (nowMs >= bundleSignerCertificate(this.#held).notAfterMs) this.checkSigners();
    const next = await nextPublication({
      authority: this.#held,
      known: this.#known,
      servers,
      nowMs,
    });
    if (next === undefined) return undefined;
    return { bytes: publicationToBytes(next), detail: `sequence ${next.bundle.sequence}` };
  }

  /** Returns the token key plan to be published, if a key of the folder is not in it. */
  duePlan(plan: readonly PlannedKey[]): DueDocument | undefined {
    const newest = this.#held.tokenKeys.at(-1);
    if (newest === undefined || plan.some(({ keyId }) => keyId === newest.keyId)) return undefined;
    const next = withKey(plan, newest.key.verifying.bytes, this.#wall.unixMs());
    return { bytes: planToBytes(next), detail: `key ${newest.keyId}` };
  }

  /**
   * Returns the intermediate that signs at `nowMs`.
   *
   * @throws RegistryError `invalid_configuration`.
   */
  signer(nowMs: number): HeldIntermediate {
    const held = heldIntermediates(this.#held, this.#known, nowMs);
    const { signer } = intermediateSteps(held, nowMs);
    const found = held.find(({ keyId }) => keyId === signer?.keyId);
    if (found !== undefined) return found;
    throw new RegistryError(
      "invalid_configuration",
      "No intermediate may sign now: each has expired, or was published less than an hour ago",
      { field: "authority" },
    );
  }

  /** Returns the parts that the root should sign again: those past half of their lifetime. */
  dueOfRoot(nowMs: number): readonly RotatedPart[] {
    const held = heldIntermediates(this.#held, this.#known, nowMs);
    const { notBeforeMs, notAfterMs } = bundleSignerCertificate(this.#held);
    return [
      ...intermediateSteps(held, nowMs).needsFollower ? ["intermediate" as const] : [],
      ...nowMs >= (notBeforeMs + notAfterMs) / 2 ? ["bundle-signer" as const] : [],
    ];
  }

  /** Issues a leaf certificate. @returns the chain, leaf first. @throws RegistryError */
  async issue(leaf: DecidedLeaf): Promise<readonly Uint8Array[]> {
    return await issueByKeyId(this.#held, leaf);
  }

  /** Whether a bundle is trusted. */
  get hasTrust(): boolean {
    return this.#validated !== undefined;
  }

  /** Signs a TLS certificate. @throws RegistryError `invalid_argument`, `invalid_configuration`. */
  async signServer(order: ServerOrder, entropy: Entropy): Promise<SignedServer> {
    return await signServer(this.signer(this.#wall.unixMs()).authority, order, entropy);
  }

  /** Returns the token key that signs at `nowMs`. @throws RegistryError `invalid_configuration`. */
  tokenSigner(plan: readonly PlannedKey[], nowMs: number): TokenSigningKey {
    const planned = signingKeyAt(plan, nowMs);
    const held = this.#held.tokenKeys.find(({ keyId }) => keyId === planned?.keyId);
    if (held !== undefined) return held;
    throw new RegistryError(
      "invalid_configuration",
      "The token key that signs now is not in this node's authority folder",
      { field: "authority" },
    );
  }
}

/** Advice where the clock may have been wrong before, and not now. */
const SET_BACK = "; or, if the clock was ahead then and is right now, start once with " +
  "--accept-clock-set-back";

function clockBehind(nowMs: number, what: string, atMs: number, advice = ""): RegistryError {
  return new RegistryError(
    "invalid_configuration",
    `The clock of this machine must not be behind: it shows ${iso(nowMs)}, and ${what} at ` +
      `${iso(atMs)}. Set the clock and start again${advice}`,
    { field: "authority" },
  );
}

function iso(unixMs: number): string {
  return new Date(unixMs).toISOString();
}
