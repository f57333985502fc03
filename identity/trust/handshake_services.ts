/**
 * What a handshake is done with in production: this end's key, our own path validation under the trust
 * of the moment, the ban list.
 */
import type { WallClock } from "../../src/base/world.ts";
import type { BanList } from "./ban_list.ts";
import { isRefusal } from "../pki/certificate_refusal.ts";
import { signMessage, verifyMessage } from "../pki/ed25519.ts";
import type { OwnIdentity } from "./own_identity.ts";
import { validateIdentity } from "../pki/path_validation.ts";
import { provenIdentity } from "./proven_identity.ts";
import {
  type Admittance,
  type Candidate,
  type HandshakeFailure,
  handshakeFailure,
  type HandshakeServices,
  type ProvenIdentity,
} from "../registry_auth/mod.ts";
import { sha256 } from "../pki/sha256.ts";
import type { TrustStore } from "./trust_store.ts";

/** What the services stand on. */
export interface HandshakeServicesOptions {
  /** What this end shows; asked at each handshake, for it is renewed. */
  readonly own: () => OwnIdentity;
  /** What it believes; asked at each handshake, for bundles follow each other. */
  readonly trust: () => TrustStore;
  readonly wall: WallClock;
  readonly bans?: BanList;
  /** On a server: how long a session may last, ms, and what its client gets. */
  readonly sessionMsMax?: number;
  readonly mintToken?: (candidate: Candidate, expiresAtMs: number) => Promise<string | undefined>;
}

/** The services of one end. */
export function handshakeServices(options: HandshakeServicesOptions): HandshakeServices {
  const { own } = options;
  return {
    sha256,
    sign: (content) => signMessage(own().key, content),
    verify: verifyMessage,
    judge: (_end, chain) => judge(chain, options),
    admit: (candidate) => admit(candidate, options),
  };
}

/** What a chain proves, bans included, or why it proves nothing. */
async function judge(
  chain: readonly Uint8Array[],
  { trust, wall, bans }: HandshakeServicesOptions,
): Promise<ProvenIdentity | HandshakeFailure> {
  const validated = await validateIdentity({ chain, trust: trust(), nowMs: wall.unixMs() });
  if (isRefusal(validated)) {
    return handshakeFailure("certificate", `${validated.fault}: ${validated.message}`);
  }
  const identity = provenIdentity(validated);
  const ban = bans?.banOf(identity);
  return ban === undefined ? identity : handshakeFailure("banned", "This identity is banned");
}

async function admit(
  candidate: Candidate,
  { wall, sessionMsMax = Infinity, mintToken }: HandshakeServicesOptions,
): Promise<Admittance> {
  const expiresAtMs = Math.min(candidate.identity.notAfterMs, wall.unixMs() + sessionMsMax);
  const token = await mintToken?.(candidate, expiresAtMs);
  return token === undefined ? { expiresAtMs } : { expiresAtMs, token };
}
