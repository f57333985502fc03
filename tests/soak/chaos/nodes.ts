/**
 * The nodes of a cluster that is hurt: each a process of its own in a slot with a folder and ports, behind
 * a relay through which the nodes with lower numbers reach it, so that each link can be cut in each
 * direction. Clients reach all nodes directly.
 *
 * A slot keeps its ports for good. A node that was removed leaves its slot, and another one may join there.
 */
import { freePorts } from "../../../bench/cluster/ports.ts";
import { readNodeFile } from "../../../identity/files/node_file.ts";
import { formatPin } from "../../../identity/pki/certificate.ts";
import { defined } from "../../../src/base/assert.ts";
import { clusterSettings, type LocalNode, nodeFlags } from "../../../src/cli/cluster/settings.ts";
import { findTarget } from "../../../src/cli/target.ts";
import type { ConnectParameters } from "../../../src/client/mod.ts";
import { crsInProcess } from "../../support/crs_in_process.ts";
import {
  CrsProcess,
  type CrsResult,
  documentIn,
  type StartedNode,
} from "../../support/crs_process.ts";
import { UdpRelay } from "../../support/udp_relay.ts";
import { until } from "../../support/until.ts";
import { ownerOfPort } from "./socket_owner.ts";

/** Ports of nine nodes, three each, and then those behind the relays. */
const PORTS = 36;
const PORTS_BEHIND = 26;
/** The time limit for a node to end after it was told to. */
const ENDED_MS_MAX = 30_000;

/** A place for a node. */
export interface Slot {
  /** From 1. */
  readonly number: number;
  readonly local: LocalNode;
  readonly relay: UdpRelay;
  /** The environment of the node's process. */
  env: Readonly<Record<string, string>>;
  process: CrsProcess | undefined;
  /** Id of the node whose folder is here; 0: none. */
  nodeId: number;
}

/** Settings of the nodes. */
export interface NodesOptions {
  readonly folder: string;
  readonly slots: number;
  readonly partitions: number;
}

/** The nodes. */
export class ChaosNodes {
  readonly folder: string;
  readonly slots: readonly Slot[];
  readonly partitions: number;
  /** Datagrams of which nobody is known to send them, so that no cut loses them: those of dead nodes. */
  strayDatagrams = 0;
  /** Called when a node ends that served, and that nobody has ended. */
  onDeath: (slot: Slot, result: CrsResult) => void = () => {};
  readonly #port = freePorts(PORTS);
  /** Processes that serve and are not to end. */
  readonly #serving = new WeakSet<CrsProcess>();
  /** Links that are cut, as `from>to`, by the slots' numbers. */
  readonly #cuts = new Set<string>();
  /** The slots of the nodes that dial from ports. */
  readonly #dialers = new Map<number, number>();

