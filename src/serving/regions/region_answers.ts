/** Answers to other regions that follow this one, besides the feed itself (`watch_hub.ts`). */
import { DOCUMENTS } from "../../../schemas/gen/identity.ts";
import {
  BAN_KINDS,
  type RegionBan,
  type RegionStatusReply,
  type RegionStatusRequest,
} from "../../../schemas/gen/wire.ts";
import { publicationFromBytes } from "../../../identity/trust/bundle_publication.ts";
import { sha256 } from "../../../identity/pki/sha256.ts";
import { defined } from "../../base/assert.ts";
import { bytesEqual } from "../../base/bytes.ts";
import {
  REGION_BANS_MAX,
  REGION_BUNDLE_BYTES_MAX,
  RENEWAL_GRACE_MS_MAX,
} from "../../base/limits.ts";
import type { AuthenticatedPeer } from "../../base/peer.ts";
import type { IdentityState } from "../../system/identity_state.ts";
import type { IdentityGroup } from "../identities/identity_group.ts";
import type { Followers } from "./followers.ts";

/** Dependencies of {@link RegionAnswers}. */
export interface RegionAnswersParts {
  readonly group: IdentityGroup;
  readonly followers: Followers;
}

/** The bans of this region's nodes. */
interface NodeBans {
  /** Index of group 0 as of which they were collected. */
  readonly index: number;
  readonly bans: readonly RegionBan[];
  readonly digest: Uint8Array;
}

/** Answers from this node's copy of group 0. */
export class RegionAnswers {
  readonly #parts: RegionAnswersParts;
  #bans: NodeBans | undefined;

  constructor(parts: RegionAnswersParts) {
    this.#parts = parts;
  }

  /**
   * Returns the identity of this cluster, and what followers must know to trust its nodes.
   *
   * @throws RegistryError `permission_denied`, `unauthenticated`
   */
  status(
    { follower, bundleSequence, bansDigest }: RegionStatusRequest,
    peer: AuthenticatedPeer,
  ): RegionStatusReply {
    const { group, followers } = this.#parts;
    followers.check(peer, follower);
    const genesis = defined(group.store.genesis, "A cluster was created");
    const { clusterId, partitionCount, hashKey, region } = genesis;
    const { generation } = group.store.state.versions;
    const { bans, digest } = this.#nodeBans();
    return {
      ...{ clusterId, generation, partitionCount, hashKey, region },
      bundle: this.#bundleAfter(bundleSequence),
      bansDigest: digest,
      bans: bytesEqual(bansDigest, digest) ? [] : [...bans],
    };
  }

  #nodeBans(): NodeBans {
    const { appliedIndex: index, identities } = this.#parts.group.store;
    if (this.#bans?.index === index) return this.#bans;
    const bans = nodeBansOf(identities);
    const digest = sha256(new TextEncoder().encode(JSON.stringify(bans)));
    return this.#bans = { index, bans, digest };
  }

  /** Returns the trust bundle if its sequence is higher; else "". */
  #bundleAfter(sequence: number): string {
    const document = this.#parts.group.state.document(DOCUMENTS.trustBundle);
    if (document === undefined) return "";
    const { bundle, text } = publicationFromBytes(document.bytes);
    const isNews = bundle.sequence > sequence && text.length <= REGION_BUNDLE_BYTES_MAX;
    return isNews ? text : "";
  }
}

/**
 * Returns the latest bans of nodes, in the order in which they were made: other regions know no other
 * identities of this one. A lineage that was stopped counts as banned while one of its certificates
 * could be shown.
 */
function nodeBansOf(state: IdentityState): RegionBan[] {
  const bans: RegionBan[] = [];
  for (const { kind, name, untilMs } of state.bans()) {
    if (kind === BAN_KINDS.subject && isNode(name)) {
      bans.push({ subject: name, lineage: 0, untilMs });
    }
    if (kind !== BAN_KINDS.lineage) continue;
    const lineage = state.lineage(Number(name));
    if (lineage !== undefined && isNode(lineage.subject)) {
      bans.push({ subject: "", lineage: lineage.lineage, untilMs });
    }
  }
  for (const { lineage, subject, latest } of state.stoppedLineages()) {
    const untilMs = latest.notAfterMs + RENEWAL_GRACE_MS_MAX;
    if (isNode(subject)) bans.push({ subject: "", lineage, untilMs });
  }
  return bans.slice(-REGION_BANS_MAX);
}

/** Reports whether a SPIFFE id is that of a node. */
function isNode(subject: string): boolean {
  return subject.split("/").at(-2) === "node";
}
