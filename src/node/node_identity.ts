/**
 * The identity of a node, and how it authenticates its peers: either the development identity, which
 * is created on the spot and trusts everyone, or certificates of the region's authority. Both have the
 * same interface, so that starting, listening and rotating are the same.
 */
import { defined } from "../base/assert.ts";
import { DELEGATION_MS_MAX } from "../base/limits.ts";
import type { World } from "../base/world.ts";
import type { ProvenIdentity } from "../../identity/registry_auth/mod.ts";
import { SessionLife } from "../../identity/trust/session_life.ts";
import type { RotatingCertificates } from "../../identity/trust/certificate_rotation.ts";
import { identityFolder } from "../../identity/trust/credentials.ts";
import { openDevelopmentCapabilityKey } from "../../identity/enrolment/development_capability_key.ts";
import type { RootKey } from "../../identity/capabilities/root_key.ts";
import { DevelopmentIdentity } from "../../identity/enrolment/development_identity.ts";
import {
  developmentCheckpointKeys,
  developmentFolder,
} from "../../identity/enrolment/development_nodes.ts";
import type { SigningKey } from "../../identity/pki/ed25519.ts";
import { NO_CHECKPOINT_KEYS } from "../serving/governance/checkpoints.ts";
import { developmentPeer } from "../../identity/enrolment/development_peer.ts";
import { DEVELOPMENT_NOTICE } from "../../identity/trust/listen_rule.ts";
import type { CertificateCredentials } from "../client/credentials.ts";
import type { PeerCredentials } from "../replication/peers/peer_authentication.ts";
import type { Endpoint } from "../../transport/transport.ts";
import type { Registry } from "./registry.ts";
import { type SessionIdentity, takeForGranted } from "./session_identity.ts";

/** The identity by which a node proves itself to other nodes, and checks them. */
export type PeerIdentity = Pick<PeerCredentials, "own" | "services" | "bans">;

/** The identity of a node. */
export interface NodeIdentity {
  /** The identity that other nodes see; absent for the development identity, which has a CA for that. */
  readonly peers?: PeerIdentity;
  /** Credentials as a client of other nodes; absent for the development identity. */
  readonly credentials?: CertificateCredentials;
  /** The TLS certificates, current and next. */
  readonly certificates: RotatingCertificates;
  /** A notice for the operator about who may connect. */
  readonly notice: string;
  /** The roots of clients' certificates, PEM; empty if clients have no certificates. */
  readonly clientAuthorities: readonly string[];
  /** Connects the identity with the registry, as the node with that number; absent if it needs none. */
  attach?(registry: Registry, nodeId: number): void;
  /** Begins once the addresses are known. Called once. @returns how sessions are authenticated. */
  begin(addresses: readonly Endpoint[]): Promise<SessionIdentity>;
  /** Publishes the members of the cluster after they changed; absent if nobody verifies them. */
  membersChanged?(): void;
  /** Publishes the new pins after a rotation of the TLS certificate. */
  rotated(): Promise<void>;
  /**
   * Ensures that a folder has the certificate of the front beside this node; absent if fronts need none.
   *
   * @throws as `enrolFront`.
   */
  enrolFront?(folder: string): Promise<void>;
  /** Stops the periodic work. */
  stop(): void;
}

/** Opens the development identity, for a node without an authority. */
export async function openDevelopmentIdentity(
  { data, nodeCa, region, world }: {
    readonly data: string;
    /** The folder that the nodes of a development cluster share; "" for none. */
    readonly nodeCa: string;
    readonly region: string;
    readonly world: World;
  },
): Promise<NodeIdentity> {
  const { wall, entropy } = world;
  const certificates = await DevelopmentIdentity.open({
    folder: identityFolder(data),
    wall,
    entropy,
  });
  const revocation = new AbortController();
  let registry: Registry | undefined;
  return {
    certificates,
    notice: DEVELOPMENT_NOTICE,
    clientAuthorities: [],
    attach: (attached) => {
      registry = attached;
      const { checkpoints, identities } = attached;
      const folder = developmentFolder({ data, nodeCa });
      let keys: Promise<readonly SigningKey[]> | undefined;
      // All nodes of the cluster have the same ones, so that none has to ask.
      const own = () => keys ??= developmentCheckpointKeys(folder, entropy);
      checkpoints.keys = { ...NO_CHECKPOINT_KEYS, own };
      let rootKey: RootKey | undefined;
      identities.group.developmentRootKey = () =>
        rootKey ??= openDevelopmentCapabilityKey({ folder, entropy });
    },
    begin: () =>
      Promise.resolve(takeForGranted(
        developmentPeer({ region, revoked: revocation.signal }),
        capabilitiesOf(defined(registry, "The identity was attached"), world),
      )),
    rotated: () => Promise.resolve(),
    stop: () => {},
  };
}

/** Returns the means by which a node with the development identity checks capabilities. */
function capabilitiesOf({ identities, bans, wallWatch }: Registry, { wall, scheduler }: World) {
  return {
    verify: (capability: string) => identities.capabilities.verify(capability, true),
    live: (identity: ProvenIdentity, expiresAtMs: number, pinned: boolean) =>
      new SessionLife({
        ...{ identity, expiresAtMs, pinned, bans, wall, scheduler },
        sessionMsMax: DELEGATION_MS_MAX,
        onClockStep: wallWatch.onStep,
      }),
  };
}