  constructor({ folder, slots, partitions }: NodesOptions) {
    this.folder = folder;
    this.partitions = partitions;
    Deno.mkdirSync(this.logFolder, { recursive: true });
    this.slots = this.#settings(slots).nodes.map((local, at): Slot => {
      const number = at + 1;
      const relay = new UdpRelay(this.#portBehind(number), local.peerPort);
      relay.isLost = (port, towards) => {
        const dialer = this.#dialerAt(port);
        const [from, to] = towards === "server" ? [dialer, number] : [number, dialer];
        return this.#cuts.has(linkName(from, to));
      };
      return { number, local, relay, env: {}, process: undefined, nodeId: 0 };
    });
  }

  /** The folder of the nodes' logs. */
  get logFolder(): string {
    return `${this.folder}/logs`;
  }

  /** The slots whose nodes are members, running or not. */
  get members(): Slot[] {
    return this.slots.filter(({ nodeId }) => nodeId !== 0);
  }

  /** The slots whose processes run. */
  get running(): Slot[] {
    return this.slots.filter(({ process }) => process !== undefined);
  }

  /** Starts a new cluster of so many nodes, and waits until they serve. */
  async found(count: number): Promise<void> {
    const [first, ...others] = this.slots.slice(0, count);
    await this.start(defined(first, "There is a slot"), ["--found"]);
    for (const slot of others) await this.join(slot);
  }

  /** Starts the node of a slot, new or from its folder, and waits until it serves. */
  async start(slot: Slot, flags: readonly string[] = []): Promise<void> {
    const { local, number, env } = slot;
    const process = new CrsProcess([
      ...["start", ...nodeFlags(local, this.#settings(this.slots.length))],
      ...["--peer-port", String(this.#portBehind(number))],
      ...["--advertise-peer-port", String(local.peerPort), ...flags, "--json"],
    ], { env });
    slot.process = process;
    process.closed.then((result) => this.#closed(slot, process, result));
    const { nodeId, error } = await process.printed("a document", documentIn<StartedNode>);
    if (error !== undefined) throw new Error(`${local.name}: ${error.code}: ${error.message}`);
    slot.nodeId = nodeId;
    this.#serving.add(process);
  }

  /** Lets a new node join in an empty slot, by one that runs. */
  async join(slot: Slot): Promise<void> {
    for await (const { name } of Deno.readDir(ensured(slot.local.folder))) {
      await Deno.remove(`${slot.local.folder}/${name}`, { recursive: true });
    }
    const by = defined(this.running.find((other) => other !== slot), "A node runs");
    const { currentPin } = defined(
      readNodeFile(by.local.folder),
      "A node that runs has written it",
    );
    const join = ["--join", `127.0.0.1:${by.local.port}`, "--pin", formatPin(currentPin)];
    await this.start(slot, join);
  }

  /** Ends the node of a slot, and waits until its process is gone. */
  async end(slot: Slot, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const { process } = slot;
    if (process === undefined) return;
    this.expectEnd(slot);
    process.kill(signal);
    // One that is stopped would take no other signal.
    process.kill("SIGCONT");
    await until(`the end of ${slot.local.name}`, () => slot.process !== process, ENDED_MS_MAX);
  }

  /** Notes that the node of a slot is about to end by itself. */
  expectEnd({ process }: Slot): void {
    if (process !== undefined) this.#serving.delete(process);
  }

  /** Cuts the link from one node to another, in that direction. */
  cut(from: Slot, to: Slot): void {
    this.#cuts.add(linkName(from.number, to.number));
  }

  /** Heals the link from one node to another. */
  heal(from: Slot, to: Slot): void {
    this.#cuts.delete(linkName(from.number, to.number));
  }

  /** Returns how clients reach the nodes that are members now. */
  target(): Pick<ConnectParameters, "endpoints" | "trust"> {
    const { endpoints, trust } = findTarget({ data: this.folder }, {});
    return { endpoints, trust };
  }

  /** Runs a command of `crs` about the cluster. */
  async crs(...args: readonly string[]): Promise<CrsResult> {
    return await crsInProcess([...args, "--data", this.folder, "--json"]);
  }

  /** Ends all nodes, and closes the relays. */
  async close(): Promise<void> {
    await Promise.all(this.running.map((slot) => this.end(slot, "SIGTERM")));
    for (const { relay } of this.slots) relay.close();
  }

  /** Writes the logs of processes that run; those of others are written already. */
  writeLogs(): void {
    for (const slot of this.running) this.#writeLog(slot, slot.process!, "runs");
  }

  #closed(slot: Slot, process: CrsProcess, result: CrsResult): void {
    this.#writeLog(slot, process, `ended with code ${result.code}`);
    if (slot.process !== process) return;
    slot.process = undefined;
    if (this.#serving.has(process)) this.onDeath(slot, result);
  }

  #writeLog({ local }: Slot, { child, stderr }: CrsProcess, state: string): void {
    const text = `--- process ${child.pid} ${state}\n${stderr}`;
    Deno.writeTextFileSync(`${this.logFolder}/${local.name}.log`, text, { append: true });
  }

  /** Returns the slot of the node that dials from a port. */
  #dialerAt(port: number): number {
    const known = this.#dialers.get(port);
    if (known !== undefined) return known;
    const byProcess = new Map(
      this.running.map(({ process, number }) => [process!.child.pid, number]),
    );
    const owner = ownerOfPort(port, byProcess.keys());
    const dialer = owner === undefined ? undefined : byProcess.get(owner);
    if (dialer === undefined) {
      this.strayDatagrams++;
      return 0;
    }
    this.#dialers.set(port, dialer);
    return dialer;
  }

  #settings(count: number) {
    const { folder } = this;
    return clusterSettings({
      ...{ data: folder, port: String(this.#port), partitions: String(this.partitions) },
      nodes: String(count),
    });
  }

  #portBehind(number: number): number {
    return this.#port + PORTS_BEHIND + number;
  }
}

function linkName(from: number, to: number): string {
  return `${from}>${to}`;
}

function ensured(folder: string): string {
  Deno.mkdirSync(folder, { recursive: true });
  return folder;
}
