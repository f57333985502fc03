/**
 * The apply version and the generation of a group, as logged state.
 *
 * *Apply version:* the meaning of commands changes only at an entry, and so at the same point on every
 * replica. It is raised once all members support it, never lowered; partitions follow, each by an entry
 * of its own. *Generation:* incarnations are (generation, index); a restore or an unsafe recovery raises
 * it, so that lost indexes can be assigned again. Every group's generation is part of its terms, so
 * the generation is raised by giving the groups of a stopped cluster terms of the next one. Then it is
 * recorded here; a record of another generation than that of its own term is refused.
 */
import { commandCodec, type CommandView } from "../../../schemas/gen/command.ts";
import {
  raiseApplyVersionCommandCodec,
  RaiseApplyVersionCommandView,
  raiseGenerationCommandCodec,
  RaiseGenerationCommandView,
} from "../../../schemas/gen/system.ts";
import { generationOfTerm } from "../../base/ids.ts";
import { type CommandHeader, laterProgram } from "../../record/command.ts";
import type { FoundingState } from "../founding/founding_state.ts";
import type { MemberState } from "../members/member_state.ts";
import { APPLY_VERSION_MAX, FIRST_APPLY_VERSION } from "./features.ts";
import { type Effect, type EntryPoint, invalid, moved, type SubMachine } from "../sub_machine.ts";

/** Kinds of the commands about versions. */
export const VERSION_KINDS = { raiseApplyVersion: 44, raiseGeneration: 45 } as const;

/** Encodes a raise of the apply version. */
export function encodeRaiseApplyVersion(from: CommandHeader, version: number): Uint8Array {
  const header = { ...from, kind: VERSION_KINDS.raiseApplyVersion };
  return commandCodec.encode(header, raiseApplyVersionCommandCodec, { version });
}

/** Encodes a raise of the generation. */
export function encodeRaiseGeneration(from: CommandHeader, generation: number): Uint8Array {
  const header = { ...from, kind: VERSION_KINDS.raiseGeneration };
  return commandCodec.encode(header, raiseGenerationCommandCodec, { generation });
}

/** The versions of group 0. */
export class VersionState implements SubMachine {
  readonly section = 10;
  readonly kinds = Object.values(VERSION_KINDS);
  readonly #founding: FoundingState;
  readonly #members: MemberState;
  #applyVersion = FIRST_APPLY_VERSION;
  #raisedGeneration = 0;

  constructor(founding: FoundingState, members: MemberState) {
    this.#founding = founding;
    this.#members = members;
  }

  /** The version by which commands are applied. */
  get applyVersion(): number {
    return this.#applyVersion;
  }

  /** The generation: that of the genesis until it is raised; 0 before the genesis. */
  get generation(): number {
    return Math.max(this.#raisedGeneration, this.#founding.genesis?.generation ?? 0);
  }

  apply(command: CommandView, { term }: EntryPoint): Effect {
    this.#founding.checkCreated();
    if (command.kind === VERSION_KINDS.raiseGeneration) {
      const { generation } = command.bodyInto(new RaiseGenerationCommandView());
      const current = generationOfTerm(term);
      if (generation !== current) {
        throw invalid(
          `Generation must be ${current}, that of the log's terms, as it is raised only while the ` +
            `cluster is stopped: found ${generation}`,
        );
      }
      if (generation <= this.generation) {
        throw moved(`Generation must be above ${this.generation}: found ${generation}`);
      }
      this.#raisedGeneration = generation;
      return { changesRing: true };
    }
    const { version } = command.bodyInto(new RaiseApplyVersionCommandView());
    if (version <= this.#applyVersion) {
      throw moved(`Apply version must be above ${this.#applyVersion}: found ${version}`);
    }
    // Members that support it agreed to it, so this replica runs an older program than its node said.
    if (version > APPLY_VERSION_MAX && version <= this.#members.applyVersionMax) {
      throw laterProgram(`apply version ${version}`);
    }
    const { applyVersionMax } = this.#members;
    if (version > applyVersionMax) {
      throw invalid(
        `Apply version must be supported by all members: found ${version}, they support ` +
          `${applyVersionMax}`,
      );
    }
    this.#applyVersion = version;
    return {};
  }

  *segments(from: CommandHeader): Generator<Uint8Array, void, undefined> {
    if (this.#applyVersion > FIRST_APPLY_VERSION) {
      yield encodeRaiseApplyVersion(from, this.#applyVersion);
    }
    if (this.#raisedGeneration > 0) yield encodeRaiseGeneration(from, this.#raisedGeneration);
  }

  load(command: CommandView): void {
    if (command.kind === VERSION_KINDS.raiseGeneration) {
      const { generation } = command.bodyInto(new RaiseGenerationCommandView());
      this.#raisedGeneration = generation;
    } else {
      // Members that joined later, or left, do not change which version applies.
      const { version } = command.bodyInto(new RaiseApplyVersionCommandView());
      if (version > APPLY_VERSION_MAX) throw laterProgram(`apply version ${version}`);
      this.#applyVersion = version;
    }
  }

  loaded(): void {}
}
