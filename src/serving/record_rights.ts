/**
 * What a record rests on, beside its lease: the identity that wrote it, and the grants by which that
 * may name the record's domain and gateway. All of it stands in group 0, so that every leader comes to
 * the same answer, also after a restart.
 *
 * A record loses its right when its owner's subject or lineage is banned, when two holders of the
 * lineage were seen, or when a token that granted its domain or gateway has ended (and
 * RECORD_GRANT_GRACE_MS have passed) or is banned, and nothing else grants them.
 *
 * Clock assumption: the wall clock decides, as it does for the certificates and tokens themselves.
 */
import { RECORD_GRANT_GRACE_MS } from "../base/limits.ts";
import type { Grants } from "../base/peer.ts";
import type { WallClock } from "../base/world.ts";
import { grantsNames, type KeyFacts } from "../record/access.ts";
import { KIND_AGENT, type RecordKind } from "../record/key.ts";
import type { PartitionStore } from "../store/store.ts";
import type { Lineage } from "../system/enrolment_records.ts";
import { BAN_KINDS } from "../system/identity_codec.ts";
import type { IdentityState } from "../system/identity_state.ts";
import type { TokenGrant } from "../system/token_grants.ts";

/** Why a record has no right any more. */
export type RightsFault = "banned" | "grant_ended";

/** Tells what records rest on. */
export class RecordRights {
  readonly #state: () => IdentityState;
  readonly #wall: WallClock;
  readonly #renewalGraceMs: number;

  /** @param parts `renewalGraceMs`: for how long after its end an owner's certificate may be renewed. */
  constructor(parts: { state: () => IdentityState; wall: WallClock; renewalGraceMs: number }) {
    this.#state = parts.state;
    this.#wall = parts.wall;
    this.#renewalGraceMs = parts.renewalGraceMs;
  }

  /**
   * True where a lineage can get no certificate any more, for its last one ended too long ago: its
   * records may end, and nobody keeps them for it. Allocates nothing.
   */
  hasLapsed(lineage: number): boolean {
    const found = this.#state().lineage(lineage);
    return found !== undefined &&
      found.latest.notAfterMs + this.#renewalGraceMs < this.#wall.unixMs();
  }

  /** Why the record of a slot may not stay; `undefined`: it may. */
  faultOf(kind: RecordKind, store: PartitionStore, slot: number): RightsFault | undefined {
    const record = kind === KIND_AGENT ? store.agentView(slot) : store.gatewayView(slot);
    const state = this.#state();
    // Unknown: written by the development identity, or by a lineage that is long forgotten.
    const lineage = state.lineage(record.writer);
    if (lineage === undefined) return undefined;
    const nowMs = this.#wall.unixMs();
    if (isBanned(state, lineage, nowMs)) return "banned";
    const granted = state.grants.of(lineage.lineage);
    if (granted === undefined) return undefined;
    const facts: KeyFacts = {
      kind,
      id: record.id,
      domain: record.domain,
      ...(kind === KIND_AGENT ? { gatewayId: store.agentView(slot).gatewayId } : {}),
    };
    const isLive = ({ untilMs }: TokenGrant) => untilMs + RECORD_GRANT_GRACE_MS > nowMs;
    const live = granted.filter(isLive);
    const lasting = live.filter(({ tokenId }) =>
      state.banOf(BAN_KINDS.token, tokenId, nowMs) === undefined
    );
    if (grantsNames(union(lineage.grants, lasting), facts)) return undefined;
    return grantsNames(union(lineage.grants, live), facts) ? "banned" : "grant_ended";
  }
}

function isBanned(state: IdentityState, lineage: Lineage, nowMs: number): boolean {
  const { subject, stopped } = lineage;
  // One that was replaced has an owner still, who joined anew.
  if (stopped === "stolen" || stopped === "banned") return true;
  return state.banOf(BAN_KINDS.subject, subject, nowMs) !== undefined ||
    state.banOf(BAN_KINDS.lineage, String(lineage.lineage), nowMs) !== undefined;
}

function union(certified: Grants, granted: readonly TokenGrant[]): Grants {
  return {
    domains: [...certified.domains, ...granted.flatMap(({ grants }) => grants.domains)],
    gateways: [...certified.gateways, ...granted.flatMap(({ grants }) => grants.gateways)],
  };
}
