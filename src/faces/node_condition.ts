/** The region and the status of the node that a face calls, asked at most once a second. */
import { FACE_NODE_CONDITION_MS } from "../base/limits.ts";
import type { MonotonicClock } from "../base/world.ts";
import type { Client, NodeStatus } from "../client/types.ts";

/** The client of the face itself. */
export type FaceClient = Pick<Client, "status" | "nodeStatus"> & {
  readonly maps: Pick<Client["maps"], "listSeeders">;
};

/** The status of the node, as this face's own identity reads it. */
export class NodeCondition {
  readonly #client: FaceClient;
  readonly #clock: MonotonicClock;
  #region: string | undefined;
  #status: { readonly asked: Promise<NodeStatus>; readonly atMs: number } | undefined;

  constructor(client: FaceClient, clock: MonotonicClock) {
    this.#client = client;
    this.#clock = clock;
  }

  /** Whether the client is connected to a node. */
  get isConnected(): boolean {
    return this.#client.status.state === "connected";
  }

  /** Returns the status, not older than a second. @throws RegistryError as `nodeStatus`. */
  status(): Promise<NodeStatus> {
    const atMs = this.#clock.nowMs();
    const known = this.#status;
    if (known !== undefined && atMs - known.atMs < FACE_NODE_CONDITION_MS) return known.asked;
    const asked = this.#client.nodeStatus();
    const status = { asked, atMs };
    this.#status = status;
    // A failure is told to those who asked, and not kept.
    asked.catch(() => {
      if (this.#status === status) this.#status = undefined;
    });
    return asked;
  }

  /** Returns the region of the node, which never changes. @throws RegistryError as `nodeStatus`. */
  async region(): Promise<string> {
    this.#region ??= (await this.status()).region;
    return this.#region;
  }
}
