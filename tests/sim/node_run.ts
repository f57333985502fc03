/**
 * One run of a node's program, from an open folder to a kill: the production log, recovery, group
 * loop, machines, lease driver and compaction, composed as a node composes them.
 *
 * {@link Placement} replaces the information that a node gets from the system group; `owners`
 * records, outside of the node's disk and instead of the system group, which replica the log's
 * entries of a group belong to.
 */
import { AgentView } from "../../schemas/gen/record.ts";
import { RegistryError } from "../../src/base/errors.ts";
import type { GroupId, NodeId, ReplicaId } from "../../src/base/ids.ts";
import { SILENT_LOGGER } from "../../src/base/logger.ts";
import { type HostedReplica, NodeGroups } from "../../src/replication/assembly/node_groups.ts";
import type { PeerInput, PeerLinks } from "../../src/replication/group_host.ts";
import type { GroupSettings } from "../../src/replication/group_set.ts";
import type { RaftGroup } from "../../src/replication/group.ts";
import type { Group } from "../../src/replication/group_interface.ts";
import { LeaseDriver } from "../../src/serving/lease_driver.ts";
import { type Partition, PartitionTable } from "../../src/serving/partitions.ts";
import { Proposer } from "../../src/serving/proposer.ts";
import { EMPTY_CONFIGURATION, type MessageType } from "../../src/raft/mod.ts";
import { KIND_AGENT } from "../../src/record/key.ts";
import { Partitioner } from "../../src/ring/partition.ts";
import type {
  LogDone,
  SharedLog,
  SharedLogHandlers,
  SharedLogLimits,
} from "../../src/storage/shared_log.ts";
import type { Storage } from "../../src/storage/storage.ts";
import type { EventSink } from "../../src/store/event.ts";
import type { ApplyReply } from "../../src/store/reply.ts";
import { StoreShared } from "../../src/store/shared.ts";
import { PartitionStore } from "../../src/store/store.ts";
import { decodePeerFrame } from "../../src/wire/peer_frame.ts";
import type {
  AppendedEntry,
  AppliedEntry,
  Expiry,
  ImageTaken,
  LeaseView,
  PermittedRead,
  ReplicaRef,
  ReplicaView,
  Words,
} from "./history.ts";
import { keyName } from "./load.ts";
import { EMPTY_HASH, LogMirror } from "./log_mirror.ts";
import type { Process } from "./machine.ts";
import type { PlacedReplica, Placement } from "./placement.ts";
import { RunningReplica, WatchedMachine } from "./replica_view.ts";
import { NodeService } from "./service.ts";
import { hashBytes } from "./trace.ts";

/**
 * Size of the log on a simulated disk above which compaction runs, and of its segments, bytes: the
 * minimum.
 */
const SEGMENT_BYTES = 1024 * 1024;
/** Images take many turns, though the states are small. */
const IMAGE_CHUNK_BYTES = 512;
const IMAGE_TURN_BYTES = 1024;
const LOG_LIMITS: SharedLogLimits = {
  segmentBytes: SEGMENT_BYTES,
  softBytes: 2 * SEGMENT_BYTES,
  imageWriteBytes: IMAGE_TURN_BYTES,
};
/** Memory for a node's records. */
const STORE_BYTES_MAX = 64 * 1024 * 1024;
const HASH_SEED = new Uint8Array(16).fill(7);

/** The messages that are reported to checkers, and their meaning. */
const WORDS: ReadonlyMap<MessageType, Words["kind"]> = new Map([
  ["vote_reply", "vote"],
  ["append_reply", "acknowledgement"],
  ["timeout_now", "leadership"],
  ["heartbeat_reply", "confirmation"],
]);

/** Events of a run. */
export interface NodeEvents {
  appended(ref: ReplicaRef, entry: AppendedEntry): void;
  spoken(ref: ReplicaRef, words: Words): void;
  permitted(reader: ReplicaView, read: PermittedRead): void;
  voted(ref: ReplicaRef, term: number, vote: number): void;
  applied(ref: ReplicaRef, entry: AppliedEntry): void;
  led(ref: ReplicaRef, leases: readonly LeaseView[]): void;
  /** The node tells others its run number for the first time. */
  ran(run: number): void;
  imaged(ref: ReplicaRef, image: ImageTaken): void;
  imageDurable(ref: ReplicaRef, index: number): void;
  expired(expiry: Omit<Expiry, "atMs">): void;
  forgotten(ref: ReplicaRef): void;
  /** The node serves from now on. */
  started(): void;
  /** The node's log cannot be opened. */
  refused(error: RegistryError): void;
  /** The log acknowledges nothing any more: the node must be restarted. */
  poisoned(): void;
  failed(ref: ReplicaRef, error: unknown): void;
}

