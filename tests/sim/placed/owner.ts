/**
 * An agent that proves an identity of its own, while clients have the development identity: who it is, what
 * it may name, and how its right to its record ends. Certificates and tokens have cheap stand-ins, because a
 * node knows by the wire who dials it; what it does with them is production's.
 */
import { NO_GRANTS } from "../../../src/base/peer.ts";
import { parseUuid } from "../../../src/base/uuid.ts";
import { BAN_KINDS } from "../../../schemas/gen/wire.ts";
import type { Lineage } from "../../../src/system/enrolment_records.ts";
import type { IdentityState } from "../../../src/system/identity_state.ts";
import type { TokenGrant } from "../../../src/system/token_grants.ts";
import type { ProvenIdentity } from "../../../identity/registry_auth/mod.ts";
import type { BanList } from "../../../identity/trust/ban_list.ts";
import { SessionLife } from "../../../identity/trust/session_life.ts";
import { AUTH_SESSION_MS_MAX } from "../../../src/base/limits.ts";
import { type Process, STARTED_UNIX_MS } from "../machine.ts";

const REGION = "eu";
/** Later than any run. */
export const NOT_AFTER_MS = 4_000_000_000_000;
/** The lineage of the first owner. */
const LINEAGE_MIN = 10;

/** How the right of an owner ends: by a ban of its subject, lineage or token, … or never. */
export type RightsEnd =
  | "ban_subject"
  | "ban_lineage"
  | "ban_token"
  | "stolen"
  | "token_ends"
  | "never";

/** Decisions about an owner. */
export interface OwnerPlan {
  readonly end: RightsEnd;
  /** When its right ends, true time, ms; a token has a grace then. */
  readonly endsAtMs: number;
  /** Whether a token grants its domain, and its certificate does not. */
  readonly hasToken: boolean;
  /** The lease of its agent, ms: short, or so long that nothing but its right ends the record in a run. */
  readonly ttlMs: number;
}

/** An owner. */
export class Owner {
  readonly plan: OwnerPlan;
  /** UUID of its agent. */
  readonly id: string;
  readonly domain: string;
  /** Its address on the wire. */
  readonly address: number;
  readonly subject: string;
  readonly tokenId: string;
  readonly lineage: Lineage;
  /** Whether its record is gone, as its right is, so that it must not return. */
  isOver = false;

  constructor(
    plan: OwnerPlan,
    { number, id, address }: {
      readonly number: number;
      readonly id: string;
      readonly address: number;
    },
  ) {
    this.plan = plan;
    this.id = id;
    this.address = address;
    this.domain = `owned${number}.example`;
    this.subject = `spiffe://simulated.example/region/${REGION}/agent/${id}`;
    this.tokenId = `token-${number}`;
    this.lineage = {
      lineage: LINEAGE_MIN + number,
      version: 1,
      subject: this.subject,
      grants: plan.hasToken ? NO_GRANTS : this.#named,
      latest: {
        generation: 1,
        publicKey: new Uint8Array(32).fill(number),
        notBeforeMs: 0,
        notAfterMs: NOT_AFTER_MS,
        issuerKeyId: new Uint8Array(20),
      },
      latestUsed: true,
    };
  }

  get #named() {
    return { domains: [this.domain], gateways: [] };
  }

  /** When its token ends, Unix ms of a correct clock. */
  get #tokenUntilMs(): number {
    const { end, endsAtMs } = this.plan;
    return end === "token_ends" ? STARTED_UNIX_MS + Math.ceil(endsAtMs) : NOT_AFTER_MS;
  }

  /** The grant of its token; undefined if it has none. */
  get grant(): TokenGrant | undefined {
    if (!this.plan.hasToken) return undefined;
    return {
      tokenId: this.tokenId,
      lineage: this.lineage.lineage,
      subject: this.subject,
      grants: this.#named,
      untilMs: this.#tokenUntilMs,
    };
  }

  /** Whether a state of group 0 knows it, and its token. */
  isKnown(state: IdentityState): boolean {
    const isGranted = !this.plan.hasToken || state.grants.get(this.tokenId) !== undefined;
    return isGranted && state.lineage(this.lineage.lineage) !== undefined;
  }

  /** Whether a state of group 0 has what ends its right; the end of a token is no change of it. */
  isEnded(state: IdentityState): boolean {
    const banned = (kind: number, name: string) => state.banOf(kind, name, 0) !== undefined;
    const { lineage } = this.lineage;
    switch (this.plan.end) {
      case "ban_subject":
        return banned(BAN_KINDS.subject, this.subject);
      case "ban_lineage":
        return banned(BAN_KINDS.lineage, String(lineage));
      case "ban_token":
        return banned(BAN_KINDS.token, this.tokenId);
      case "stolen":
        return state.lineage(lineage)?.stopped !== undefined;
      case "token_ends":
      case "never":
        return true;
    }
  }

  /** Begins a session at a node, by its clock and its bans, as a proof by certificate and token does. */
  prove(process: Process, bans: BanList): SessionLife {
    const { lineage, subject, tokenId } = this;
    const usesToken = this.plan.hasToken && process.unixMs() < this.#tokenUntilMs &&
      !bans.isBanned({ subject, tokenId });
    const identity: ProvenIdentity & { readonly tokenIds: readonly string[] } = {
      subject,
      subjectId: parseUuid(this.id),
      role: "agent",
      region: REGION,
      lineage: lineage.lineage,
      grants: usesToken ? this.#named : lineage.grants,
      leafHash: new Uint8Array(32),
      publicKey: lineage.latest.publicKey,
      notAfterMs: NOT_AFTER_MS,
      tokenIds: usesToken ? [tokenId] : [],
    };
    return new SessionLife({
      identity,
      pinned: true,
      expiresAtMs: usesToken ? this.#tokenUntilMs : NOT_AFTER_MS,
      sessionMsMax: AUTH_SESSION_MS_MAX,
      wall: process,
      scheduler: process,
      bans,
    });
  }
}
