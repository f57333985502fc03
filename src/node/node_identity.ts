/**
 * The identity of a node, and how it authenticates its peers: either the development identity, which
 * is created on the spot and trusts everyone, or certificates of the region's authority. Both have the
 * same interface, so that starting, listening and rotating are the same.
 */
import type { World } from "../base/world.ts";
import type { RotatingCertificates } from "../../identity/trust/certificate_rotation.ts";
import { identityFolder } from "../../identity/trust/credentials.ts";
import { DevelopmentIdentity } from "../../identity/enrolment/development_identity.ts";
import { developmentPeer } from "../../identity/enrolment/development_peer.ts";
import { DEVELOPMENT_NOTICE } from "../../identity/trust/listen_rule.ts";
import type { Endpoint } from "../../transport/transport.ts";
import { type SessionIdentity, takeForGranted } from "./session_identity.ts";

/** The identity of a node. */
export interface NodeIdentity {
  /** The TLS certificates, current and next. */
  readonly certificates: RotatingCertificates;
  /** A notice for the operator about who may connect. */
  readonly notice: string;
  /** The roots of clients' certificates, PEM; empty if clients have no certificates. */
  readonly clientAuthorities: readonly string[];
  /** Begins once the addresses are known. Called once. @returns how sessions are authenticated. */
  begin(addresses: readonly Endpoint[]): Promise<SessionIdentity>;
  /** Publishes the new pins after a rotation of the TLS certificate. */
  rotated(): Promise<void>;
  /** Stops the periodic work. */
  stop(): void;
}

/** Opens the development identity, for a node without an authority. */
export async function openDevelopmentIdentity(
  { data, region, world }: { data: string; region: string; world: World },
): Promise<NodeIdentity> {
  const { wall, entropy } = world;
  const certificates = await DevelopmentIdentity.open({
    folder: identityFolder(data),
    wall,
    entropy,
  });
  const revocation = new AbortController();
  return {
    certificates,
    notice: DEVELOPMENT_NOTICE,
    clientAuthorities: [],
    begin: () =>
      Promise.resolve(takeForGranted(developmentPeer({ region, revoked: revocation.signal }))),
    rotated: () => Promise.resolve(),
    stop: () => {},
  };
}