/** The parts that a run is built from. */
export interface NodeRunOptions {
  readonly nodeId: number;
  readonly process: Process;
  readonly storage: Storage;
  readonly peers: PeerLinks;
  readonly placement: Placement;
  /** By group: the replica to which the folder's entries belong. */
  readonly owners: Map<number, PlacedReplica>;
  readonly settings: GroupSettings;
  readonly leases: boolean;
  readonly events: NodeEvents;
  readonly stepOf: () => number;
  readonly waitsFor: (change: 1 | -1) => void;
  /** Runs code that a promise released; an error ends the simulation. */
  readonly guard: (run: () => void) => void;
}

/** A run of a node. */
export class NodeRun {
  /** A mark of the log could not be written: later losses may go unnoticed. */
  isUnmarked = false;
  /** Serves requests, once it has started. */
  readonly service: NodeService;
  readonly replicas: RunningReplica[] = [];
  isServing = false;
  #groups: NodeGroups<WatchedMachine> | undefined;
  readonly #options: NodeRunOptions;
  readonly #mirror: LogMirror;
  readonly #shared = new StoreShared({
    bytesMax: STORE_BYTES_MAX,
    hashSeed: HASH_SEED,
    imageChunkBytes: IMAGE_CHUNK_BYTES,
  });
  readonly #proposer: Proposer;
  readonly #view = new AgentView();
  /** By group: its current replica on this node. */
  readonly #refs: Map<number, PlacedReplica>;
  /** Groups whose former replica may not be forgotten durably: a restart may find its entries. */
  readonly #forgetting = new Set<number>();
  /** Groups with a replica that is about to be added. */
  readonly #joining = new Set<number>();
  readonly #drivers = new Map<RunningReplica, LeaseDriver>();
  #hasToldRun = false;
  #imageHash = EMPTY_HASH;

  constructor(options: NodeRunOptions) {
    this.#options = options;
    this.#refs = new Map(options.owners);
    const { events, process } = options;
    this.#mirror = new LogMirror({
      refOf: (group) => this.#refs.get(group),
      appended: events.appended,
      voted: events.voted,
      imaged: events.imaged,
      imageDurable: events.imageDurable,
    });
    this.#proposer = new Proposer({ monotonic: process.monotonic, wall: process.wall });
    this.service = new NodeService({
      process,
      waitsFor: options.waitsFor,
      guard: options.guard,
      groupOf: (group) => {
        const replica = this.replicaOf(group);
        return replica && { group: replica.group, store: replica.machine.store };
      },
      asked: (group) => this.#asked(group),
    });
  }

  /** Opens the folder; `started` or `refused` reports the result. */
  open(): void {
    const { events, leases, nodeId, peers, placement, process, settings, storage } = this.#options;
    NodeGroups.open<WatchedMachine>({
      nodeId: nodeId as NodeId,
      world: process,
      logger: SILENT_LOGGER,
      log: { storage, limits: LOG_LIMITS },
      logEvents: {
        cut: () => {},
        poisoned: () => events.poisoned(),
        writable: () => {},
        synced: () => {},
        unmarked: () => this.isUnmarked = true,
      },
      logTap: {
        handlers: (handlers) => this.#tapped(handlers),
        log: (log) => this.#mirror.inFrontOf(log),
      },
      newMachine: (group) => this.#newMachine(group),
      peers: {
        send: (to, frame) => {
          this.#hear(frame);
          peers.send(to, frame);
        },
        sendImage: (to, header, image, done) => peers.sendImage(to, header, image, done),
      },
      directory: placement,
      settings: { ...settings, imageTurnBytes: IMAGE_TURN_BYTES },
      leases,
      onFailure: (group, error) => {
        const replica = this.replicaOf(group);
        if (replica === undefined) return;
        replica.isFailed = true;
        events.failed(replica.ref, error);
      },
    }, (opened) => opened instanceof RegistryError ? events.refused(opened) : this.#ready(opened));
  }

  /** The log, after it was opened. */
  get log(): SharedLog | undefined {
    return this.#groups?.log;
  }

  /** Returns the replica of a group while it is on this node. */
  replicaOf(group: number): RunningReplica | undefined {
    return this.replicas.find(({ ref }) => ref.group === group);
  }

  /** The input for frames from other nodes. */
  get peers(): PeerInput | undefined {
    return this.#groups?.input;
  }

  /** Adds a replica that was placed here, once a former one of its group is forgotten. */
  take(ref: PlacedReplica): void {
    const groups = this.#groups;
    if (groups === undefined || this.replicaOf(ref.group) !== undefined) return;
    if (this.#forgetting.has(ref.group) || this.#joining.has(ref.group)) return;
    this.#own(ref);
    const place = placeOf(ref);
    if (groups.ownerOf(place.group) === ref.replica) {
      return this.#watch(ref, groups.open(place, "empty"));
    }
    this.#joining.add(ref.group);
    groups.join(place, (joined) => {
      this.#joining.delete(ref.group);
      // A failed log is reopened at the next start, and the replica joins then.
      if (joined instanceof RegistryError) return;
      this.#watch(ref, joined);
      // It may have been removed from its group meanwhile.
      if (!this.#options.placement.has(ref)) this.drop(ref);
    });
  }

  /** Ends a replica that was removed from its group, and forgets its part of the log. */
  drop(ref: ReplicaRef): void {
    const at = this.replicas.findIndex((replica) => replica.ref.replica === ref.replica);
    if (at < 0) return;
    const [replica] = this.replicas.splice(at, 1);
    this.#drivers.get(replica!)?.stop();
    this.#drivers.delete(replica!);
    this.#forget(ref);
  }

  /** Replaces a group's log by an image of its state, if there are new entries. */
  image(group: number, done: LogDone): void {
    const replica = this.replicaOf(group);
    const imaged = this.log?.imageIndex(group as GroupId) ?? 0;
    if (replica === undefined || replica.applied <= imaged) {
      return done(new RegistryError("overloaded", `Group ${group} makes no image now`));
    }
    this.#groups!.writeImage(group as GroupId, done);
  }

  #tapped(handlers: SharedLogHandlers): SharedLogHandlers {
    let point: Parameters<SharedLogHandlers["imageStart"]>[1] | undefined;
    return {
      ...handlers,
      hardState: (group, state) => {
        this.#mirror.recoveredHardState(group, state);
        handlers.hardState(group, state);
      },
      imageStart: (group, started) => {
        point = started;
        this.#imageHash = EMPTY_HASH;
        handlers.imageStart(group, started);
      },
      imageChunk: (group, chunk) => {
        this.#imageHash = hashBytes(chunk, this.#imageHash);
        handlers.imageChunk(group, chunk);
      },
      imageEnd: (group) => {
        handlers.imageEnd(group);
        this.#mirror.recoveredImage(group, point!, this.#imageHash);
      },
      entry: (group, index, term, kind, data) => {
        this.#mirror.recoveredEntry(group, index, { term, kind, data });
        handlers.entry(group, index, term, kind, data);
      },
    };
  }

  #newMachine(group: number): WatchedMachine {
    const { events } = this.#options;
    const sink: EventSink = {
      onEvent: ({ type, kind, stored: { bytes, view, start, end }, index }) => {
        if (type !== "expired" || kind !== KIND_AGENT) return;
        const agent = this.#view.wrap(view, bytes, start, end);
        const incarnation = {
          generation: agent.incarnationGeneration,
          index: agent.incarnationIndex,
        };
        events.expired({ group, key: keyName(agent.id), incarnation, index });
      },
      onBegin: () => {},
    };
    const options = { shared: this.#shared, partition: group - 1, sink };
    const tell = (event: (ref: ReplicaRef) => void) => {
      const ref = this.#refs.get(group);
      if (ref !== undefined) event(ref);
    };
    return new WatchedMachine(new PartitionStore(options), this.#shared.imageScratch, {
      applied: (entry) => tell((ref) => events.applied(ref, entry)),
      led: (leases) => tell((ref) => events.led(ref, leases)),
    });
  }

  #ready(groups: NodeGroups<WatchedMachine>): void {
    const { events, nodeId, placement } = this.#options;
    this.#groups = groups;
    const placed = new Map(placement.onNode(nodeId).map((ref) => [ref.group, ref]));
    for (const group of [...groups.unclaimed]) {
      const owner = this.#refs.get(group);
      // It was removed from its group while this node was down.
      if (owner !== undefined && owner !== placed.get(group)) this.#forget(owner);
    }
    for (const ref of placed.values()) {
      if (!this.#forgetting.has(ref.group)) this.#restore(ref, groups.log);
    }
    groups.start();
    this.isServing = true;
    groups.startCompaction();
    events.started();
  }

  #asked(group: number): (term: number) => void {
    const { events, stepOf } = this.#options;
    const askedStep = stepOf();
    const asked = this.replicaOf(group);
    const before = asked?.configuration;
    const askedTerm = asked?.role === "leader" ? asked.term : 0;
    return (term) => {
      const reader = this.replicaOf(group);
      if (reader === undefined) return;
      const isReconfigured = reader.configuration !== before;
      events.permitted(reader, { term, askedStep, askedTerm, isReconfigured });
    };
  }

  /** Reports the messages in an outgoing frame on which others will rely. */
  #hear(frame: Uint8Array): void {
    const { events, stepOf } = this.#options;
    const { messages, run } = decodePeerFrame(frame);
    // Until its run number is durable, a node sends none.
    if (run !== 0 && !this.#hasToldRun) {
      this.#hasToldRun = true;
      events.ran(run);
    }
    for (const { groupId, message } of messages) {
      const { from, index, reject, term, to, type } = message;
      const ref = this.#refs.get(groupId);
      if (reject || ref?.replica !== from) continue;
      const kind = WORDS.get(type);
      if (kind === undefined) continue;
      const disk = this.#mirror.disk(groupId);
      events.spoken(ref, { kind, step: stepOf(), term, to, index, disk });
    }
  }

  #restore(ref: PlacedReplica, log: SharedLog): void {
    if (ref.isFounding && log.imageIndex(ref.group as GroupId) === 0) this.#found(ref);
    else this.take(ref);
  }

  #found(ref: PlacedReplica): void {
    this.#own(ref);
    const voters = this.#options.placement.foundersOf(ref.group);
    this.#groups!.found(placeOf(ref), { ...EMPTY_CONFIGURATION, voters }, (founded) => {
      // A failed log is reopened at the next start, and the group is founded then.
      if (!(founded instanceof RegistryError)) this.#watch(ref, founded);
    });
  }

  #watch(ref: PlacedReplica, hosted: HostedReplica<WatchedMachine>): void {
    const { process, stepOf } = this.#options;
    const { machine, raft: group } = hosted;
    const mirror = this.#mirror;
    const clock = process.monotonic;
    const replica = new RunningReplica({ ref, group, machine, mirror, clock, stepOf });
    this.replicas.push(replica);
    const partition: Partition = {
      isHere: true,
      id: 0 as Partition["id"],
      group: this.#awaited(group),
      store: machine.store,
    };
    const driver = new LeaseDriver({
      table: new PartitionTable(new Partitioner(HASH_SEED, 1), [partition]),
      proposer: this.#proposer,
      availableTime: this.#groups!.set.availableTime,
      scheduler: process.scheduler,
      logger: SILENT_LOGGER,
    });
    driver.start();
    this.#drivers.set(replica, driver);
  }

  /**
   * Returns the group for proposals without a reply: the world must wait for these promises, too.
   */
  #awaited(group: RaftGroup<ApplyReply>): Group<ApplyReply> {
    const { process, waitsFor } = this.#options;
    return {
      id: group.id,
      get isLeading() {
        return group.isLeading;
      },
      propose: async (command, timeoutMs) => {
        waitsFor(1);
        const proposed = await group.propose(command, timeoutMs);
        if (process.isAlive) waitsFor(-1);
        return proposed;
      },
      readPoint: (ageMs) => group.readPoint(ageMs),
      ageNowMs: (point) => group.ageNowMs(point),
      notLeading: () => group.notLeading(),
      readElsewhere: (ageMs) => group.readElsewhere(ageMs),
      readBarrier: (ageMs, timeoutMs) => group.readBarrier(ageMs, timeoutMs),
      provenAgeMs: () => group.provenAgeMs(),
      timeMs: () => group.timeMs(),
      status: () => group.status(),
      close: () => group.close(),
    };
  }

  /** Records that later log content of the group belongs to this replica. */
  #own(ref: PlacedReplica): void {
    this.#refs.set(ref.group, ref);
    this.#options.owners.set(ref.group, ref);
  }

  #forget(ref: ReplicaRef): void {
    const { events, nodeId, owners, placement } = this.#options;
    const { group } = ref;
    this.#refs.delete(group);
    this.#forgetting.add(group);
    this.#groups!.remove(group as GroupId, (error) => {
      if (error !== undefined) return;
      this.#forgetting.delete(group);
      owners.delete(group);
      events.forgotten(ref);
      const next = placement.onNode(nodeId).find((placed) => placed.group === group);
      if (next !== undefined) this.take(next);
    });
  }
}

function placeOf({ group, replica }: PlacedReplica) {
  return { group: group as GroupId, replica: replica as ReplicaId };
}
