/**
 * Decides which other regions may follow this one. A certificate proves the region; without certificates
 * the name that the request gives is believed. Either way the region must be a peer, which an operator
 * decided: to others no record is shown.
 */
import { type ErrorCode, RegistryError } from "../../base/errors.ts";
import { type AuthenticatedPeer, peerTitle } from "../../base/peer.ts";
import type { WallClock } from "../../base/world.ts";
import { type AccessPolicy, authorizeRole } from "../../record/access.ts";
import { isBannedBy, type RegionState } from "../../system/regions/region_state.ts";

/** Dependencies of {@link Followers}. */
export interface FollowersParts {
  /** Returns the peer regions, as this node's copy of group 0 has them. */
  readonly regions: () => Pick<RegionState, "of">;
  readonly policy: AccessPolicy;
  readonly wall: WallClock;
}

/** The regions that may follow this one. */
export class Followers {
  readonly #parts: FollowersParts;

  constructor(parts: FollowersParts) {
    this.#parts = parts;
  }

  /** Returns why a peer may not follow as the region `follower`; undefined if it may. */
  refusal(peer: AuthenticatedPeer, follower: string): RegistryError | undefined {
    const { regions, policy, wall } = this.#parts;
    const answer = authorizeRole(peer, "follow", policy);
    if (answer !== "allowed") return refusal(answer, peer, "follow this region");
    if (peer.role === "region" && peer.region !== follower) {
      return refusal("permission_denied", peer, `follow this region as ${follower}`);
    }
    const region = regions().of(follower);
    if (region !== undefined) {
      const isBanned = peer.role === "region" && isBannedBy(region, peer, wall.unixMs());
      if (!isBanned) return undefined;
      const message = `The identity ${peer.subject} is banned by its region`;
      return new RegistryError("unauthenticated", message);
    }
    return new RegistryError(
      "permission_denied",
      `Region ${follower} must be a peer of this one to follow it: add it with crs region add`,
      { field: "follower" },
    );
  }

  /** Throws what {@link refusal} returns. */
  check(peer: AuthenticatedPeer, follower: string): void {
    const refused = this.refusal(peer, follower);
    if (refused !== undefined) throw refused;
  }
}

function refusal(code: ErrorCode, peer: AuthenticatedPeer, what: string): RegistryError {
  return new RegistryError(code, `${peerTitle(peer)} may not ${what}`);
}
