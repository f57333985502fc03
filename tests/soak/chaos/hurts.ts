/**
 * Faults of one node or of its links. Each begins, lasts, and is healed before its function returns. A node
 * does not start while its clock is off: others refuse its certificate then, and say so (cluster_faults.ts).
 */
import type { SeededEntropy } from "../../../src/base/prng.ts";
import { clockOfFile, FAKETIME } from "../../support/faketime.ts";
import { fill, mountSmall } from "../../support/outages.ts";
import { GCC, type Requirement } from "../../support/requirement.ts";
import { MOUNT } from "../../support/small_disk.ts";
import { WriteStaller } from "../../support/stalled_write.ts";
import { until } from "../../support/until.ts";
import type { ChaosNodes, Slot } from "./nodes.ts";

/** Fault lengths, ms: from what nobody notices to longer than leases and sessions last. */
const FAULT_MS_MIN = 200;
const FAULT_MS_MAX = 9_000;
/** The slot whose node has a small disk, and its room, which the log of a part fits into. */
const SMALL_DISK_SLOT = 3;
const DISK_MEBIBYTES = 512;
const FULL_MS_MAX = 30_000;
/** Slots with a wall clock of their own are those with even numbers; the steps that they make. */
const STEPS = ["+1s", "-1s", "+10m", "-10m", "+2h", "-2h"];
const RIGHT = "+0";

/** A fault; it describes itself when it has healed. */
export type Hurt = (slot: Slot) => Promise<string>;

/** The faults that there can be on this machine. */
export class Hurts {
  readonly #nodes: ChaosNodes;
  readonly #entropy: SeededEntropy;
  readonly #stallers = new Map<Slot, WriteStaller>();
  readonly #clocks = new Map<Slot, string>();
  /** The slot whose disk can be filled. */
  #smallDisk: Slot | undefined;
  #unmount = async () => {};

  private constructor(nodes: ChaosNodes, entropy: SeededEntropy) {
    this.#nodes = nodes;
    this.#entropy = entropy;
  }

  /** Prepares the slots of nodes that are not started yet. */
  static async prepare(
    nodes: ChaosNodes,
    entropy: SeededEntropy,
    report: (line: string) => void,
  ): Promise<Hurts> {
    const hurts = new Hurts(nodes, entropy);
    const isThere = ({ found, advice }: Requirement<string>) => {
      if (found === undefined) report(`skipped: ${advice}`);
      return found !== undefined;
    };
    const can = { stall: isThere(GCC), step: isThere(FAKETIME) };
    for (const slot of nodes.slots) await hurts.#prepareSlot(slot, can);
    const small = nodes.slots[SMALL_DISK_SLOT - 1];
    if (isThere(MOUNT) && small !== undefined) {
      hurts.#unmount = await mountSmall(small.local.folder, DISK_MEBIBYTES);
      hurts.#smallDisk = small;
    }
    return hurts;
  }

