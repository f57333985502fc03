/**
 * A node with real keys in one process: the folders that `crs identity init` creates, the identity
 * of a production start, a registry on a memory disk, sessions over a memory network, and time that
 * a test moves. A dialer of its own replaces TLS: it accepts a pin only while the node presents the
 * pinned certificate.
 */
import { initAuthority } from "../../identity/enrolment/authority_init.ts";
import { CertificateRotation } from "../../identity/trust/certificate_rotation.ts";
import { createCertificateRequest } from "../../identity/pki/certificate_request.ts";
import type { RenewalGrace } from "../../identity/enrolment/enrolment.ts";
import { IdentityFolder } from "../../identity/files/identity_folder.ts";
import { KeptIdentity } from "../../identity/files/kept_identity.ts";
import { bytesEqual } from "../../src/base/bytes.ts";
import { RegistryError } from "../../src/base/errors.ts";
import { nodeId } from "../../src/base/ids.ts";
import { type LogFacts, type Logger, SILENT_LOGGER } from "../../src/base/logger.ts";
import { type Grants, NO_GRANTS, type Role } from "../../src/base/peer.ts";
import { connect } from "../../src/client/client.ts";
import { askUnauthenticated } from "../../src/client/unauthenticated.ts";
import type { Client, ConnectionEvent } from "../../src/client/types.ts";
import { openCertifiedIdentity } from "../../src/node/certified_opening.ts";
import type { NodeIdentity } from "../../src/node/node_identity.ts";
import { Registry } from "../../src/node/registry.ts";
import { Sessions } from "../../src/node/sessions.ts";
import type { DelegationCounts } from "../../src/serving/delegations.ts";
import { MemoryDisk } from "../../src/storage/memory_storage.ts";
import { MemoryNetwork } from "../../transport/memory/network.ts";
import type { Dialer, Endpoint, Listener, Trust } from "../../transport/transport.ts";
import { listedCodes } from "./listed_codes.ts";
import { SteppedWorld } from "./stepped_world.ts";
import { factsOfFreshProcess, sessionPartsOf } from "./registry_facts.ts";
import { rotateAuthority, type RotatedPart } from "../../identity/enrolment/authority_rotation.ts";

export const TRUST_DOMAIN = "registry.example";
export const REGION = "eu-1";
const ENDPOINT: Endpoint = { host: "127.0.0.1", port: 4_100 };
const FAR_MS = 60_000;

/** Options that an operator sets. */
export interface CertifiedRegistryOptions {
  readonly sessionTokenAudience?: string;
  readonly renewalGrace?: RenewalGrace;
  /**
   * The step of the wall clock between the creation of the trust domain and the first start, ms.
   */
  readonly clockStepMs?: number;
}

/** A node, with the operations that a test needs around it. */
export class CertifiedRegistry {
  readonly world: SteppedWorld;
  readonly folder: string;
  readonly network: MemoryNetwork;
  readonly disk = new MemoryDisk();
  readonly #options: CertifiedRegistryOptions;
  readonly #region: string;
  /** The node's log messages at level `warn` or above, and errors of sessions and rotations. */
  readonly troubles: string[] = [];
  registry!: Registry;
  identity!: NodeIdentity;
  listener!: Listener;
  readonly #kept: KeptIdentity[] = [];
  #sessions!: Sessions;
  #rotation!: CertificateRotation;
  #hosts = 0;

  private constructor(folder: string, region: string, options: CertifiedRegistryOptions) {
    this.folder = folder;
    this.#region = region;
    this.#options = options;
    this.world = new SteppedWorld(1);
    this.network = new MemoryNetwork(this.world);
  }

