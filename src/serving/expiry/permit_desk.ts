/**
 * Permits to expire records as nodes draw them, and the expiry of records as operators steer it, at the
 * leader of group 0, which logs both.
 */
import {
  type DrawPermitsRequest,
  EXPIRY_ACTIONS,
  type PermitDemand,
  type PermitGrant,
  type SteerExpiryRequest,
} from "../../../schemas/gen/wire.ts";
import { RegistryError } from "../../base/errors.ts";
import { EXPIRY_HOLD_MS_MAX, PERMIT_REGIONS_PER_DRAW_MAX } from "../../base/limits.ts";
import type { AuthenticatedPeer } from "../../base/peer.ts";
import type { Input } from "../../../schemas/runtime/writer.ts";
import { STALE_APPLY_VERSION } from "../../record/kind_row.ts";
import { encodeDrawPermits, encodeSteerExpiry } from "../../system/expiry/expiry_codec.ts";
import type { BudgetSettings } from "../../system/expiry/expiry_budget.ts";
import { checkVersion, type IdentityGroup, invalid } from "../identities/identity_group.ts";

/** A draw, by the number that its node chose. */
export interface PermitDraw {
  readonly draw: number;
  readonly items: readonly Input<PermitDemand>[];
}

/** Gives permits, and takes what operators decide. */
export class PermitDesk {
  readonly #group: IdentityGroup;
  readonly #settings: BudgetSettings;

  constructor(group: IdentityGroup, settings: BudgetSettings) {
    this.#group = group;
    this.#settings = settings;
  }

  /**
   * Logs a draw of a node, once, however often it is asked for.
   *
   * @returns one grant for each item, in the same order.
   * @throws RegistryError `not_leader`; `too_large`; `overloaded` while a node runs a program that knows no
   * permits; those of a proposal.
   */
  async draw(
    nodeId: number,
    { draw, items }: PermitDraw | DrawPermitsRequest,
    deadlineMs: number,
  ): Promise<readonly PermitGrant[]> {
    if (items.length > PERMIT_REGIONS_PER_DRAW_MAX) {
      throw new RegistryError(
        "too_large",
        `items must be at most ${PERMIT_REGIONS_PER_DRAW_MAX}: found ${items.length}`,
        { field: "items" },
      );
    }
    const group = this.#group;
    const refusal = group.leading.notLeading();
    if (refusal !== undefined) throw refusal;
    checkVersion(group, STALE_APPLY_VERSION, "permits to expire records");
    const ledFromMs = Math.floor(group.store.ledFromMs);
    const body = { draw, nodeId, ledFromMs, ...this.#settings, items: [...items] };
    await group.proposeAtLeader((from) => encodeDrawPermits(from, body), 0, deadlineMs);
    const grants = group.store.state.expiry.grantsOf(nodeId, draw);
    if (grants !== undefined) return grants;
    throw new RegistryError("incarnation_mismatch", `Draw ${draw} is not the node's last one`);
  }

  /**
   * Holds the expiry of a region's records for a time, ends that, or releases its stale records.
   *
   * @throws RegistryError `not_leader`; `invalid_argument`; `overloaded` as {@link draw}.
   */
  async steer(
    { action, region, forMs }: SteerExpiryRequest,
    { subject: detail, lineage }: AuthenticatedPeer,
    deadlineMs: number,
  ): Promise<void> {
    if (action !== EXPIRY_ACTIONS.hold && action !== EXPIRY_ACTIONS.release) {
      throw invalid("action", "be hold or release");
    }
    if (forMs > EXPIRY_HOLD_MS_MAX) {
      throw invalid("forMs", `be at most ${EXPIRY_HOLD_MS_MAX}: found ${forMs}`);
    }
    const group = this.#group;
    await group.currentAtLeader();
    checkVersion(group, STALE_APPLY_VERSION, "the expiry guard");
    const body = { action, region, forMs, detail };
    await group.proposeAtLeader((from) => encodeSteerExpiry(from, body), lineage, deadlineMs);
  }
}
