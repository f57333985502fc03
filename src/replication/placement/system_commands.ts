/** Proposes commands of the registry itself to group 0, at its leader. */
import { REQUEST_TIMEOUT_MS_DEFAULT } from "../../base/limits.ts";
import type { WallClock } from "../../base/world.ts";
import type { CommandHeader } from "../../record/command.ts";
import { type HostedSystem, systemApplied } from "../assembly/cluster_groups.ts";

/** The commands of one node to group 0. */
export class SystemCommands {
  readonly #system: HostedSystem;
  readonly #wall: WallClock;

  constructor(system: HostedSystem, wall: WallClock) {
    this.#system = system;
    this.#wall = wall;
  }

  /** Returns the header of a command that is proposed now. */
  header(): CommandHeader {
    const unixS = Math.min(0xffff_ffff, Math.floor(this.#wall.unixMs() / 1_000));
    return { timeMs: Math.floor(this.#system.group.timeMs()), unixS, writer: 0 };
  }

  /**
   * Proposes a command, and returns its reply once it is applied.
   *
   * @throws RegistryError if it was refused or not logged; `not_leader`.
   */
  async propose(command: Uint8Array): Promise<{ readonly assigned?: number }> {
    return systemApplied(await this.#system.group.propose(command, REQUEST_TIMEOUT_MS_DEFAULT));
  }
}
