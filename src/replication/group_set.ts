/**
 * All groups of a node over one log. Schedules their turns, ticks the groups that are awake, enforces
 * deadlines, and joins their messages to another node into one frame per turn. Production and the
 * simulator run the same loop.
 *
 * Contract: groups always work in a turn of their own (`Scheduler.nextTurn`), each once; then one frame
 * leaves for each node that there are messages for. Input from other nodes affects only the group that
 * it names, and invalid input is counted by code, never thrown.
 */
import { assert } from "../base/assert.ts";
import { RegistryError } from "../base/errors.ts";
import type { GroupId, NodeId } from "../base/ids.ts";
import {
  GROUP_READ_AGAIN_MS,
  RAFT_ELECTION_TICKS,
  RAFT_HEARTBEAT_TICKS,
  RAFT_TICK_MS,
} from "../base/limits.ts";
import type { MonotonicClock, Timer } from "../base/world.ts";
import { type Beat, LIVENESS_TIMING, type LivenessNews } from "../liveness/mod.ts";
import { type Configuration, type Message, raftSettings } from "../raft/mod.ts";
import type { LogDone } from "../storage/shared_log.ts";
import { AvailableTime } from "./available_time.ts";
import { RaftGroup } from "./group.ts";
import { GroupCounts } from "./group_counts.ts";
import { FOUNDING_POINT, logFounding } from "./group_founding.ts";
import { logUnwritable } from "./group_errors.ts";
import type { GroupHost, HostedGroup } from "./group_host.ts";
import { soleConfiguration } from "./log_entry.ts";
import { ImageTurns } from "./image_turns.ts";
import { GroupRemovals } from "./group_removals.ts";
import type { GroupSetOptions, NewGroup } from "./group_set_options.ts";
import { NodeFreshness } from "./node_freshness.ts";
import { NodeLiveness } from "./node_liveness.ts";
import { OutgoingImages } from "./outgoing_images.ts";
import { PeerFrameInput } from "./peer_input.ts";
import { PeerFrames } from "./peer_frames.ts";
import { PeerOutbox } from "./peer_outbox.ts";
import type { ReplicaLogStart } from "./replica_log.ts";

export type { GroupSetOptions, GroupSettings, NewGroup } from "./group_set_options.ts";

/** The groups of one node. */
export class GroupSet {
  readonly #options: GroupSetOptions;
  readonly #clock: MonotonicClock;
  readonly #liveness: NodeLiveness;
  readonly #freshness: NodeFreshness;
  /** The clock that drives the time of every group led here. */
  readonly availableTime: AvailableTime;
  readonly #host: GroupHost;
  readonly #groups = new Map<GroupId, HostedGroup>();
  readonly #outbox = new PeerOutbox();
  readonly #frames: PeerFrames;
  /** The groups that may need ticks; which of them do is checked once a tick, not at each step. */
  readonly #awake = new Set<HostedGroup>();
  readonly #blocked = new Set<HostedGroup>();
  readonly #removals: GroupRemovals;
  readonly #input: PeerFrameInput;
  #dirty = new Set<HostedGroup>();
  /** The groups that are swept for passed deadlines. */
  #waiting: HostedGroup[] = [];
  #turnDue = false;
  #started = false;
  /** Whether something was recovered, so that owners may hold leases from an earlier run. */
  #isRestart = false;
  #closed = false;
  #poisoned: RegistryError | undefined;
  /** The reason why the log takes no writes. */
  #unwritable: RegistryError | undefined;
  #timer: Timer | undefined;

