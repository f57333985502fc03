/**
 * Nodes with groups over a stepped world: real logs on memory disks, links in memory that a test
 * may cut or observe. Everything is the production loop; only the state machine is a journal.
 */
import { defined, InvariantError } from "../../src/base/assert.ts";
import { RegistryError } from "../../src/base/errors.ts";
import {
  type GroupId,
  groupId,
  type GroupTimeMs,
  type LogIndex,
  type NodeId,
  nodeId,
  replicaId,
  type Term,
} from "../../src/base/ids.ts";
import { IMAGE_CHUNK_BYTES } from "../../src/base/limits.ts";
import { type Logger, SILENT_LOGGER } from "../../src/base/logger.ts";
import type { Proposed } from "../../src/replication/group_interface.ts";
import type { RaftGroup } from "../../src/replication/group.ts";
import { type HostedReplica, NodeGroups } from "../../src/replication/assembly/node_groups.ts";
import type { PeerInput, PeerLinks } from "../../src/replication/group_host.ts";
import type { GroupSet, GroupSettings } from "../../src/replication/group_set.ts";
import type { RestorableMachine } from "../../src/replication/recovery.ts";
import type { ImageChunks, ImageWork, PreparedImage } from "../../src/replication/state_machine.ts";
import { EMPTY_CONFIGURATION } from "../../src/raft/mod.ts";
import { MemoryDisk } from "../../src/storage/memory_storage.ts";
import type { SharedLog, SharedLogLimits } from "../../src/storage/shared_log.ts";
import { decodePeerFrame, type GroupMessage } from "../../src/wire/peer_frame.ts";
import { Process, SteppedWorld } from "./stepped_world.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * A machine that records the commands it applied. The texts `broken` and `time N` have a special
 * meaning.
 */
export class Journal implements RestorableMachine {
  applied: string[] = [];
  timeMs = 0 as GroupTimeMs;
  ledFromMs: number | undefined;
  isRetired = false;
  /** The leader's time at the last apply. */
  leaderNowMs = 0;

  apply(index: LogIndex, term: Term, command: Uint8Array, leaderNowMs: number): string {
    const text = decoder.decode(command);
    if (text === "broken") throw new InvariantError("broken");
    if (text.startsWith("time ")) this.timeMs = Number(text.slice(5)) as GroupTimeMs;
    this.applied.push(text);
    this.leaderNowMs = leaderNowMs;
    return `${text} at ${term}:${index}`;
  }

  onBecomeLeader(nowMs: GroupTimeMs): void {
    this.ledFromMs = nowMs;
  }

  onLoseLeadership(): void {
    this.ledFromMs = undefined;
  }

  get imageBytes(): number {
    return 0;
  }

  writeImage(): ImageChunks {
    const image = encoder.encode(JSON.stringify({ timeMs: this.timeMs, applied: this.applied }));
    const count = Math.ceil(image.length / IMAGE_CHUNK_BYTES);
    return each(Array.from({ length: count }, (_, at) => {
      return image.subarray(at * IMAGE_CHUNK_BYTES, (at + 1) * IMAGE_CHUNK_BYTES);
    }));
  }

  *readImage(image: Uint8Array): ImageWork<PreparedImage> {
    yield image.length;
    const read = this.#read(image);
    return { install: () => void Object.assign(this, read), discard: () => undefined };
  }

  retire(): undefined {
    this.isRetired = true;
  }

  imageLoader() {
    const chunks: Uint8Array[] = [];
    return {
      push: (chunk: Uint8Array) => void chunks.push(chunk.slice()),
      finish: () => {
        const text = chunks.map((chunk) => decoder.decode(chunk)).join("");
        Object.assign(this, this.#read(encoder.encode(text)));
      },
    };
  }

  #read(image: Uint8Array): { timeMs: GroupTimeMs; applied: string[] } {
    try {
      const { timeMs, applied } = JSON.parse(decoder.decode(image));
      return { timeMs, applied };
    } catch (error) {
      throw new RegistryError("corrupt", "The image is no journal", {}, error);
    }
  }
}

/** Returns chunks that stay what they are. */
export function* each(
  chunks: readonly Uint8Array[],
): Generator<Uint8Array, undefined, undefined> {
  yield* chunks;
}

/** A frame in transit between two nodes. */
export interface Sent {
  readonly from: number;
  readonly to: number;
  readonly messages: readonly GroupMessage[];
  readonly image: boolean;
}

