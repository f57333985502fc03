/**
 * Node identities of a development cluster: certificates of one CA that the nodes on this machine
 * share through a private folder, so that sessions between nodes authenticate as in production. The
 * CA is that of production, a root with an intermediate for the region, but its keys are made here:
 * the root's key is discarded, and the intermediate's is in the folder.
 *
 * Whoever can read the folder can be a node. That is the trust of a development cluster, whose
 * clients prove nothing either.
 */
import { RegistryError } from "../../src/base/errors.ts";
import {
  DEVELOPMENT_CA_LIFE_MS,
  IDENTITY_BACKDATE_MS,
  IDENTITY_LIFE_MS,
} from "../../src/base/limits.ts";
import { assert } from "../../src/base/assert.ts";
import { toHex } from "../../src/base/bytes.ts";
import { NO_GRANTS } from "../../src/base/peer.ts";
import type { Entropy, WallClock } from "../../src/base/world.ts";
import { checkpointKeyFile, keyOfPem, readCheckpointKeys } from "../files/authority_folder.ts";
import {
  createFileOnce,
  ensurePrivateFolder,
  PRIVATE_FILE_MODE,
  readPrivateFile,
} from "../files/private_file.ts";
import { isRefusal } from "../pki/certificate_refusal.ts";
import { createKey } from "../pki/certificate_key.ts";
import type { SigningKey } from "../pki/ed25519.ts";
import { decodePem } from "../pki/pem.ts";
import { formatSpiffeId, type SpiffeId } from "../pki/spiffe.ts";
import { openOwnIdentity, type OwnIdentity } from "../trust/own_identity.ts";
import { TrustStore } from "../trust/trust_store.ts";
import { CertificateAuthority, createRoot } from "./authority.ts";
import { renewAtMs } from "./renewal_schedule.ts";

/** The trust domain of development identities. */
export const DEVELOPMENT_TRUST_DOMAIN = "development";
/** Holds the key and certificate of the intermediate, then the certificate of the root. */
const FILE = "node-ca.pem";
/** The CA is backdated further than the leaves that it signs. */
const CA_BACKDATE_MS = 86_400_000;

/** Returns the folder that a development node shares with the other nodes of its cluster. */
export function developmentFolder(
  { data, nodeCa }: { readonly data: string; readonly nodeCa: string },
): string {
  return nodeCa === "" ? `${data}/node-ca` : nodeCa;
}

/**
 * Returns the keys by which the nodes that share a folder sign checkpoints of the governed plane;
 * creates the first one.
 *
 * @throws RegistryError `corrupt`, `storage_unavailable`.
 */
export async function developmentCheckpointKeys(
  folder: string,
  entropy: Entropy,
): Promise<readonly SigningKey[]> {
  ensurePrivateFolder(folder);
  const { keyPem } = await createKey("Ed25519", entropy);
  const path = `${folder}/${checkpointKeyFile(1)}`;
  if (readPrivateFile(path) === undefined) {
    createFileOnce(path, keyPem, PRIVATE_FILE_MODE, tagOf({ entropy }));
  }
  return await readCheckpointKeys(folder);
}

/** Options of {@link DevelopmentNodes.open}. */
export interface DevelopmentNodesOptions {
  /** The folder that all nodes of the cluster on this machine share; created with mode 0700. */
  readonly folder: string;
  readonly region: string;
  readonly wall: WallClock;
  readonly entropy: Entropy;
}

/** The CA of a development cluster's nodes. */
export class DevelopmentNodes {
  readonly trust: TrustStore;
  readonly #options: DevelopmentNodesOptions;
  readonly #authority: CertificateAuthority;

  private constructor(
    options: DevelopmentNodesOptions,
    authority: CertificateAuthority,
    trust: TrustStore,
  ) {
    this.#options = options;
    this.#authority = authority;
    this.trust = trust;
  }

  /**
   * Opens the CA of a folder, or creates it. Nodes that start at the same time get the same one.
   *
   * @throws RegistryError `corrupt` if the file is damaged; `storage_unavailable`.
   */
  static async open(options: DevelopmentNodesOptions): Promise<DevelopmentNodes> {
    ensurePrivateFolder(options.folder);
    const path = `${options.folder}/${FILE}`;
    let text = readPrivateFile(path);
    if (text === undefined) {
      createFileOnce(path, await newAuthority(options), PRIVATE_FILE_MODE, tagOf(options));
      text = readPrivateFile(path);
      assert(text !== undefined, "A file that was created can be read");
    }
    const authority = await openAuthority(path, text);
    const [, root] = decodePem("CERTIFICATE", text);
    const trust = root === undefined ? undefined : await TrustStore.open({
      trustDomain: DEVELOPMENT_TRUST_DOMAIN,
      roots: [root],
      intermediates: [authority.certificate.der],
    });
    if (trust === undefined || isRefusal(trust)) {
      throw corrupt(path, trust?.message ?? "it has no root");
    }
    return new DevelopmentNodes(options, authority, trust);
  }