  /**
   * Creates a trust domain in `folder`, which must be empty, and starts a node of `region` with it.
   */
  static async open(
    folder: string,
    region = REGION,
    options: CertifiedRegistryOptions = {},
  ): Promise<CertifiedRegistry> {
    const node = new CertifiedRegistry(folder, region, options);
    await initAuthority({
      folder: `${folder}/pki`,
      trustDomain: TRUST_DOMAIN,
      region: REGION,
      nowMs: node.world.unixMs(),
      entropy: node.world.entropy,
    });
    node.world.wallOffsetMs += options.clockStepMs ?? 0;
    await node.world.wait(node.#start());
    return node;
  }

  /** The folder from which the node reads its keys. */
  get authority(): string {
    return `${this.folder}/pki/authority`;
  }

  /** Pins of the current and the next TLS certificate. */
  get pins(): Trust {
    const { current, next } = this.identity.certificates;
    return { kind: "pins", sha256: [current.pin, next.pin] };
  }

  /** The count of open sessions. */
  get sessions(): number {
    return this.#sessions.count;
  }

  /** Counts of the delegations on all sessions. */
  get delegations(): DelegationCounts {
    return this.#sessions.delegations;
  }

  /** Enrols a new member by a join token, and keeps its identity renewed. */
  async join(role: Role, id: string, grants: Grants = NO_GRANTS): Promise<KeptIdentity> {
    const { identities } = this.registry;
    const subject = `spiffe://${TRUST_DOMAIN}/region/${REGION}/${role}/${id}`;
    const deadlineMs = this.world.nowMs() + FAR_MS;
    const { token } = await identities.enrolment.createJoinToken(
      { subject, grants },
      0,
      deadlineMs,
    );
    const path = `${this.folder}/${id}`;
    const folder = new IdentityFolder(path);
    folder.create(subject);
    folder.keepRoots(Deno.readTextFileSync(`${this.authority}/root.pem`));
    const request = await createCertificateRequest(await folder.firstKey(this.world.entropy));
    const { chain, bundle } = await identities.enrolment.enrol(
      { token, subject, request, timeMs: 0, proof: new Uint8Array(0) },
      deadlineMs,
    );
    await folder.keep(chain, bundle, this.world.unixMs());
    return await this.keep(path);
  }

  /** Opens and keeps the identity of a folder. */
  async keep(folder: string, onError = this.#trouble("renewal")): Promise<KeptIdentity> {
    const dialer = this.dialer();
    const kept = await KeptIdentity.open({
      folder,
      ...worldOf(this.world),
      ask: (order, pinsOf) =>
        askUnauthenticated("renewIdentity", order, {
          endpoint: ENDPOINT,
          dialer,
          trust: { kind: "pins", sha256: pinsOf(ENDPOINT) },
          world: this.world,
          timeoutMs: 10_000,
        }),
      onError,
    });
    this.#kept.push(kept);
    return kept;
  }

  /** Connects a client that proves a kept identity and trusts its trust bundle. */
  async connect(
    kept: KeptIdentity,
    onConnection: (event: ConnectionEvent) => void = () => {},
    token?: string,
  ): Promise<Client> {
    const tokens = token === undefined ? {} : { tokens: { current: () => token } };
    return await connect({
      endpoints: [ENDPOINT],
      dialer: this.dialer(),
      // Without the bundle there would be no pin, and the session could only read.
      trust: { kind: "ca", pem: [] },
      world: this.world,
      credentials: { ...kept.credentials, ...tokens },
      options: { onConnection },
    });
  }

  dialer(): Dialer {
    const inner = this.network.dialer(`client-${++this.#hosts}`);
    const shown = () => this.identity.certificates.current.pin;
    return {
      transport: inner.transport,
      authenticatesPeers: inner.authenticatesPeers,
      pinsServer: inner.pinsServer,
      dial: (endpoint, options) => {
        const { trust } = options;
        if (trust.kind !== "pins" || trust.sha256.some((pin) => bytesEqual(pin, shown()))) {
          return inner.dial(endpoint, options);
        }
        return Promise.reject(new RegistryError("tls_failed", "Another certificate is shown"));
      },
      close: () => inner.close(),
    };
  }

  /** Lets the node state what its program knows, by which the cluster's apply version rises. */
  async stateVersion(): Promise<void> {
    const { current: { pin }, next: { pin: nextPin } } = this.identity.certificates;
    const member = { nodeId: nodeId(1), addresses: [], pin, nextPin };
    await this.world.wait(this.registry.putMember(member));
    await this.world.pass(FAR_MS);
  }

  /** Stops the node as SIGTERM does; its disk and folders stay. */
  async stop(): Promise<void> {
    this.#rotation.stop();
    this.identity.stop();
    await this.world.wait(this.#sessions.close(100));
    await this.world.wait(this.listener.close());
    await this.world.wait(this.registry.close());
  }

  /** Starts the node again after {@link stop}. @throws RegistryError as a start does. */
  async start(): Promise<void> {
    await this.world.wait(this.#start());
  }

  /** Replaces a key in the authority folder, as an operator does. */
  async rotate(part: RotatedPart): Promise<void> {
    await rotateAuthority({
      part,
      authorityFolder: this.authority,
      rootFolder: `${this.folder}/pki/root`,
      nowMs: this.world.unixMs(),
      entropy: this.world.entropy,
    });
  }

  async close(): Promise<void> {
    for (const kept of this.#kept) kept.close();
    await this.stop();
  }

  #trouble(stage: string) {
    return (error: unknown) => void this.troubles.push(`${stage}: ${String(error)}`);
  }

  async #start(): Promise<void> {
    const { world } = this;
    const { sessionTokenAudience = "", renewalGrace } = this.#options;
    const note = (message: string, facts: LogFacts = {}) =>
      void this.troubles.push(`${message}: ${String(facts["error"] ?? facts["part"] ?? "")}`);
    const logger: Logger = { ...SILENT_LOGGER, warn: note, error: note, child: () => logger };
    this.registry = await Registry.open({
      storage: this.disk.open(world),
      world,
      logger,
      nodeId: 1,
      region: REGION,
      partitionCount: 8,
      ceilings: { recordsMax: 1_000_000, memoryBytesMax: 2 ** 30 },
      memoryBytes: () => 0,
      requestTimeoutMs: 5_000,
      ...(renewalGrace === undefined ? {} : { renewalGrace }),
      facts: factsOfFreshProcess,
      logEvents: { cut() {}, poisoned() {}, writable() {}, synced() {} },
    });
    try {
      await this.#open(sessionTokenAudience, logger);
    } catch (error) {
      await this.registry.close();
      throw error;
    }
  }

  async #open(sessionTokenAudience: string, logger: Logger): Promise<void> {
    const { world } = this;
    this.identity = await openCertifiedIdentity({
      authority: this.authority,
      data: `${this.folder}/data`,
      hosts: [ENDPOINT.host],
      nodeId: 1,
      region: this.#region,
      sessionTokenAudience,
      registry: this.registry,
      world,
      logger,
    });
    this.listener = this.network.listen(ENDPOINT);
    const identity = await this.identity.begin([ENDPOINT]);
    const { registry } = this;
    this.#sessions = new Sessions({
      listener: this.listener,
      world,
      logger,
      onError: (stage, error) => this.#trouble(stage)(error),
      identity,
      ...sessionPartsOf(registry, REGION),
      observer: listedCodes(),
      rate: { requestsPerSecond: 1e6, burst: 1e6 },
    });
    registry.start();
    this.#sessions.run().catch(this.#trouble("listen"));
    this.#rotation = new CertificateRotation({
      certificates: this.identity.certificates,
      ...worldOf(world),
      onRotate: () => void this.identity.rotated().catch(this.#trouble("rotation")),
      onError: this.#trouble("rotation"),
    });
    this.#rotation.start();
    registry.wallWatch.onStep(() => this.#rotation.clockStepped());
  }
}

/** Copies a world's parts; a spread would copy own properties only. */
function worldOf({ wall, scheduler, entropy }: SteppedWorld) {
  return { wall, scheduler, entropy };
}
