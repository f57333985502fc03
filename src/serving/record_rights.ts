/**
 * Rights of stored records. Besides its lease, a record depends on the identity that wrote it and
 * on the grants that allow this identity to name the record's domain and gateway. All of this is
 * state of group 0, so every leader decides the same, also after a restart.
 *
 * A record loses its rights when its owner's subject or lineage is banned, when two holders of the
 * lineage were seen, or when a token that granted its domain or gateway has ended (and
 * RECORD_GRANT_GRACE_MS have passed) or is banned, and nothing else grants them.
 *
 * Clock assumption: the wall clock decides, as it does for the certificates and tokens themselves.
 */
import { RECORD_GRANT_GRACE_MS } from "../base/limits.ts";
import type { Grants } from "../base/peer.ts";
import type { WallClock } from "../base/world.ts";
import { grantsNames, type KeyFacts } from "../record/access.ts";
import { attachedIdOf } from "../record/kind_row.ts";
import { RECORD_KINDS, type RecordKind } from "../record/kinds.ts";
import type { PartitionStore } from "../store/store.ts";
import type { Lineage } from "../system/enrolment_records.ts";
import { BAN_KINDS } from "../../schemas/gen/wire.ts";
import type { IdentityState } from "../system/identity_state.ts";
import type { TokenGrant } from "../system/token_grants.ts";

/** Reason for which a record has lost its rights. */
export type RightsFault = "banned" | "grant_ended";

/** Decides whether records still have their rights. */
export class RecordRights {
  readonly #state: () => IdentityState;
  readonly #wall: WallClock;
  readonly #renewalGraceMs: number;

  /**
   * @param parts `renewalGraceMs`: time after its end for which an owner's certificate may be
   * renewed.
   */
  constructor(parts: { state: () => IdentityState; wall: WallClock; renewalGraceMs: number }) {
    this.#state = parts.state;
    this.#wall = parts.wall;
    this.#renewalGraceMs = parts.renewalGraceMs;
  }

  /**
   * Reports whether a lineage can no longer obtain a certificate, because its last one ended too
   * long ago. Its records may then end, and no other peer may renew them for it. Allocates nothing.
   */
  hasLapsed(lineage: number): boolean {
    const found = this.#state().lineage(lineage);
    return found !== undefined &&
      found.latest.notAfterMs + this.#renewalGraceMs < this.#wall.unixMs();
  }

  /**
   * Returns the reason for which the record of a slot must be removed; `undefined` if it may stay.
   */
  faultOf(kind: RecordKind, store: PartitionStore, slot: number): RightsFault | undefined {
    const record = store.recordView(slot);
    const state = this.#state();
    // Unknown: written by the development identity, or by a lineage that is no longer stored.
    const lineage = state.lineage(record.writer);
    if (lineage === undefined) return undefined;
    const nowMs = this.#wall.unixMs();
    if (isBanned(state, lineage, nowMs)) return "banned";
    const granted = state.grants.of(lineage.lineage);
    if (granted === undefined) return undefined;
    const gatewayId = attachedIdOf(RECORD_KINDS.row(kind), record);
    const facts: KeyFacts = {
      kind,
      id: record.id,
      domain: record.domain,
      ...(gatewayId === undefined ? {} : { gatewayId }),
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
  // The owner of a replaced lineage still exists: it joined again.
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