  /**
   * Returns the identity of a node, with a new key.
   *
   * @param subjectId UUID of the node, 16 bytes.
   * @throws RegistryError `unauthenticated` if the folder's CA is one of another region, or expired.
   */
  async identityOf(node: {
    readonly nodeId: number;
    readonly subjectId: Uint8Array;
  }): Promise<DevelopmentNodeIdentity> {
    const { entropy, region, wall } = this.#options;
    const { keyPem } = await createKey("Ed25519", entropy);
    const key = await keyOfPem(keyPem);
    assert(key !== undefined, "A key that was created can be read");
    const subject: SpiffeId = {
      trustDomain: DEVELOPMENT_TRUST_DOMAIN,
      region,
      role: "node",
      subjectId: node.subjectId,
    };
    const identity = new DevelopmentNodeIdentity({
      issue: (generation) => this.#issue(formatSpiffeId(subject), key, node.nodeId, generation),
      wall,
      entropy,
    });
    await identity.check();
    return identity;
  }

  async #issue(
    subject: string,
    key: SigningKey,
    lineage: number,
    generation: number,
  ): Promise<OwnIdentity> {
    const { wall, entropy } = this.#options;
    const nowMs = wall.unixMs();
    const serialNumber = new Uint8Array(16);
    entropy.fill(serialNumber);
    serialNumber[0] = (serialNumber[0]! & 0x3f) | 0x40;
    const leaf = await this.#authority.issueIdentity({
      serialNumber,
      subject,
      publicKey: key.verifying.bytes,
      notBeforeMs: nowMs - IDENTITY_BACKDATE_MS,
      notAfterMs: nowMs + IDENTITY_LIFE_MS,
      registryIdentity: { lineage, generation, grants: NO_GRANTS },
    });
    const chain = [leaf, this.#authority.certificate.der];
    return await openOwnIdentity({ chain, key, trust: this.trust, nowMs });
  }
}

/** The identity of one node of a development cluster. It has one owner, which makes one call at a time. */
export class DevelopmentNodeIdentity {
  readonly #issue: (generation: number) => Promise<OwnIdentity>;
  readonly #wall: WallClock;
  readonly #entropy: Entropy;
  #own: OwnIdentity | undefined;
  #generation = 0;
  #renewAtMs = -Infinity;

  constructor(options: {
    readonly issue: (generation: number) => Promise<OwnIdentity>;
    readonly wall: WallClock;
    readonly entropy: Entropy;
  }) {
    this.#issue = options.issue;
    this.#wall = options.wall;
    this.#entropy = options.entropy;
  }

  /** The identity now, as handshakes present it. */
  get own(): OwnIdentity {
    assert(this.#own !== undefined, "An identity is checked before it is used");
    return this.#own;
  }

  /** Renews the certificate if it is due, which its owner asks for once a minute. */
  async check(): Promise<void> {
    const nowMs = this.#wall.unixMs();
    if (nowMs < this.#renewAtMs) return;
    this.#own = await this.#issue(++this.#generation);
    const { notAfterMs } = this.#own.identity;
    const notBeforeMs = nowMs - IDENTITY_BACKDATE_MS;
    this.#renewAtMs = renewAtMs({ notBeforeMs, notAfterMs }, this.#entropy);
  }
}

/** Makes a CA; returns the contents of its file. */
async function newAuthority({ region, wall, entropy }: DevelopmentNodesOptions): Promise<string> {
  const notBeforeMs = wall.unixMs() - CA_BACKDATE_MS;
  const validity = { notBeforeMs, notAfterMs: notBeforeMs + DEVELOPMENT_CA_LIFE_MS };
  const root = await createRoot({ name: "Registry development nodes", ...validity, entropy });
  const intermediate = await (await CertificateAuthority.open(root)).createIntermediate({
    scope: { trustDomain: DEVELOPMENT_TRUST_DOMAIN, region },
    ...validity,
    entropy,
  });
  return intermediate.keyPem + intermediate.certificatePem + root.certificatePem;
}

async function openAuthority(path: string, text: string): Promise<CertificateAuthority> {
  try {
    return await CertificateAuthority.open({ keyPem: text, certificatePem: text });
  } catch (error) {
    throw corrupt(path, error instanceof Error ? error.message : String(error));
  }
}

function tagOf({ entropy }: Pick<DevelopmentNodesOptions, "entropy">): string {
  const bytes = new Uint8Array(8);
  entropy.fill(bytes);
  return toHex(bytes);
}

function corrupt(path: string, reason: string): RegistryError {
  return new RegistryError(
    "corrupt",
    `Cannot use ${path} as the CA of a development cluster's nodes: ${reason}. Remove it with all ` +
      "nodes stopped, to have a new one made",
    { field: path },
  );
}
