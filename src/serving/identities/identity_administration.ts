/** Administration of identities: bans, and the end of a node's membership; both are audited. */
import { RegistryError } from "../../base/errors.ts";
import type { AuthenticatedPeer } from "../../base/peer.ts";
import type { WallClock } from "../../base/world.ts";
import { encodeRemoveMember } from "../../record/command.ts";
import { BAN_KINDS, type BanKind } from "../../../schemas/gen/wire.ts";
import { encodeBan } from "../../system/identity_codec.ts";
import { formatSpiffeId } from "../../../identity/pki/spiffe.ts";
import { nodeSubjectId } from "../node_subject.ts";
import { banDetail, canonicalBanName, isKnownName, keptBanName } from "./ban_names.ts";
import { checkCapabilitiesVersion } from "./capability_service.ts";
import { type IdentityGroup, invalid } from "./identity_group.ts";

/** Bans identities and removes members. */
export class IdentityAdministration {
  readonly #group: IdentityGroup;
  readonly #wall: WallClock;

  constructor(group: IdentityGroup, wall: WallClock) {
    this.#group = group;
    this.#wall = wall;
  }

  /**
   * Bans a name, or lifts a ban.
   *
   * @returns the stored name, and whether group 0 knows something of that name.
   * @throws RegistryError `not_found` if there is no ban to lift, or no such lineage;
   * `invalid_argument` for a name that no peer can have, or an end in the past.
   */
  async ban(
    ban: { kind: BanKind; name: string; reason: string; untilMs: number; lifted: boolean },
    writer: number,
    deadlineMs: number,
  ): Promise<{ readonly name: string; readonly known: boolean }> {
    const { kind, lifted, untilMs } = ban;
    await this.#group.currentAtLeader();
    if (kind === "capability") checkCapabilitiesVersion(this.#group);
    const name = lifted
      ? keptBanName(ban, this.#group.state)
      : canonicalBanName(ban, this.#group.knownScope?.trustDomain);
    const known = isKnownName({ kind, name }, this.#group.state);
    if (!lifted && kind === "lineage" && !known) {
      throw new RegistryError("not_found", `There is no lineage ${name} to ban`);
    }
    if (!lifted && untilMs !== 0 && untilMs <= this.#wall.unixMs()) {
      throw invalid("untilMs", "be later than now");
    }
    const body = { ...ban, name, kind: BAN_KINDS[kind], detail: banDetail(ban) };
    await this.#group.proposeAtLeader((header) => encodeBan(header, body), writer, deadlineMs);
    return { name, known };
  }

  /**
   * Ends a node's membership and its certificates permanently; audited. Placement moves the
   * replicas of the node to other nodes.
   *
   * @throws RegistryError `not_found`, `invalid_argument` for the last member; `not_leader`.
   */
  async removeMember(
    nodeId: number,
    { subject, lineage }: AuthenticatedPeer,
    deadlineMs: number,
  ): Promise<void> {
    // The ban that follows needs the leader, and a removal cannot be repeated there.
    await this.#group.currentAtLeader();
    await this.#group.proposeAtLeader(
      (header) => encodeRemoveMember(header, { nodeId, detail: subject }),
      lineage,
      deadlineMs,
    );
    await this.#banNode(nodeId, lineage, deadlineMs);
  }

  /**
   * Bans the identity of a node that is no member any more, if nodes have identities. Has no further effect
   * when repeated.
   *
   * @throws RegistryError `not_leader`.
   */
  async banRemoved(nodeId: number): Promise<void> {
    await this.#banNode(nodeId, 0, this.#group.soon());
  }

  async #banNode(nodeId: number, writer: number, deadlineMs: number): Promise<void> {
    const { genesis } = this.#group.store;
    const { knownScope } = this.#group;
    if (knownScope === undefined || genesis === undefined) return;
    const { trustDomain, region } = knownScope;
    const subjectId = nodeSubjectId(genesis.clusterId, nodeId);
    const name = formatSpiffeId({ trustDomain, region, role: "node", subjectId });
    const reason = "it was removed from the cluster";
    await this.ban(
      { kind: "subject", name, reason, untilMs: 0, lifted: false },
      writer,
      deadlineMs,
    );
  }
}
