/**
 * The parts of group 0's state machine. Each has its own commands and its own section of the image, in
 * a folder of its own; `system_state.ts` lists them. Pure and deterministic.
 */
import type { CommandView } from "../../schemas/gen/command.ts";
import { RegistryError } from "../base/errors.ts";
import type { CommandHeader } from "../record/command.ts";

/** The effects of a command beyond its own part of the state. */
export interface Effect {
  /** Whether clients route differently from now on, so that the ring map gets a new epoch. */
  readonly changesRing?: boolean;
  /** The number that the command assigned, or the first of them. */
  readonly assigned?: number;
}

/** The position of an entry in the log. */
export interface EntryPoint {
  readonly index: number;
  readonly term: number;
}

/** A part of group 0's state. */
export interface SubMachine {
  /** Number of its section in images. Stable. */
  readonly section: number;
  /** Kinds of the commands that it applies. Stable; no two parts share one. */
  readonly kinds: readonly number[];

  /**
   * Applies a command of one of {@link kinds}, the entry at `at`.
   *
   * @throws RegistryError the code of the refusal; nothing was changed then.
   */
  apply(command: CommandView, at: EntryPoint): Effect | void;

  /**
   * Whether there is nothing that an image must have. Its section is then left out, so that programs that
   * do not know the part read the image. Absent: the section is always there.
   */
  readonly isEmpty?: boolean;

  /** Returns its state as commands for {@link load}. Equal states give equal bytes. */
  segments(from: CommandHeader): Iterable<Uint8Array>;

  /**
   * Applies a command of an image, in the order in which {@link segments} returned them.
   *
   * @throws RegistryError if the image cannot hold this command.
   */
  load(command: CommandView): void;

  /** Completes the load of an image. */
  loaded(): void;
}

/** Returns the refusal of a command with an invalid value. */
export function invalid(message: string): RegistryError {
  return new RegistryError("invalid_argument", message);
}

/** Returns the refusal of a conditional command: what it replaces has changed in the meantime. */
export function moved(message: string): RegistryError {
  return new RegistryError("incarnation_mismatch", message);
}

/** Returns the refusal of a command that would exceed a limit of group 0. */
export function full(what: string, max: number): RegistryError {
  return new RegistryError("overloaded", `Group 0 keeps at most ${max} ${what}`, {
    retryAfterMs: 60_000,
  });
}