  constructor(options: GroupSetOptions) {
    this.#options = options;
    this.#clock = options.clock ?? options.world.monotonic;
    const { world, log, directory, leases: areLeasesOn = true } = options;
    const timing = options.settings?.liveness ?? LIVENESS_TIMING;
    this.#liveness = new NodeLiveness({ ...options, areLeasesOn, timing });
    this.#frames = new PeerFrames(this.#liveness, this.#groups, options.peers);
    this.#freshness = new NodeFreshness({
      world,
      liveness: this.#liveness,
      areLeasesOn,
      driftPpm: timing.driftPpm,
      counts: this.counts.freshness,
      groups: () => this.#groups.values(),
      outbox: this.#outbox,
      sendFrames: () => this.#frames.send(this.#outbox),
      isTurnDue: () => this.#turnDue || this.#closed,
    });
    const outages = options.settings?.outages;
    this.availableTime = new AvailableTime({
      monotonic: this.#clock,
      wall: world.wall,
      scheduler: world.scheduler,
      log,
      ...(outages === undefined ? {} : { timing: outages }),
    });
    this.#host = this.#newHost(areLeasesOn);
    this.#removals = new GroupRemovals({
      log,
      scheduler: world.scheduler,
      isFinal: () => this.#closed || this.#poisoned !== undefined,
      lingers: () => this.#tickLater(),
    });
    this.#input = new PeerFrameInput({
      directory,
      logger: options.logger,
      peers: options.peers,
      groupOf: (id) => this.#groups.get(id),
      receiveBeat: (from, beat) => this.#receiveBeat(from, beat),
      freshness: this.#freshness,
      isClosed: () => this.#closed || this.#poisoned !== undefined,
    });
  }

  /** The counts of all groups. */
  readonly counts = new GroupCounts();

  /** The turns in which the node works on images of its groups. */
  get imageTurns(): ImageTurns {
    return this.#host.imageTurns;
  }

  /** The number of refused inputs from other nodes, by code. */
  get refusals(): ReadonlyMap<string, number> {
    return this.#input.refusals;
  }

  /** Returns the group with that id; undefined if it is not on this node. */
  group(id: GroupId): HostedGroup | undefined {
    return this.#groups.get(id);
  }

  /** All groups of this node. */
  get groups(): Iterable<HostedGroup> {
    return this.#groups.values();
  }

  /** Adds a group with its recovered state. */
  add<Outcome>(parts: NewGroup<Outcome>): RaftGroup<Outcome> {
    const { replica, recovered, founds = false } = parts;
    const { log } = recovered;
    if (log.index > 0 || log.entries.length > 0) {
      this.#isRestart = true;
      return this.#add(parts, log);
    }
    return this.#add(parts, founds ? { ...log, configuration: soleConfiguration(replica) } : log);
  }

  #add<Outcome>(parts: NewGroup<Outcome>, log: ReplicaLogStart): RaftGroup<Outcome> {
    const { id, replica, machine, recovered: { appliedIndex, appliedTerm } } = parts;
    this.#assertAbsent(id);
    const group = new RaftGroup(this.#host, {
      id,
      replica,
      machine,
      appliedIndex,
      appliedTerm,
      log,
    });
    this.#groups.set(id, group);
    if (this.#started) startGroup(group, this.#host);
    return group;
  }

  /**
   * Founds a group of several voters and adds it; each voter's node does the same. An image of the
   * empty machine, at index 1 and term 1, carries the configuration. `done` is called in a later turn.
   */
  found<Outcome>(
    parts: Omit<NewGroup<Outcome>, "recovered" | "founds"> & { configuration: Configuration },
    done: (group: RaftGroup<Outcome> | RegistryError) => void,
  ): void {
    this.#assertAbsent(parts.id);
    const { log, world } = this.#options;
    logFounding(log, parts, (founded) => {
      if (founded instanceof RegistryError) return done(founded);
      const { index: appliedIndex, term: appliedTerm } = FOUNDING_POINT;
      const recovered = { appliedIndex, appliedTerm, log: founded };
      done(this.#add({ ...parts, recovered }, founded));
    }, world.scheduler);
  }

  #assertAbsent(id: GroupId): void {
    assert(!this.#groups.has(id), `Group ${id} exists on this node already`);
    assert(!this.#removals.has(id), `A former replica of group ${id} is not removed yet`);
  }

  /**
   * Removes a group's replica from this node for good, and from the log as soon as the log can be
   * written.
   *
   * @param done called in a later turn. Without an error the replica is removed for good, and only then
   *   may another one of the group be added. With an error (the log is poisoned, or the set is closed)
   *   a restart may still find the replica, and it must be removed then.
   */
  remove(id: GroupId, done: LogDone): void {
    assert(!this.#removals.has(id), `Group ${id} is being removed already`);
    const group = this.#groups.get(id);
    if (group !== undefined) {
      group.close();
      this.#forget(group);
      this.#groups.delete(id);
    }
    this.#removals.add(id, done);
  }

  /** Starts all groups. Sole voters lead at once; the others hold elections as their ticks pass. */
  start(): void {
    this.#started = true;
    this.availableTime.start(this.#isRestart);
    for (const group of this.#groups.values()) startGroup(group, this.#host);
    this.#tickLater();
  }

  /** Takes a frame from `from`, whose session has proven that it is that node. */
  receive(from: NodeId, frame: Uint8Array): void {
    this.#freshness.receiving(() => this.#input.receive(from, frame));
  }

  #receiveBeat(from: NodeId, beat: Beat): void {
    const refused = this.#liveness.receive(from, beat);
    if (refused !== undefined) this.#input.refuse(from, refused);
    else this.#options.peers.countLiveness?.(from, "beatIn");
    this.#turnSoon();
  }

  /** Takes an image and its header from `from`; see `PeerInput.receiveImage`. */
  receiveImage(from: NodeId, header: Uint8Array, image: Uint8Array): Promise<void> {
    return this.#input.receiveImage(from, header, image);
  }

  /** Records that a session with the node was opened. */
  peerConnected(node: NodeId): void {
    this.#liveness.connected(node);
    this.#freshness.connected(node);
    this.#tickLater();
  }

  /** Records that a session with the node ended; messages in transit to it may be lost. */
  peerLost(node: NodeId): void {
    this.#liveness.disconnected(node);
    this.#freshness.disconnected(node);
    const { directory } = this.#options;
    const isThere = (replica: number) => directory.nodeOf(replica) === node;
    for (const group of this.#groups.values()) group.peerLost(isThere);
  }

  /** Records whether the log takes writes. */
  logWritable(writable: boolean): void {
    this.#unwritable = writable ? undefined : logUnwritable();
    if (!writable) this.availableTime.logRefuses();
    if (writable) this.#retryBlocked();
    else for (const group of this.#groups.values()) group.logRefuses();
  }

  /** Handles a poisoned log, which acknowledges nothing any more. */
  logPoisoned(error: RegistryError): void {
    this.#poisoned = error;
    for (const group of this.#groups.values()) {
      group.logRefuses();
      group.logPoisoned(error);
    }
    this.#blocked.clear();
    this.#removals.abandon(error);
  }

  /**
   * Closes all groups: waiting reads are answered `shutting_down`, open proposals `connection_lost`.
   * The caller keeps the log.
   */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.availableTime.stop();
    for (const group of this.#groups.values()) group.close();
    this.#host.imageTurns.close();
    this.#freshness.close();
    this.#dirty.clear();
    this.#awake.clear();
    this.#waiting = [];
    this.#blocked.clear();
    this.#removals.abandon(new RegistryError("shutting_down", "The groups are closed"));
  }

  #newHost(areLeasesOn: boolean): GroupHost {
    const { nodeId, world, log, logger, directory, settings = {} } = this.#options;
    const knows = (replica: number) => directory.nodeOf(replica) !== undefined;
    return {
      nodeId,
      clock: this.#clock,
      availableTime: this.availableTime,
      log,
      logger,
      directory,
      liveness: this.#liveness,
      counts: this.counts,
      freshness: this.#freshness,
      areLeasesOn,
      tickMs: settings.tickMs ?? RAFT_TICK_MS,
      raft: raftSettings({
        electionTicks: RAFT_ELECTION_TICKS,
        heartbeatTicks: RAFT_HEARTBEAT_TICKS,
        ...settings,
        asyncStorageWrites: true,
        entropy: world.entropy,
        directory: { knows },
      }),
      writeRefusal: () => this.#poisoned ?? this.#unwritable,
      wantsTurn: (group) => this.#wantsTurn(group),
      settled: (group) => {
        this.#awake.add(group);
        this.#tickLater();
      },
      hasWaiters: (group) => {
        this.#waiting.push(group);
        this.#tickLater();
      },
      isBlocked: (group) => {
        this.#blocked.add(group);
        this.#tickLater();
      },
      send: (group, message) => this.#send(group, message),
      sendSnapshot: (group, message, done) => this.#sendSnapshot(group, message, done),
      imageTurns: new ImageTurns(world.monotonic, world.scheduler, settings.imageTurnBytes),
      outgoingImages: new OutgoingImages(world.monotonic),
      failed: (group, error) => {
        this.#forget(group);
        this.#options.onFailure?.(group.id, error);
      },
    };
  }

  #wantsTurn(group: HostedGroup): void {
    if (this.#closed) return;
    this.#dirty.add(group);
    this.#turnSoon();
  }

  #turnSoon(): void {
    if (this.#turnDue || this.#closed) return;
    this.#turnDue = true;
    this.#options.world.scheduler.nextTurn(() => this.#turn());
  }

  #turn(): void {
    const news = this.#liveness.poll();
    if (news !== undefined) this.#heed(news);
    const dirty = this.#dirty;
    this.#dirty = new Set();
    for (const group of dirty) {
      group.work();
      this.#awake.add(group);
    }
    this.#freshness.touched(dirty);
    // These have changed already, although they work in the next turn.
    this.#freshness.touched(this.#dirty);
    this.#freshness.takeOutgoing();
    this.#liveness.takeBeats((to, beat) => {
      this.#outbox.addBeat(to, beat);
      this.#options.peers.countLiveness?.(to, "beatOut");
    });
    this.#frames.send(this.#outbox);
    this.#turnDue = false;
    this.#tickLater();
    if (this.#dirty.size > 0) this.#turnSoon();
  }

  /** Handles changes of support: starts or stops the ticks of the groups concerned. */
  #heed({ lost, voided, withdrawn }: LivenessNews): void {
    if (voided) this.#freshness.void();
    const { peers } = this.#options;
    for (const node of lost) peers.countLiveness?.(node, "lost");
    for (const node of withdrawn) peers.countLiveness?.(node, "withdrawn");
    for (const group of this.#groups.values()) {
      for (const node of withdrawn) group.supportEnded(node);
      this.#awake.add(group);
    }
  }

  #forget(group: HostedGroup): void {
    this.#awake.delete(group);
    this.#blocked.delete(group);
    this.#dirty.delete(group);
  }

  /** Schedules a tick if anything needs one; otherwise the node may sleep. */
  #tickLater(): void {
    if (this.#closed || this.#timer !== undefined || !this.#wantsTicks) return;
    this.#timer = this.#options.world.scheduler.after(this.#host.tickMs, () => this.#tick());
  }

  get #wantsTicks(): boolean {
    return this.#awake.size + this.#waiting.length + this.#blocked.size > 0 ||
      this.#removals.areWaiting || this.#liveness.wantsTicks;
  }

  #tick(): void {
    this.#timer = undefined;
    this.#liveness.tick();
    if (this.#liveness.hasPeers) this.#turnSoon();
    if (this.#poisoned === undefined) {
      this.#retryBlocked();
      for (const group of this.#awake) {
        if (group.wantsTicks) group.tick();
        else this.#awake.delete(group);
      }
    } else {
      this.#awake.clear();
    }
    const nowMs = this.#clock.nowMs();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const group of waiting) {
      if (group.sweep(nowMs, nowMs - GROUP_READ_AGAIN_MS)) this.#waiting.push(group);
    }
    this.#tickLater();
  }

  #retryBlocked(): void {
    const blocked = [...this.#blocked];
    this.#blocked.clear();
    // Writes that are refused again ask for another retry.
    for (const group of blocked) group.retryStorage();
    this.#removals.retry();
  }

  // To other nodes.

  #send(group: HostedGroup, message: Message): void {
    const to = this.#options.directory.nodeOf(message.to);
    if (to === undefined || this.#poisoned !== undefined) return;
    this.#outbox.add(to, { groupId: group.id, fortifies: false, message });
    this.#turnSoon();
  }

  #sendSnapshot(group: HostedGroup, message: Message, done: (delivered: boolean) => void): void {
    const to = this.#options.directory.nodeOf(message.to);
    if (to === undefined) this.#options.world.scheduler.nextTurn(() => done(false));
    else this.#frames.sendSnapshot(to, { groupId: group.id, fortifies: false, message }, done);
  }
}

function startGroup(group: HostedGroup, host: GroupHost): void {
  if (group.isSole) group.campaign();
  host.wantsTurn(group);
}
