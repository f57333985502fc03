/**
 * Raises the apply version of group 0, at its leader, once all members support a higher one. A node whose
 * program is older could not apply what follows, so the members' word counts, and a node that does not
 * support the version joins no more. Partitions follow when they need it (src/serving/
 * partition_versions.ts).
 */
import { RegistryError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { WallClock } from "../../base/world.ts";
import { APPLY_VERSION_MAX } from "../../system/versions/features.ts";
import { encodeRaiseApplyVersion } from "../../system/versions/version_state.ts";
import type { HostedSystem } from "../assembly/cluster_groups.ts";
import { SystemCommands } from "./system_commands.ts";

/** The dependencies of a raiser. */
export interface VersionRaiserOptions {
  readonly system: HostedSystem;
  readonly wall: WallClock;
  readonly logger: Logger;
}

/** Raises the apply version of group 0 while this node leads it. */
export class VersionRaiser {
  readonly #options: VersionRaiserOptions;
  readonly #commands: SystemCommands;
  #isRunning = false;

  constructor(options: VersionRaiserOptions) {
    this.#options = options;
    this.#commands = new SystemCommands(options.system, options.wall);
  }

  /** Proposes what is due, unless that is in progress. Never rejects. */
  async run(): Promise<void> {
    const { group, store } = this.#options.system;
    const { members, versions } = store.state;
    const version = Math.min(APPLY_VERSION_MAX, members.applyVersionMax);
    const isDue = group.isLeading && members.count > 0 && version > versions.applyVersion;
    if (!isDue || this.#isRunning) return;
    this.#isRunning = true;
    try {
      await this.#commands.propose(encodeRaiseApplyVersion(this.#commands.header(), version));
      this.#options.logger.info("The apply version was raised", { version });
    } catch (error) {
      // Leadership was lost, the log is full, or a member with an older program came meanwhile.
      if (!(error instanceof RegistryError)) throw error;
      const { code, message } = error;
      this.#options.logger.debug("The apply version was not raised", { code, message });
    } finally {
      this.#isRunning = false;
    }
  }
}
