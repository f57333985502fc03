/** Answers to other regions that follow this one, besides the feed itself (`watch_hub.ts`). */
import type { RegionStatusReply, RegionStatusRequest } from "../../../schemas/gen/wire.ts";
import { defined } from "../../base/assert.ts";
import type { AuthenticatedPeer } from "../../base/peer.ts";
import { DOCUMENTS } from "../../../schemas/gen/identity.ts";
import { publicationFromBytes } from "../../../identity/trust/bundle_publication.ts";
import type { IdentityGroup } from "../identities/identity_group.ts";
import type { Followers } from "./followers.ts";

/** Dependencies of {@link RegionAnswers}. */
export interface RegionAnswersParts {
  readonly group: IdentityGroup;
  readonly followers: Followers;
}

/** Answers from this node's copy of group 0. */
export class RegionAnswers {
  readonly #parts: RegionAnswersParts;

  constructor(parts: RegionAnswersParts) {
    this.#parts = parts;
  }

  /** Returns what this region is. @throws RegistryError `permission_denied` */
  status(
    { follower, bundleSequence }: RegionStatusRequest,
    peer: AuthenticatedPeer,
  ): RegionStatusReply {
    const { group, followers } = this.#parts;
    followers.check(peer, follower);
    const genesis = defined(group.store.genesis, "A cluster was created");
    const { clusterId, partitionCount, region } = genesis;
    const { generation } = group.store.state.versions;
    const bundle = this.#bundleAfter(bundleSequence);
    return { clusterId, generation, partitionCount, region, bundle };
  }

  /** Returns the trust bundle if its sequence is higher; else "". */
  #bundleAfter(sequence: number): string {
    const document = this.#parts.group.state.document(DOCUMENTS.trustBundle);
    if (document === undefined) return "";
    const published = publicationFromBytes(document.bytes);
    return published.bundle.sequence > sequence ? published.text : "";
  }
}
