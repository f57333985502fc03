/**
 * The announcement of this node's description to group 0: its addresses, pins, zone and host. Repeated until
 * this node's own copy of group 0 has the description as it is now.
 */
import type { JoinClusterRequest } from "../../schemas/gen/wire.ts";
import { ANNOUNCE_RETRY_MS, REQUEST_TIMEOUT_MS_DEFAULT } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { Scheduler } from "../base/world.ts";
import { isDescribed } from "./cluster_peers.ts";
import type { NodeRequests } from "./node_requests.ts";
import type { Registry } from "./registry.ts";

/** The dependencies of an {@link Announcement}. */
export interface AnnouncementOptions {
  readonly registry: Registry;
  readonly nodeId: number;
  readonly calls: Pick<NodeRequests, "call">;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  /** Returns the description as it is now. */
  readonly request: () => JoinClusterRequest;
}

/** Tells group 0 what this node is. */
export class Announcement {
  readonly #options: AnnouncementOptions;
  #isRunning = false;
  /** Whether the description may have changed since group 0 was told last. */
  #isUntold = false;
  #isClosed = false;
  #seenVersion = 0;

  constructor(options: AnnouncementOptions) {
    this.#options = options;
  }

  /** Tells the leader of group 0 once, unless it is known there. @throws RegistryError its refusal. */
  async once(): Promise<void> {
    if (this.#isTold) return;
    const { registry, calls, request } = this.#options;
    const { group } = registry.groups.system;
    const { leader } = group.status();
    if (group.isLeading) await registry.joining.join(request(), "self");
    else await calls.call(leader, "joinCluster", request(), REQUEST_TIMEOUT_MS_DEFAULT);
  }

  /** Tells it until this node's copy of group 0 has it. Never rejects. */
  async run(): Promise<void> {
    this.#isUntold = true;
    if (this.#isRunning) return;
    this.#isRunning = true;
    while (this.#isUntold && !this.#isClosed) {
      this.#isUntold = false;
      try {
        await this.once();
        if (this.#isTold) continue;
        // Its own copy is behind, or whoever was asked does not lead group 0 any more.
        this.#isUntold = true;
      } catch (error) {
        this.#isUntold = true;
        this.#options.logger.debug("Group 0 was not told this node's addresses yet", { error });
      }
      await this.#pause(ANNOUNCE_RETRY_MS);
    }
    this.#isRunning = false;
  }

  /**
   * Reports whether the apply version is another one than at the last call, and then tells group 0 again
   * if it keeps more of the description now.
   */
  isRaised(): boolean {
    const { applyVersion } = this.#options.registry.groups.system.store.state.versions;
    if (applyVersion === this.#seenVersion) return false;
    this.#seenVersion = applyVersion;
    if (!this.#isTold) void this.run();
    return true;
  }

  /** Gives up. */
  close(): void {
    this.#isClosed = true;
  }

  get #isTold(): boolean {
    const { registry, nodeId, request } = this.#options;
    return isDescribed(registry.groups.system.store.state, nodeId, request());
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#options.scheduler.after(ms, resolve));
  }
}
