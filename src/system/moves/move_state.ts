/**
 * Whether operators have paused the moves that spread replicas over nodes: then replicas stay where they are,
 * unless one is missing or its node departs (src/replication/placement/plan.ts).
 */
import type { CommandView } from "../../../schemas/gen/command.ts";
import { PauseMovesCommandView } from "../../../schemas/gen/system.ts";
import { DEPARTURE_DETAIL_MAX } from "../../base/limits.ts";
import type { CommandHeader } from "../../record/command.ts";
import type { AuditState } from "../identities/audit_state.ts";
import { invalid, type SubMachine } from "../sub_machine.ts";
import { PAUSED_MOVES_APPLY_VERSION } from "../versions/features.ts";
import type { VersionState } from "../versions/version_state.ts";
import { encodePauseMoves, MOVE_KINDS } from "./move_codec.ts";

/** The parts of group 0's state that a pause depends on. */
export interface MoveParts {
  readonly versions: VersionState;
  readonly audit: AuditState;
}

/** The pause of moves. */
export class MoveState implements SubMachine {
  readonly section = 15;
  readonly kinds = Object.values(MOVE_KINDS);
  readonly #parts: MoveParts;
  #arePaused = false;

  constructor(parts: MoveParts) {
    this.#parts = parts;
  }

  /** Whether moves that only spread replicas are not begun. */
  get arePaused(): boolean {
    return this.#arePaused;
  }

  get isEmpty(): boolean {
    return !this.#arePaused;
  }

  apply(command: CommandView): void {
    const { versions, audit } = this.#parts;
    if (versions.applyVersion < PAUSED_MOVES_APPLY_VERSION) {
      throw invalid(`Apply version must be at least ${PAUSED_MOVES_APPLY_VERSION} to pause moves`);
    }
    const { arePaused, detail } = command.bodyInto(new PauseMovesCommandView()).toPlain();
    if (detail.length > DEPARTURE_DETAIL_MAX) {
      throw invalid(`Detail must have at most ${DEPARTURE_DETAIL_MAX} characters`);
    }
    if (arePaused === this.#arePaused) return;
    this.#arePaused = arePaused;
    audit.record(command, "pauseMoves", arePaused ? "paused" : "resumed", detail);
  }

  *segments(from: CommandHeader): Generator<Uint8Array, void, undefined> {
    if (this.#arePaused) yield encodePauseMoves(from, { arePaused: true, detail: "" });
  }

  load(command: CommandView): void {
    this.#arePaused = command.bodyInto(new PauseMovesCommandView()).arePaused;
  }

  loaded(): void {}
}