  /** Gives a slot the libraries that are preloaded into its node. */
  async #prepareSlot(slot: Slot, can: { readonly stall: boolean; readonly step: boolean }) {
    const folder = `${this.#nodes.folder}/preload-${slot.number}`;
    await Deno.mkdir(folder);
    const libraries: string[] = [];
    const add = (env: Readonly<Record<string, string>>) => {
      libraries.push(env["LD_PRELOAD"]!);
      slot.env = { ...slot.env, ...env, LD_PRELOAD: libraries.join(":") };
    };
    if (can.stall) {
      const staller = await WriteStaller.compile(folder);
      this.#stallers.set(slot, staller);
      add(staller.env);
    }
    if (can.step && slot.number % 2 === 0) {
      const clock = `${folder}/clock`;
      await Deno.writeTextFile(clock, `${RIGHT}\n`);
      this.#clocks.set(slot, clock);
      add(await clockOfFile(clock));
    }
  }

  /** Takes back what was prepared; the nodes must have ended. */
  async end(): Promise<void> {
    await this.#unmount();
  }

  /** Draws a fault that a node can have. */
  draw(slot: Slot): Hurt {
    const hurts: Hurt[] = [this.#kill, this.#kill, this.#restart, this.#stop, this.#cut, this.#cut];
    if (this.#stallers.has(slot)) hurts.push(this.#stall);
    if (this.#clocks.has(slot)) hurts.push(this.#step);
    // The only node that can have it has it often.
    if (slot === this.#smallDisk) {
      hurts.push(...Array(4).fill(this.#fillDisk));
    }
    return this.#of(hurts);
  }

  readonly #kill: Hurt = async (slot) => {
    await this.#nodes.end(slot, "SIGKILL");
    const deadMs = await this.#last();
    const backMs = await took(this.#nodes.start(slot));
    return `kill -9 of ${slot.local.name}: dead for ${seconds(deadMs)}, back in ${seconds(backMs)}`;
  };

  readonly #restart: Hurt = async (slot) => {
    const endMs = await took(this.#nodes.end(slot, "SIGTERM"));
    const backMs = await took(this.#nodes.start(slot));
    const { name } = slot.local;
    return `restart of ${name}: ended in ${seconds(endMs)}, back in ${seconds(backMs)}`;
  };

  readonly #stop: Hurt = async (slot) => {
    slot.process!.kill("SIGSTOP");
    const stoppedMs = await this.#last();
    slot.process!.kill("SIGCONT");
    return `SIGSTOP of ${slot.local.name} for ${seconds(stoppedMs)}`;
  };

  /** Cuts the links of a node to one other, or to all, in one direction or in both. */
  readonly #cut: Hurt = async (slot) => {
    const others = this.#nodes.slots.filter((other) => other !== slot);
    const cut = this.#entropy.unit() < 0.5 ? others : [this.#of(others)];
    const direction = this.#of(["to", "from", "to and from"]);
    for (const other of cut) {
      if (direction !== "from") this.#nodes.cut(other, slot);
      if (direction !== "to") this.#nodes.cut(slot, other);
    }
    const cutMs = await this.#last();
    for (const other of cut) {
      this.#nodes.heal(other, slot);
      this.#nodes.heal(slot, other);
    }
    const whom = cut.length === 1 ? cut[0]!.local.name : "all others";
    return `cut ${direction} ${slot.local.name} of ${whom} for ${seconds(cutMs)}`;
  };

  readonly #stall: Hurt = async (slot) => {
    const lengthMs = this.#lengthMs();
    const staller = this.#stallers.get(slot)!;
    const isBegun = await staller.begin(lengthMs).then(() => true, () => false);
    if (!isBegun) return `stall of the next write of ${slot.local.name}, which does not come now`;
    const isOver = async () => !await staller.isStalled();
    await until("the end of a stalled write", isOver, lengthMs + FULL_MS_MAX);
    return `stall of a write of ${slot.local.name} for ${seconds(lengthMs)}`;
  };

  readonly #step: Hurt = async (slot) => {
    const step = this.#of(STEPS);
    const clock = this.#clocks.get(slot)!;
    await Deno.writeTextFile(clock, `${step}\n`);
    const offMs = await this.#last();
    await Deno.writeTextFile(clock, `${RIGHT}\n`);
    return `clock of ${slot.local.name} set by ${step}, and back after ${seconds(offMs)}`;
  };

  readonly #fillDisk: Hurt = async (slot) => {
    const { folder, name, opsPort } = slot.local;
    const filler = `${folder}/filler`;
    await fill(filler);
    const isFull = async () => {
      const reply = await fetch(`http://127.0.0.1:${opsPort}/readyz`);
      return (await reply.text()).includes("disk");
    };
    // The log has allocated some room ahead, so it may be full only later.
    const seen = await until("the full disk", isFull, FULL_MS_MAX).then(() => true, () => false);
    const fullMs = await this.#last();
    await Deno.remove(filler);
    return `full disk of ${name} for ${seconds(fullMs)}${
      seen ? "" : ", which its log had room for"
    }`;
  };

  /** Waits for the length of a fault, and returns it, ms. */
  async #last(): Promise<number> {
    const lengthMs = this.#lengthMs();
    await pause(lengthMs);
    return lengthMs;
  }

  /** Draws a length: short ones are as frequent as long ones. */
  #lengthMs(): number {
    return FAULT_MS_MIN * (FAULT_MS_MAX / FAULT_MS_MIN) ** this.#entropy.unit();
  }

  #of<T>(items: readonly T[]): T {
    return items[Math.floor(this.#entropy.unit() * items.length)]!;
  }
}

/** Returns the time that something took, ms. */
export async function took(work: Promise<unknown>): Promise<number> {
  const beganMs = performance.now();
  await work;
  return performance.now() - beganMs;
}

/** Formats a time. */
export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

/** Waits. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
