/**
 * A registry in this process that listens on real sockets, by QUIC, WebTransport and TLS, and
 * accepts only peers with certificates; with SDK clients that have certificates.
 */
import { BanList } from "../../identity/trust/ban_list.ts";
import { isRefusal } from "../../identity/pki/certificate_refusal.ts";
import { type SigningKey, signingKeyOfSeed } from "../../identity/pki/ed25519.ts";
import { handshakeServices } from "../../identity/trust/handshake_services.ts";
import { openOwnIdentity, type OwnIdentity } from "../../identity/trust/own_identity.ts";
import { decodePem } from "../../identity/pki/pem.ts";
import { authorityOf } from "../../identity/registry_auth/mod.ts";
import { TrustStore } from "../../identity/trust/trust_store.ts";
import { SILENT_LOGGER } from "../../src/base/logger.ts";
import { connect } from "../../src/client/client.ts";
import type { Credentials } from "../../src/client/credentials.ts";
import type { Client } from "../../src/client/types.ts";
import { Registry } from "../../src/node/registry.ts";
import { CertifiedIdentity } from "../../src/node/session_identity.ts";
import { Sessions } from "../../src/node/sessions.ts";
import { MemoryDisk } from "../../src/storage/memory_storage.ts";
import { listenQuic } from "../../transport/quic_listener.ts";
import { listenTls } from "../../transport/tls.ts";
import type { Dialer, Listener, TlsCertificate, Trust } from "../../transport/transport.ts";
import { listedCodes } from "./listed_codes.ts";
import { testWorld } from "./production_world.ts";
import { issueTlsIdentities, type TestClient, type TlsIdentities } from "./tls_identities.ts";
import { factsOfFreshProcess, sessionPartsOf } from "./registry_facts.ts";

/** A member with everything that it needs to connect. */
export interface CertifiedMember {
  readonly own: OwnIdentity;
  readonly credentials: Credentials;
  /** For TLS. */
  readonly certificate: TlsCertificate;
}

const ders = (pem: string) => decodePem("CERTIFICATE", pem).map((der) => new Uint8Array(der!));

async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(bytes)));
}

async function keyOf(keyPem: string): Promise<SigningKey> {
  // The seed is the last 32 bytes of the PKCS #8 form of such a key (RFC 8410 §7).
  return await signingKeyOfSeed(decodePem("PRIVATE KEY", keyPem)[0]!.slice(-32));
}

/** The node, its identities and its trust. */
export class CertifiedNode {
  readonly world = testWorld();
  readonly identities: TlsIdentities;
  readonly trust: TrustStore;
  readonly bans = new BanList();
  readonly caught: { readonly stage: string; readonly error: unknown }[] = [];
  #closers: (() => Promise<void>)[] = [];
  quic!: Listener;
  tls!: Listener;
  pin!: Uint8Array;

  private constructor(identities: TlsIdentities, trust: TrustStore) {
    this.identities = identities;
    this.trust = trust;
  }

  /** Starts a node; `sessionMsMax` is the time that a session lasts before it must be renewed. */
  static async start(sessionMsMax = 3_600_000): Promise<CertifiedNode> {
    const identities = await issueTlsIdentities();
    const trust = await TrustStore.open({
      trustDomain: "test.example",
      roots: ders(identities.rootPem),
      intermediates: ders(identities.intermediatePem),
    });
    if (isRefusal(trust)) throw new Error(trust.message);
    const node = new CertifiedNode(identities, trust);
    await node.#start(sessionMsMax);
    return node;
  }

  /** Issues a member's identity. */
  async enrol(client: TestClient): Promise<CertifiedMember> {
    const certificate = await this.identities.issueClient(client);
    const own = await openOwnIdentity({
      chain: ders(certificate.chainPem),
      key: await keyOf(certificate.keyPem),
      trust: this.trust,
      nowMs: Date.now(),
    });
    const services = handshakeServices({
      own: () => own,
      trust: () => this.trust,
      wall: this.world.wall,
    });
    return {
      own,
      certificate,
      credentials: {
        kind: "certificate",
        own: () => ({ ...own.identity, chain: own.chain }),
        services,
      },
    };
  }

  /** Connects with the caller's dialer to the port of its transport. */
  async connect(dialer: Dialer, trust: Trust, member?: CertifiedMember): Promise<Client> {
    const { port } = dialer.transport === "tls" ? this.tls : this.quic;
    return await connect({
      endpoints: [{ host: "127.0.0.1", port }],
      dialer,
      trust,
      world: this.world,
      ...(member === undefined ? {} : { credentials: member.credentials }),
    });
  }

  /** Returns trust in the TLS leaf by its hash. */
  get pins(): Trust {
    return { kind: "pins", sha256: [this.pin] };
  }

  /** Returns trust in the root. */
  get ca(): Trust {
    return { kind: "ca", pem: [this.identities.rootPem] };
  }

  async close(): Promise<void> {
    for (const close of this.#closers.reverse()) await close();
  }

  async #start(sessionMsMax: number): Promise<void> {
    const { world, identities, trust, bans } = this;
    const onError = (stage: string, error: unknown) => void this.caught.push({ stage, error });
    const registry = await Registry.open({
      storage: new MemoryDisk().open(world.scheduler),
      world,
      logger: SILENT_LOGGER,
      nodeId: 1,
      region: "eu-1",
      partitionCount: 8,
      ceilings: { recordsMax: 1_000_000, memoryBytesMax: 2 ** 30 },
      memoryBytes: () => 0,
      requestTimeoutMs: 5_000,
      facts: factsOfFreshProcess,
      logEvents: { cut() {}, poisoned() {}, writable() {}, synced() {} },
    });
    registry.start();
    this.#closers.push(() => registry.close());
    const listen = { hosts: ["127.0.0.1"], port: 0, certificate: identities.server, onError };
    this.quic = listenQuic({ ...listen, scheduler: world.scheduler });
    this.tls = await listenTls({
      ...listen,
      clientAuthorities: [identities.rootPem],
      scheduler: world.scheduler,
      monotonic: world.monotonic,
    });
    this.#closers.push(() => this.quic.close(), () => this.tls.close());
    this.pin = await sha256(ders(identities.server.chainPem)[0]!);
    const { own } = await this.enrol({
      role: "node",
      uuid: "99999999-9999-4999-8999-999999999999",
    });
    const identity = new CertifiedIdentity({
      world,
      services: handshakeServices({
        own: () => own,
        trust: () => trust,
        wall: world.wall,
        bans,
        sessionMsMax,
      }),
      own: () => own,
      tlsLeaves: () => ({ current: this.pin }),
      authorities: () => new Set([authorityOf("127.0.0.1", this.quic.port)]),
      bans,
      sessionMsMax,
    });
    for (const listener of [this.quic, this.tls]) {
      const sessions = new Sessions({
        listener,
        world,
        logger: SILENT_LOGGER,
        onError,
        identity,
        ...sessionPartsOf(registry, "eu-1"),
        observer: listedCodes(),
        rate: { requestsPerSecond: 1e6, burst: 1e6 },
      });
      sessions.run().catch((error) => onError("listen", error));
      this.#closers.push(() => sessions.close(100));
    }
  }
}
