/**
 * The leaders that operators have chosen: the node that is to lead a partition, as long as it has a replica
 * that can. Everything else is spread evenly around them. Preferences end all at once.
 */
import type { CommandView } from "../../../schemas/gen/command.ts";
import { ForgetLeadersCommandView, PreferLeaderCommandView } from "../../../schemas/gen/system.ts";
import { RegistryError } from "../../base/errors.ts";
import { DEPARTURE_DETAIL_MAX } from "../../base/limits.ts";
import type { CommandHeader } from "../../record/command.ts";
import type { FoundingState } from "../founding/founding_state.ts";
import type { AuditState } from "../identities/audit_state.ts";
import type { MemberState } from "../members/member_state.ts";
import { invalid, type SubMachine } from "../sub_machine.ts";
import type { VersionState } from "../versions/version_state.ts";
import { encodePreferLeader, LEADER_KINDS, LEADERS_APPLY_VERSION } from "./leader_codec.ts";

/** The parts of group 0's state that preferences depend on. */
export interface LeaderParts {
  readonly founding: FoundingState;
  readonly members: MemberState;
  readonly versions: VersionState;
  readonly audit: AuditState;
}

/** The chosen leaders. */
export class LeaderState implements SubMachine {
  readonly section = 13;
  readonly kinds = Object.values(LEADER_KINDS);
  readonly #parts: LeaderParts;
  #preferred = new Map<number, number>();

  constructor(parts: LeaderParts) {
    this.#parts = parts;
  }

  /** The nodes that are to lead partitions, by partition: another map after each change. */
  get all(): ReadonlyMap<number, number> {
    return this.#preferred;
  }

  /** The number of partitions whose leader was chosen. */
  get count(): number {
    return this.#preferred.size;
  }

  get isEmpty(): boolean {
    return this.#preferred.size === 0;
  }

  apply(command: CommandView): void {
    if (this.#parts.versions.applyVersion < LEADERS_APPLY_VERSION) {
      throw invalid(`Apply version must be at least ${LEADERS_APPLY_VERSION} to choose leaders`);
    }
    if (command.kind === LEADER_KINDS.prefer) {
      const { detail, ...chosen } = command.bodyInto(new PreferLeaderCommandView()).toPlain();
      checkDetail(detail);
      if (!this.#parts.members.has(chosen.nodeId)) {
        throw new RegistryError("not_found", `Node ${chosen.nodeId} is not a member`);
      }
      const { partition, nodeId } = chosen;
      this.#checkPartition(partition);
      this.#preferred = new Map(this.#preferred).set(partition, nodeId);
      this.#parts.audit.record(
        command,
        "preferLeader",
        `partition ${partition}`,
        `node ${nodeId}, for ${detail}`,
      );
    } else {
      const { detail } = command.bodyInto(new ForgetLeadersCommandView()).toPlain();
      checkDetail(detail);
      const { size } = this.#preferred;
      this.#preferred = new Map();
      this.#parts.audit.record(command, "rebalance", `${size} chosen leaders`, detail);
    }
  }

  /** @throws RegistryError `invalid_argument` if there is no such partition. */
  #checkPartition(partition: number): void {
    const { partitionCount } = this.#parts.founding.checkCreated();
    if (partition >= partitionCount) {
      throw invalid(`Partition must be below ${partitionCount}: found ${partition}`);
    }
  }

  *segments(from: CommandHeader): Generator<Uint8Array, void, undefined> {
    const ordered = [...this.#preferred].sort(([left], [right]) => left - right);
    for (const [partition, nodeId] of ordered) {
      yield encodePreferLeader(from, { partition, nodeId, detail: "" });
    }
  }

  load(command: CommandView): void {
    if (command.kind !== LEADER_KINDS.prefer) throw invalid("An image holds chosen leaders");
    const { partition, nodeId } = command.bodyInto(new PreferLeaderCommandView());
    this.#checkPartition(partition);
    // Nobody has the map yet, so it need not be another one for each of thousands of choices.
    this.#preferred.set(partition, nodeId);
  }

  loaded(): void {}
}

function checkDetail(detail: string): void {
  if (detail.length <= DEPARTURE_DETAIL_MAX) return;
  throw invalid(`Detail must have at most ${DEPARTURE_DETAIL_MAX} characters`);
}
