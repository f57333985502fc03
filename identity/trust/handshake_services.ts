/**
 * Production services of a handshake: this end's key, path validation with the current trust store,
 * the ban list.
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

/** Options of {@link handshakeServices}. */
export interface HandshakeServicesOptions {
  /** Returns this end's identity; called at each handshake, because it is renewed. */
  readonly own: () => OwnIdentity;
  /** Returns the trust store; called at each handshake, because bundles are replaced. */
  readonly trust: () => TrustStore;
  readonly wall: WallClock;
  readonly bans?: BanList;
  /** On a server: the maximum duration of a session, ms, and the token that its client gets. */
  readonly sessionMsMax?: number;
  readonly mintToken?: (candidate: Candidate, expiresAtMs: number) => Promise<string | undefined>;
}

/** Returns the services of one end. */
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

/** Returns the identity that a chain proves, unless banned, or the reason why it proves none. */
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
