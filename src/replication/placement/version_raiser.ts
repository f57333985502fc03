/**
 * Raises apply versions: that of group 0 at its leader, once all members support a higher one, and then
 * that of each partition at its own leader. A node whose program is older could not apply what follows,
 * so the members' word counts, and a node that does not support the version joins no more.
 */
import { RegistryError } from "../../base/errors.ts";
import { REQUEST_TIMEOUT_MS_DEFAULT, VERSION_RAISES_AT_ONCE } from "../../base/limits.ts";
import type { Logger } from "../../base/logger.ts";
import type { WallClock } from "../../base/world.ts";
import { encodeRaisePartitionVersion } from "../../record/command.ts";
import { APPLY_VERSION_MAX, encodeRaiseApplyVersion } from "../../system/versions/version_state.ts";
import type { ClusterGroups, HostedPartition } from "../assembly/cluster_groups.ts";
import { SystemCommands } from "./system_commands.ts";

/** The dependencies of a raiser. */
export interface VersionRaiserOptions {
  readonly groups: ClusterGroups;
  readonly wall: WallClock;
  readonly logger: Logger;
}

/** Raises the apply versions of the groups that this node leads. */
export class VersionRaiser {
  readonly #options: VersionRaiserOptions;
  readonly #commands: SystemCommands;
  #isRunning = false;

  constructor(options: VersionRaiserOptions) {
    this.#options = options;
    this.#commands = new SystemCommands(options.groups.system, options.wall);
  }

  /** Proposes what is due, unless that is in progress. Never rejects. */
  async run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      await this.#raiseSystem();
      await Promise.all(this.#due().map((partition) => this.#raise(partition)));
    } catch (error) {
      // Leadership was lost, the log is full, or a member with an older program came meanwhile.
      if (!(error instanceof RegistryError)) throw error;
      const { code, message } = error;
      this.#options.logger.debug("An apply version was not raised", { code, message });
    } finally {
      this.#isRunning = false;
    }
  }

  async #raiseSystem(): Promise<void> {
    const { group, store } = this.#options.groups.system;
    const { members, versions } = store.state;
    const version = Math.min(APPLY_VERSION_MAX, members.applyVersionMax);
    if (!group.isLeading || members.count === 0 || version <= versions.applyVersion) return;
    await this.#commands.propose(encodeRaiseApplyVersion(this.#commands.header(), version));
    this.#options.logger.info("The apply version was raised", { version });
  }

  /** Returns the partitions led here whose version may be raised. */
  #due(): HostedPartition[] {
    const { groups } = this.#options;
    const { applyVersion } = groups.system.store.state.versions;
    const due: HostedPartition[] = [];
    for (const partition of groups.partitions) {
      const { group, store } = partition;
      const version = Math.min(applyVersion, store.applyVersionMax);
      if (store.applyVersion < version && group.isLeading) due.push(partition);
      if (due.length === VERSION_RAISES_AT_ONCE) break;
    }
    return due;
  }

  async #raise({ group, store }: HostedPartition): Promise<void> {
    const version = Math.min(
      this.#options.groups.system.store.state.versions.applyVersion,
      store.applyVersionMax,
    );
    const header = { ...this.#commands.header(), timeMs: Math.floor(group.timeMs()) };
    const command = encodeRaisePartitionVersion(header, version);
    const proposed = await group.propose(command, REQUEST_TIMEOUT_MS_DEFAULT);
    // Refused: another leader has raised it. Not logged: the next run tries again.
    if (!proposed.ok) throw proposed.error;
  }
}
