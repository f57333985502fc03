/**
 * What a node is to others, and how it tells who they are: the development identity, made on the spot
 * and believing everybody, or real certificates of its region's authority. One shape for both, so that
 * a node starts, listens and rotates alike.
 */
import type { World } from "../base/world.ts";
import type { RotatingCertificates } from "../../identity/trust/certificate_rotation.ts";
import { identityFolder } from "../../identity/trust/credentials.ts";
import { DevelopmentIdentity } from "../../identity/enrolment/development_identity.ts";
import { developmentPeer } from "../../identity/enrolment/development_peer.ts";
import { DEVELOPMENT_NOTICE } from "../../identity/trust/listen_rule.ts";
import type { Endpoint } from "../../transport/transport.ts";
import { type SessionIdentity, takeForGranted } from "./session_identity.ts";

/** A node's identity, from its listening on. */
export interface NodeIdentity {
  /** What TLS shows now and next. */
  readonly certificates: RotatingCertificates;
  /** What the operator must know of who may connect. */
  readonly notice: string;
  /** PEM of the roots that clients' certificates lead to; none: clients have no certificates. */
  readonly clientAuthorities: readonly string[];
  /** Called once, when the addresses are known. @returns how peers prove who they are. */
  begin(addresses: readonly Endpoint[]): Promise<SessionIdentity>;
  /** TLS shows another certificate now, or is about to: those who pin it are told. */
  rotated(): Promise<void>;
  /** Ends what goes on by itself. */
  stop(): void;
}

/** The identity of a node that is given none. */
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
