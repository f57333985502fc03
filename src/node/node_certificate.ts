/**
 * The certificate of this node, its key and its trust, kept in `<data>/identity/node`, so that a node of
 * a cluster can prove itself to the others before its copy of group 0 is recovered.
 */
import { assert } from "../base/assert.ts";
import { RegistryError } from "../base/errors.ts";
import { NODE_RENEWAL_TIMEOUT_MS } from "../base/limits.ts";
import type { World } from "../base/world.ts";
import { askUnauthenticated } from "../client/unauthenticated.ts";
import { renewAtMs } from "../../identity/enrolment/renewal_schedule.ts";
import { proveRenewal } from "../../identity/enrolment/renewal_proof.ts";
import { type FolderTrust, IdentityFolder } from "../../identity/files/identity_folder.ts";
import { type AskRenewal, renewFolder } from "../../identity/files/kept_identity.ts";
import { type ParsedCertificate, readCertificate } from "../../identity/pki/certificate_reader.ts";
import { createCertificateRequest } from "../../identity/pki/certificate_request.ts";
import { isRefusal } from "../../identity/pki/certificate_refusal.ts";
import { parseSpiffeId, type RegionScope } from "../../identity/pki/spiffe.ts";
import { identityFolder } from "../../identity/trust/credentials.ts";
import type { OwnIdentity } from "../../identity/trust/own_identity.ts";
import type { TrustStore } from "../../identity/trust/trust_store.ts";
import { QuicDialer } from "../../transport/quic_dialer.ts";
import type { Endpoint } from "../../transport/transport.ts";
import { bridgingChain } from "../serving/identities/bridging.ts";
import type { IdentityAuthority } from "../serving/identities/identity_authority.ts";

/** A member of the cluster as clients dial it. */
export interface DialedMember {
  readonly endpoint: Endpoint;
  readonly pins: readonly Uint8Array[];
}

/** Returns the folder of the node's identity. */
export function nodeIdentityFolder(data: string): IdentityFolder {
  return new IdentityFolder(`${identityFolder(data)}/node`);
}

/** The certificate of this node. */
export class NodeCertificate {
  readonly folder: IdentityFolder;
  readonly #world: World;
  #own: OwnIdentity | undefined;
  #trust: FolderTrust | undefined;
  #renewAtMs = -Infinity;

  constructor(data: string, world: World) {
    this.folder = nodeIdentityFolder(data);
    this.#world = world;
  }

  /** Whether the folder holds a certificate. */
  get exists(): boolean {
    return this.folder.chain !== undefined;
  }

  /** The identity that handshakes present. Needs {@link load} or {@link keep} before. */
  get own(): OwnIdentity {
    assert(this.#own !== undefined, "A node has a certificate before it meets others");
    return this.#own;
  }

  /** The trust of the newest bundle that is valid now. Needs {@link load} or {@link keep} before. */
  get trust(): TrustStore {
    assert(this.#trust !== undefined, "A node has its trust before it meets others");
    return this.#trust.store;
  }

  /** Trust domain and region. */
  get scope(): RegionScope {
    const { trustDomain, region } = parseSpiffeId(this.folder.subject);
    return { trustDomain, region };
  }

  /** Unix ms at which the certificate ends; 0 if there is none. */
  get notAfterMs(): number {
    return this.exists ? this.#leaf.notAfterMs : 0;
  }

  /** Whether the certificate should be replaced by the next one. */
  get isDue(): boolean {
    return this.#world.wall.unixMs() >= this.#renewAtMs;
  }

  /** Loads what the folder holds. @throws RegistryError `unauthenticated` if the certificate has ended. */
  async load(): Promise<void> {
    const nowMs = this.#world.wall.unixMs();
    this.#own = await this.folder.open(nowMs);
    await this.#loaded();
  }

  /** Keeps a first certificate, or the next one of the same key. @throws as `IdentityFolder.keep`. */
  async keep(chain: readonly Uint8Array[], bundle: string): Promise<void> {
    this.#own = await this.folder.keep(chain, bundle, this.#world.wall.unixMs());
    await this.#loaded();
  }

  /** Keeps a newer trust bundle. @throws as `IdentityFolder.keepBundle`. */
  async keepBundle(text: string): Promise<void> {
    const nowMs = this.#world.wall.unixMs();
    await this.folder.keepBundle(text, nowMs);
    this.#trust = await this.folder.trust(nowMs);
  }

  /** Gets the next certificate from a node that is asked. @throws as that node answers. */
  async renew(ask: AskRenewal): Promise<void> {
    this.#own = await renewFolder(this.folder, { ...this.#world, ask });
    await this.#loaded();
  }

  /**
   * Gets the next certificate, for the same key, over the ports for clients: after the present one has
   * ended.
   *
   * @throws RegistryError the last failure.
   */
  async renewFromMembers(
    members: readonly DialedMember[],
    onError: (stage: string, error: unknown) => void,
  ): Promise<void> {
    const world = this.#world;
    const key = await this.folder.key();
    const request = await createCertificateRequest(key);
    const timeMs = Math.floor(world.wall.unixMs());
    const proof = await proveRenewal({ request, timeMs }, key);
    const order = { chain: [...this.folder.chain ?? []], request, timeMs, proof };
    const dialer = new QuicDialer({ scheduler: world.scheduler, onError });
    let failure: unknown = new RegistryError("connection_lost", "No other member is known");
    try {
      for (const { endpoint, pins } of members) {
        try {
          const { chain, bundle } = await askUnauthenticated("renewIdentity", order, {
            endpoint,
            dialer,
            trust: { kind: "pins", sha256: pins },
            world,
            timeoutMs: NODE_RENEWAL_TIMEOUT_MS,
          });
          return await this.keep(chain, bundle);
        } catch (error) {
          failure = error;
        }
      }
    } finally {
      await dialer.close();
    }
    throw failure;
  }

  /**
   * Replaces a certificate that has ended, or is about to, by one that the authority signs and group 0
   * has no record of: of the same key, lineage and generation. With it the node can reach the others, so
   * that group 0 gets a leader and can record the next one.
   */
  async bridge(authority: IdentityAuthority): Promise<void> {
    const { publicKey, extensions: { registryIdentity } } = this.#leaf;
    assert(registryIdentity !== undefined, "A node's certificate has a lineage");
    const { subject } = this.folder;
    const ended = { subject, publicKey: publicKey.bytes, ...registryIdentity };
    const chain = await bridgingChain(authority, ended, this.#world);
    await this.keep(chain, "");
  }

  get #leaf(): ParsedCertificate {
    const [leaf] = this.folder.chain ?? [];
    const certificate = leaf && readCertificate(leaf);
    if (certificate === undefined || isRefusal(certificate)) {
      throw new RegistryError("corrupt", `The certificate in ${this.folder.path} cannot be read`);
    }
    return certificate;
  }

  async #loaded(): Promise<void> {
    const { wall, entropy } = this.#world;
    this.#trust = await this.folder.trust(wall.unixMs());
    this.#renewAtMs = renewAtMs(this.#leaf, entropy);
  }
}
