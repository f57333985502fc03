/** Changes of a cluster's shape, as an operator makes them, while it serves and is hurt. */
import type { SeededEntropy } from "../../../src/base/prng.ts";
import { REPLICAS } from "../../../src/ring/placement.ts";
import { Finding } from "../../sim/history.ts";
import { until } from "../../support/until.ts";
import { pause } from "./hurts.ts";
import type { ChaosNodes, Slot } from "./nodes.ts";

/** The time in which a change must succeed, whatever happens meanwhile, ms. */
const CHANGED_MS_MAX = 180_000;
/** The pause before a command that was refused is tried again, ms. */
const AGAIN_MS = 1_000;
/** The time limit for the process of a removed node to end, ms. */
const ENDED_MS_MAX = 30_000;

/** A change that was drawn. */
export interface Change {
  /** The slots whose nodes it ends or starts, which nothing else may hurt. */
  readonly slots: readonly Slot[];
  /** Makes the change, and describes it. */
  readonly make: () => Promise<string>;
}

/** The changes that a cluster can take. */
export class Changes {
  readonly #nodes: ChaosNodes;
  readonly #entropy: SeededEntropy;
  /** Called when a node has joined. */
  readonly #joined: () => Promise<void>;

  constructor(nodes: ChaosNodes, entropy: SeededEntropy, joined: () => Promise<void>) {
    this.#nodes = nodes;
    this.#entropy = entropy;
    this.#joined = joined;
  }

  /** Draws a change that the cluster can take now. */
  draw(): Change {
    const { members, slots } = this.#nodes;
    const empty = slots.find(({ nodeId }) => nodeId === 0);
    const some = this.#of(members);
    const changes: Change[] = [
      { slots: [], make: () => this.#transfer() },
      { slots: [], make: () => this.#rebalance() },
    ];
    if (members.length > REPLICAS) {
      changes.push({ slots: [], make: () => this.#drain(some) });
      changes.push({ slots: [some], make: () => this.#remove(some) });
    }
    if (empty !== undefined) {
      changes.push({ slots: [empty], make: () => this.#join(empty) });
      changes.push({ slots: [empty, some], make: () => this.#replace(some, empty) });
    }
    return this.#of(changes);
  }

  async #transfer(): Promise<string> {
    const partition = Math.floor(this.#entropy.unit() * this.#nodes.partitions);
    const show = await this.#nodes.crs("partition", "show", String(partition));
    const { leader, replicas } = JSON.parse(show.stdout) as {
      readonly leader: number | null;
      readonly replicas?: readonly { readonly nodeId: number }[];
    };
    const others = (replicas ?? []).map(({ nodeId }) => nodeId).filter((node) => node !== leader);
    if (others.length === 0) return `transfer of partition ${partition}: nobody answers for it`;
    const to = this.#of(others);
    const { code } = await this.#nodes.crs(
      ...["partition", "transfer", String(partition), `node-${to}`],
    );
    // The node may be hurt just now.
    return `transfer of partition ${partition} to node ${to}: ${code === 0 ? "done" : "refused"}`;
  }

  async #rebalance(): Promise<string> {
    await this.#done("cluster", "rebalance");
    return "rebalance";
  }

  async #drain({ nodeId }: Slot): Promise<string> {
    await this.#done("cluster", "drain", `node-${nodeId}`);
    await this.#done("cluster", "drain", `node-${nodeId}`, "--undo");
    return `drain of node ${nodeId}, and back`;
  }

  async #remove(slot: Slot): Promise<string> {
    const { nodeId } = slot;
    this.#nodes.expectEnd(slot);
    await this.#done("cluster", "remove", `node-${nodeId}`);
    const hasEnded = () => slot.process === undefined;
    await until(`the end of removed node ${nodeId}`, hasEnded, ENDED_MS_MAX).catch((cause) => {
      throw new Finding("removal", String(cause));
    });
    slot.nodeId = 0;
    return `remove of node ${nodeId}`;
  }

  async #join(slot: Slot): Promise<string> {
    await until("a node to join", async () => {
      try {
        await this.#nodes.join(slot);
        return true;
      } catch {
        // The node by which it joins may be hurt just now.
        await this.#nodes.end(slot, "SIGKILL");
        await pause(AGAIN_MS);
        return false;
      }
    }, CHANGED_MS_MAX).catch((cause) => {
      throw new Finding("joining", String(cause));
    });
    await this.#joined();
    return `join of node ${slot.nodeId}`;
  }

  async #replace(dead: Slot, slot: Slot): Promise<string> {
    const { nodeId } = dead;
    await this.#nodes.end(dead, "SIGKILL");
    await this.#join(slot);
    await this.#done("cluster", "replace", `node-${nodeId}`, "--by", `node-${slot.nodeId}`);
    dead.nodeId = 0;
    return `replace of dead node ${nodeId} by node ${slot.nodeId}`;
  }

  /** Runs a command until it succeeds. @throws Finding if it does not. */
  async #done(...args: readonly string[]): Promise<void> {
    let last = "";
    await until("a change", async () => {
      const { code, stdout, stderr } = await this.#nodes.crs(...args);
      last = stdout + stderr;
      if (code === 0) return true;
      await pause(AGAIN_MS);
      return false;
    }, CHANGED_MS_MAX).catch(() => {
      throw new Finding("changes", `${args.join(" ")} does not succeed: ${last}`);
    });
  }

  #of<T>(items: readonly T[]): T {
    return items[Math.floor(this.#entropy.unit() * items.length)]!;
  }
}