/** The parts of a node that exist from its start to its crash. */
interface Running {
  readonly process: Process;
  readonly host: NodeGroups<Journal>;
}

/** One node: its disk outlives its runs. */
export class ClusterNode {
  readonly id: NodeId;
  readonly disk = new MemoryDisk();
  readonly groups = new Map<number, RaftGroup<unknown>>();
  readonly failures: { readonly group: number; readonly error: unknown }[] = [];
  readonly errors: string[] = [];
  /** Events of liveness since the start, by name and node: `beatOut 2`. */
  readonly liveness = new Map<string, number>();
  readonly #cluster: GroupCluster;
  #running: Running | undefined;

  constructor(cluster: GroupCluster, id: number) {
    this.#cluster = cluster;
    this.id = nodeId(id);
  }

  get host(): NodeGroups<Journal> {
    return this.#parts.host;
  }

  get set(): GroupSet {
    return this.host.set;
  }

  get log(): SharedLog {
    return this.host.log;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  get #parts(): Running {
    return defined(this.#running, "The node must run");
  }

  group(id = 1): RaftGroup<string> {
    return defined(this.groups.get(id), "The group must be here") as RaftGroup<string>;
  }

  journal(id = 1): Journal {
    return defined(this.host.hosted(groupId(id)), "The group must be here").machine;
  }

  /** Opens the log; the caller adds groups, and then starts them. */
  async open(): Promise<void> {
    const { world, options } = this.#cluster;
    const process = new Process(world);
    const logger: Logger = {
      ...SILENT_LOGGER,
      error: (message) => void this.errors.push(message),
      child: () => logger,
    };
    const opened = new Promise<NodeGroups<Journal>>((resolve, reject) => {
      NodeGroups.open<Journal>({
        nodeId: this.id,
        world: process,
        logger,
        log: {
          storage: this.disk.open(process),
          ...(options.logLimits === undefined ? {} : { limits: options.logLimits }),
        },
        logEvents: { cut: () => {}, poisoned: () => {}, writable: () => {}, synced: () => {} },
        newMachine: () => new Journal(),
        peers: this.#cluster.linksOf(this),
        directory: { nodeOf: (replica) => this.#cluster.nodeOf(replica) },
        leases: options.leases ?? true,
        ...(options.settings === undefined ? {} : { settings: options.settings }),
        ownerDefault: this.id,
        onFailure: (group, error) => void this.failures.push({ group, error }),
      }, (groups) => groups instanceof RegistryError ? reject(groups) : resolve(groups));
    });
    this.#running = { process, host: await world.wait(opened) };
    this.groups.clear();
  }

  /** Adds a recovered group; with `founds`, founds it as its only voter if there is none. */
  add(id = 1, founds = false): RaftGroup<string> {
    const place = { group: groupId(id), replica: replicaId(this.id) };
    return this.#added(this.host.open(place, founds ? "sole voter" : "empty"));
  }

  /** Founds a group of these voters on this node. */
  async found(voters: readonly number[], id = 1): Promise<void> {
    const place = { group: groupId(id), replica: replicaId(this.id) };
    const founded = new Promise<HostedReplica<Journal>>((resolve, reject) => {
      this.host.found(
        place,
        { ...EMPTY_CONFIGURATION, voters },
        (hosted) => hosted instanceof RegistryError ? reject(hosted) : resolve(hosted),
      );
    });
    this.#added(await this.#cluster.world.wait(founded));
  }

  #added({ group, raft }: HostedReplica<Journal>): RaftGroup<string> {
    this.groups.set(group, raft);
    return raft;
  }

  /** Stops the node between two turns; the disk decides which unsynced data survives. */
  crash(): void {
    this.#parts.process.kill();
    this.disk.crash();
    this.disk.intercept = () => undefined;
    this.#running = undefined;
  }

  /** Starts the node again with its previous groups. */
  async restart(ids: readonly number[] = [...this.groups.keys()]): Promise<void> {
    if (this.#running !== undefined) this.crash();
    await this.open();
    for (const id of ids) this.add(id);
    this.host.start();
    await this.#cluster.world.settle();
  }

  propose(text: string, { id = 1, timeoutMs = 5_000 } = {}): Promise<Proposed<string>> {
    return this.group(id).propose(encoder.encode(text), timeoutMs);
  }
}

/** Options of a cluster. */
export interface ClusterOptions {
  readonly nodes?: number;
  readonly seed?: number;
  readonly settings?: GroupSettings;
  readonly leases?: boolean;
  readonly logLimits?: SharedLogLimits;
  /** Transit time of a frame, ms; default 1. */
  readonly delayMs?: number;
}

/** Connected nodes; node n has replica n of every group. */
export class GroupCluster {
  readonly world: SteppedWorld;
  readonly options: ClusterOptions;
  readonly nodes: readonly ClusterNode[];
  /** Replicas whose id differs from that of their node. */
  readonly moved = new Map<number, NodeId>();
  /** Replicas that are in no directory any more. */
  readonly forgotten = new Set<number>();
  /** Called for everything that is sent: false drops it. Dropped images are reported as failed. */
  deliver: (sent: Sent) => boolean = () => true;
  /** Asked for what a message becomes on its way, frame by frame. */
  readonly sent: Sent[] = [];

  constructor(options: ClusterOptions = {}) {
    this.options = options;
    this.world = new SteppedWorld(options.seed ?? 1);
    this.nodes = Array.from({ length: options.nodes ?? 3 }, (_, at) => {
      return new ClusterNode(this, at + 1);
    });
  }

  /** Creates a cluster whose nodes all run one group, and waits for a leader. */
  static async led(options: ClusterOptions = {}): Promise<GroupCluster> {
    const cluster = new GroupCluster(options);
    for (const node of cluster.nodes) {
      await node.open();
      await node.found(cluster.nodes.map(({ id }) => id));
      node.host.start();
    }
    await cluster.leader();
    return cluster;
  }

  node(id: number): ClusterNode {
    return defined(this.nodes[id - 1], "There is no such node");
  }

  nodeOf(replica: number): NodeId | undefined {
    if (this.forgotten.has(replica)) return undefined;
    return this.moved.get(replica) ?? this.nodes[replica - 1]?.id;
  }

  /** Waits for the node that leads a group and serves, and returns it. */
  async leader(id = 1, withinMs = 20_000): Promise<ClusterNode> {
    for (let waitedMs = 0; waitedMs < withinMs; waitedMs += 50) {
      await this.world.pass(50);
      const leaders = this.nodes.filter((node) => {
        return node.isRunning && node.groups.get(id)?.status().role === "leader";
      });
      leaders.sort((a, b) => b.group(id).status().term - a.group(id).status().term);
      if (leaders[0] !== undefined) return leaders[0];
    }
    throw new Error(`No leader within ${withinMs} ms`);
  }

  /** Returns the nodes that do not lead. */
  followers(leader: ClusterNode): ClusterNode[] {
    return this.nodes.filter((node) => node !== leader && node.isRunning);
  }

  /** Drops everything between `node` and the others. */
  isolate(node: ClusterNode): void {
    this.deliver = ({ from, to }) => from !== node.id && to !== node.id;
  }

  heal(): void {
    this.deliver = () => true;
  }

  linksOf(from: ClusterNode): PeerLinks {
    return {
      countLiveness: (node, event) => {
        const name = `${event} ${node}`;
        from.liveness.set(name, (from.liveness.get(name) ?? 0) + 1);
      },
      send: (to, frame) => {
        const { messages } = decodePeerFrame(frame);
        this.#post({ from: from.id, to, messages, image: false }, (input) => {
          input.receive(from.id, frame);
        });
      },
      sendImage: (to, header, image, done) => {
        const { messages } = decodePeerFrame(header);
        const arrived = this.#post({ from: from.id, to, messages, image: true }, (input) => {
          input.receiveImage(from.id, header, image);
        });
        this.world.after(2 * this.#delayMs, () => done(arrived));
      },
    };
  }

  get #delayMs(): number {
    return this.options.delayMs ?? 1;
  }

  #post(sent: Sent, receive: (input: PeerInput) => void): boolean {
    this.sent.push(sent);
    if (!this.deliver(sent)) return false;
    this.world.after(this.#delayMs, () => {
      const to = this.node(sent.to);
      if (to.isRunning) receive(to.host.input);
    });
    return true;
  }
}

/** Returns the outcome of a proposal in one word. */
export function word(proposed: Proposed<unknown>): string {
  return proposed.ok ? String(proposed.outcome) : proposed.error.code;
}

/** Returns the group's id as the harness numbers it. */
export function idOfGroup(id: number): GroupId {
  return groupId(id);
}
