/**
 * Trust in peer regions: each region's certificates are verified by the trust bundle that an operator
 * added with it, and by nothing else. So a stolen region can pass for itself only: its authority may name
 * another region, but is not asked about it. Of a region's identities those of nodes are believed, which
 * follow this region (src/serving/regions/followers.ts).
 *
 * A bundle that has ended still verifies its region. Leaves live for an hour and intermediates end by
 * themselves, and a region that was cut off for a month is to be followed again without an operator.
 */
import { RegistryError } from "../base/errors.ts";
import type { WallClock } from "../base/world.ts";
import { readCertificate } from "../../identity/pki/certificate_reader.ts";
import { isRefusal } from "../../identity/pki/certificate_refusal.ts";
import { type PathOptions, validateIdentity } from "../../identity/pki/path_validation.ts";
import { parseSpiffeId, type SpiffeId } from "../../identity/pki/spiffe.ts";
import {
  type HandshakeFailure,
  handshakeFailure,
  type ProvenIdentity,
} from "../../identity/registry_auth/mod.ts";
import type { BanList } from "../../identity/trust/ban_list.ts";
import { provenIdentity } from "../../identity/trust/proven_identity.ts";
import {
  isBundleRefusal,
  type OpenBundle,
  openTrustBundle,
} from "../../identity/trust/trust_bundle.ts";
import { bundleFromJson } from "../../identity/trust/trust_bundle_content.ts";
import type { TrustStore } from "../../identity/trust/trust_store.ts";
import { isBannedBy, type PeerRegion } from "../system/regions/region_state.ts";

/**
 * Opens a trust bundle that an operator vouches for: its roots are those that it names itself.
 *
 * @throws RegistryError `malformed` with the reason why it cannot be used.
 */
export async function openRegionBundle(text: string, nowMs: number): Promise<OpenBundle> {
  const { roots, trustDomain } = contentOf(text);
  const opened = await openTrustBundle({ text, roots, trustDomain, nowMs, toSupersede: true });
  if (!isBundleRefusal(opened)) return opened;
  throw new RegistryError("malformed", `A region's trust bundle cannot be used: ${opened.message}`);
}

function contentOf(text: string): ReturnType<typeof bundleFromJson> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // A text that is no JSON has no bundle, which is refused below.
    value = undefined;
  }
  const bundle = typeof value === "object" && value !== null && "bundle" in value
    ? value.bundle
    : undefined;
  return bundleFromJson(bundle);
}

/** Returns the identity of a region's node that a chain proves, or the reason why it proves none. */
export async function judgeNodeOf(
  region: string,
  { chain, trust, nowMs }: Pick<PathOptions, "chain" | "trust" | "nowMs">,
): Promise<ProvenIdentity | HandshakeFailure> {
  const validated = await validateIdentity({ chain, trust, nowMs });
  if (isRefusal(validated)) {
    return handshakeFailure("certificate", `${validated.fault}: ${validated.message}`);
  }
  const identity = provenIdentity(validated);
  if (identity.role === "node" && identity.region === region) return identity;
  return handshakeFailure("certificate", `It must be of a node of region ${region}`);
}

/** Dependencies of {@link RegionJudge}. */
export interface RegionJudgeParts {
  /** The region of this cluster. */
  readonly own: string;
  /** Returns a peer region; undefined if there is none of that name. */
  readonly regionOf: (name: string) => PeerRegion | undefined;
  readonly bans: BanList;
  readonly wall: WallClock;
}

/** Judges the certificates of nodes of other regions. */
export class RegionJudge {
  readonly #parts: RegionJudgeParts;
  /** The bundles that were opened last, by region. */
  readonly #opened = new Map<string, OpenBundle>();

  constructor(parts: RegionJudgeParts) {
    this.#parts = parts;
  }

  /**
   * Returns the identity that a chain proves, or the reason why it proves none; undefined if it does not
   * claim to be that of a node of another region.
   */
  async judge(
    chain: readonly Uint8Array[],
  ): Promise<ProvenIdentity | HandshakeFailure | undefined> {
    const { own, bans, wall } = this.#parts;
    const claimed = claimOf(chain);
    if (claimed === undefined || claimed.role !== "node" || claimed.region === own) {
      return undefined;
    }
    const { region } = claimed;
    try {
      const trust = await this.#trustIn(region);
      if (trust === undefined) {
        const message = `Region ${region} is no peer of this one with a trust bundle`;
        return handshakeFailure("certificate", message);
      }
      const identity = await judgeNodeOf(region, { chain, trust, nowMs: wall.unixMs() });
      if ("fault" in identity) return identity;
      const peer = this.#parts.regionOf(region);
      const isBanned = bans.banOf({ ...identity, role: "region" }) !== undefined ||
        peer !== undefined && isBannedBy(peer, identity, wall.unixMs());
      return isBanned ? handshakeFailure("banned", "This identity is banned") : identity;
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      return handshakeFailure("certificate", error.message);
    }
  }

  async #trustIn(region: string): Promise<TrustStore | undefined> {
    const { regionOf, wall } = this.#parts;
    const text = regionOf(region)?.settings.bundle ?? "";
    if (text === "") {
      this.#opened.delete(region);
      return undefined;
    }
    const known = this.#opened.get(region);
    if (known?.text === text) return known.trust;
    const opened = await openRegionBundle(text, wall.unixMs());
    this.#opened.set(region, opened);
    return opened.trust;
  }
}

/** Returns the name that a leaf claims, before anything is verified; undefined if it has none. */
function claimOf([leaf]: readonly Uint8Array[]): SpiffeId | undefined {
  const certificate = leaf && readCertificate(leaf);
  if (certificate === undefined || isRefusal(certificate)) return undefined;
  const [name] = certificate.extensions.names.uris;
  try {
    return name === undefined ? undefined : parseSpiffeId(name);
  } catch (error) {
    if (error instanceof RegistryError) return undefined;
    throw error;
  }
}
