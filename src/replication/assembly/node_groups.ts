/**
 * The groups of a node over its log: recovers the log, builds the state machines, hosts the groups,
 * and compacts the log. The node, the simulator and the tests of groups all use this assembly.
 *
 * A replica comes to a node in one of three ways. It is *opened* from the log. It *joins* under a
 * replica id that was never used before, and begins empty. Or it is one of the replicas that *found*
 * the group. The log records which replica its content of a group belongs to (the owner record), and
 * the record is durable before anything of a new replica is written, so that no replica ever takes the
 * entries or votes of a former one for its own.
 *
 * Everything is passed in: storage, clocks, entropy, links to other nodes, the directory of replicas.
 */
import { assert } from "../../base/assert.ts";
import { RegistryError } from "../../base/errors.ts";
import { type GroupId, groupName, type NodeId, type ReplicaId } from "../../base/ids.ts";
import { COMPACTION_POLL_MS, WAL_PROBE_MS } from "../../base/limits.ts";
import type { Logger } from "../../base/logger.ts";
import type { MonotonicClock, Timer, World } from "../../base/world.ts";
import type { Configuration } from "../../raft/mod.ts";
import { Compactor } from "../../storage/compaction.ts";
import { openSharedLog } from "../../storage/open_shared_log.ts";
import type {
  LogDone,
  SharedLog,
  SharedLogHandlers,
  SharedLogOptions,
} from "../../storage/shared_log.ts";
import type { RaftGroup } from "../group.ts";
import type { PeerInput, PeerLinks } from "../group_host.ts";
import { GroupSet, type GroupSettings } from "../group_set.ts";
import { encodeOwner, ownerRecordOf } from "../log_ids.ts";
import { type LogEvents, Recovery, type RestorableMachine } from "../recovery.ts";
import type { ReplicaDirectory } from "../replica_directory.ts";
import type { StateMachine } from "../state_machine.ts";

/** The outcome of a machine's commands. */
export type OutcomeOf<Machine> = Machine extends StateMachine<infer Outcome> ? Outcome : never;

/** A replica of a group. */
export interface ReplicaPlace {
  readonly group: GroupId;
  readonly replica: ReplicaId;
}

/** A replica that this node hosts. */
export interface HostedReplica<Machine extends RestorableMachine> extends ReplicaPlace {
  readonly machine: Machine;
  readonly raft: RaftGroup<OutcomeOf<Machine>>;
}

/**
 * The way in which a replica opens that the log does not contain. `corrupt`: it was in the log, so that
 * its absence is a loss. `empty`: it waits for its leader. `sole voter`: it founds its group alone.
 */
export type IfAbsent = "corrupt" | "empty" | "sole voter";

/** Wrappers around the log, by which a simulation observes it. */
export interface LogTap {
  handlers(handlers: SharedLogHandlers): SharedLogHandlers;
  log(log: SharedLog): SharedLog;
}

/** The dependencies of a node's groups. */
export interface NodeGroupsOptions<Machine extends RestorableMachine> {
  readonly nodeId: NodeId;
  readonly world: World;
  /** The clock for available time, deadlines and leases; default: the world's. */
  readonly clock?: MonotonicClock;
  readonly logger: Logger;
  /** The log's folders, both closed with the groups, and its limits. */
  readonly log: Pick<SharedLogOptions, "storage" | "markStorage" | "acceptDataLoss" | "limits">;
  readonly logEvents: LogEvents;
  readonly logTap?: LogTap;
  /** Creates the empty machine of a group. */
  readonly newMachine: (group: GroupId) => Machine;
  readonly peers: PeerLinks;
  readonly directory: ReplicaDirectory;
  readonly settings?: GroupSettings;
  /** If false, no lease serves reads; default true. */
  readonly leases?: boolean;
  /** This node's replica of the groups that have no owner record; default: the founder. */
  readonly ownerDefault?: number;
  /** Called when a group broke an invariant. */
  readonly onFailure?: (group: GroupId, error: unknown) => void;
}

/** The groups of a node. */
export class NodeGroups<Machine extends RestorableMachine> {
  readonly log: SharedLog;
  readonly #world: World;
  /** The loop that runs the groups; replicas come and go by the methods here. */
  readonly set: GroupSet;
  readonly #recovery: Recovery<Machine>;
  readonly #hosted = new Map<GroupId, HostedReplica<Machine>>();
  /** Groups with a replica that joins or founds and is not hosted yet. */
  readonly #arriving = new Set<GroupId>();
  readonly #imaging = new Set<GroupId>();
  /** Indexes of the groups' newest images of their own. */
  readonly #images = new Map<GroupId, number>();
  /** By group: the retry of a write that the log refused. */
  readonly #retries = new Map<GroupId, Timer>();
  #isClosed = false;
  readonly #compactor: Compactor;

  private constructor(
    options: NodeGroupsOptions<Machine>,
    recovery: Recovery<Machine>,
    log: SharedLog,
  ) {
    const { nodeId, world, clock, logger, peers, directory, settings, leases, onFailure } = options;
    this.log = log;
    this.#world = world;
    this.#recovery = recovery;
    this.set = new GroupSet({
      nodeId,
      world,
      logger,
      log,
      peers,
      directory,
      nodeState: recovery.nodeState,
      ...(clock === undefined ? {} : { clock }),
      ...(settings === undefined ? {} : { settings }),
      ...(leases === undefined ? {} : { leases }),
      ...(onFailure === undefined ? {} : { onFailure }),
    });
    const softBytes = options.log.limits?.softBytes;
    this.#compactor = new Compactor({
      log,
      scheduler: world.scheduler,
      ...(softBytes === undefined ? {} : { softBytes }),
      writeImage: (group, done) => this.writeImage(group, done),
    });
  }

  /**
   * Recovers the log. No group is hosted yet; the caller opens each, and then starts them.
   *
   * @param opened called in a later turn with the groups, or with the error: `corrupt`, `locked`,
   * `storage_unavailable`.
   */
  static open<Machine extends RestorableMachine>(
    options: NodeGroupsOptions<Machine>,
    opened: (groups: NodeGroups<Machine> | RegistryError) => void,
  ): void {
    const { world, log: folders, logTap, logEvents, ownerDefault, newMachine } = options;
    const watch: LogWatch = { set: undefined, compactor: undefined };
    const events = notifying(logEvents, watch);
    const recovery = new Recovery<Machine>(newMachine, events, ownerDefault);
    const handlers: SharedLogHandlers = {
      ...recovery.handlers,
      ready: (log) => {
        recovery.finish(log.generation);
        const groups = new NodeGroups(options, recovery, logTap?.log(log) ?? log);
        watch.set = groups.set;
        watch.compactor = groups.#compactor;
        opened(groups);
      },
      failed: opened,
    };
    openSharedLog({
      ...folders,
      clock: world.monotonic,
      scheduler: world.scheduler,
      entropy: world.entropy,
      handlers: logTap?.handlers(handlers) ?? handlers,
    });
  }

  /** The input from other nodes. */
  get input(): PeerInput {
    return this.set;
  }

  /** The hosted replicas. */
  get all(): Iterable<HostedReplica<Machine>> {
    return this.#hosted.values();
  }

  /** Returns the replica of a group; undefined if this node hosts none. */
  hosted(group: GroupId): HostedReplica<Machine> | undefined {
    return this.#hosted.get(group);
  }

  /** Returns the recovered groups that are not hosted: replicas that no longer belong here, if any. */
  get unclaimed(): Iterable<GroupId> {
    return this.#recovery.groups.keys();
  }

  /** Reports whether recovery found entries or an image of the group, which is not hosted yet. */
  isInLog(group: GroupId): boolean {
    return this.#recovery.groups.get(group)?.isInLog ?? false;
  }

  /** Returns the replica to which the log's content of the group belongs. */
  ownerOf(group: GroupId): number {
    return this.#recovery.ownerOf(group);
  }

  /**
   * Reports whether this node had the replica and removed it, or had a later one of its group. What names
   * the replica still is older than what the node has done.
   */
  isPast({ group, replica }: ReplicaPlace): boolean {
    const owner = this.ownerOf(group);
    return owner > replica || owner === replica && this.#recovery.retired.has(group);
  }

  /**
   * Opens a replica to which the log's content of its group belongs ({@link NodeGroups.ownerOf}).
   *
   * @throws RegistryError `corrupt` if the log has nothing of it, or something of another replica only,
   * and `ifAbsent` is `corrupt`.
   */
  open(place: ReplicaPlace, ifAbsent: IfAbsent): HostedReplica<Machine> {
    const { group, replica } = place;
    const owner = this.ownerOf(group);
    if (ifAbsent === "corrupt" && (owner !== replica || !this.isInLog(group))) {
      throw missing(place, owner);
    }
    assert(owner === replica, `Group ${group} belongs to replica ${owner}, not ${replica}`);
    assert(!this.#arriving.has(group), `A replica of group ${group} is on its way already`);
    const recovered = this.#recovery.take(group);
    const { machine } = recovered;
    this.#images.set(group, recovered.imageIndex);
    const raft = this.set.add<unknown>({
      id: group,
      replica,
      machine,
      recovered,
      founds: ifAbsent === "sole voter",
    });
    return this.#host(place, machine, raft);
  }

  /**
   * Takes in a replica whose id was never used before. A former replica of the group is retired first
   * ({@link NodeGroups.retire}), then the new owner is recorded; then the replica opens empty.
   *
   * @param done called in a later turn, once the log takes writes. With an error (the log is poisoned,
   * or the groups are closed) nothing is hosted, and the replica joins after a restart.
   */
  join(place: ReplicaPlace, done: (joined: HostedReplica<Machine> | RegistryError) => void): void {
    this.#arrives(place, (error) => done(error ?? this.open(place, "empty")));
  }

  /**
   * Founds a group of any voters and learners, one of which is this replica; the node of each founding
   * voter does the same. Repeating it after a crash is safe while the log has no image of the group.
   *
   * @param done called in a later turn, once the log takes writes. With an error (the log is poisoned,
   * or the groups are closed) nothing is hosted.
   */
  found(
    place: ReplicaPlace,
    configuration: Configuration,
    done: (founded: HostedReplica<Machine> | RegistryError) => void,
  ): void {
    this.#arrives(place, (error) => {
      if (error !== undefined) return done(error);
      const { group, replica } = place;
      const { machine } = this.#recovery.take(group);
      this.#arriving.add(group);
      const found = () =>
        this.set.found<unknown>({ id: group, replica, machine, configuration }, (founded) => {
          if (founded instanceof RegistryError && this.#repeats(group, found)) return;
          this.#arriving.delete(group);
          done(founded instanceof RegistryError ? founded : this.#host(place, machine, founded));
        });
      found();
    });
  }

  /**
   * Removes a replica from this node and from its log for good, hosted or not. Only then may another
   * replica of the group come.
   *
   * @param done called in a later turn; with an error a restart may find the replica still.
   */
  remove(group: GroupId, done: LogDone): void {
    const removed = this.#hosted.get(group) ?? this.#recovery.groups.get(group);
    this.#hosted.delete(group);
    this.#recovery.groups.delete(group);
    this.set.remove(group, done);
    // The memory of the records belongs to all partitions of the node.
    const freeing = removed?.machine.retire();
    if (freeing !== undefined) this.set.imageTurns.run(freeing);
  }

  /**
   * Removes a replica as {@link NodeGroups.remove} does, and records first that it was: then it never
   * opens or joins again ({@link NodeGroups.isPast}).
   */
  retire(group: GroupId, done: LogDone): void {
    this.#arriving.add(group);
    this.#retire(group, (error) => {
      this.#arriving.delete(group);
      done(error);
    });
  }

  #retire(group: GroupId, done: LogDone): void {
    const replica = this.ownerOf(group) as ReplicaId;
    this.#record({ group, replica }, (error) => {
      if (error !== undefined) return done(error);
      this.#recovery.retired.add(group);
      this.remove(group, done);
    }, { isRetired: true });
  }

  /** Starts the hosted groups; groups that come later start at once. */
  start(): void {
    this.set.start();
  }

  /** Starts the compaction of the log. */
  startCompaction(): void {
    this.#compactor.start();
  }

  /** Replaces a group's log by an image of its state. */
  writeImage(group: GroupId, done: LogDone): void {
    const hosted = this.#hosted.get(group);
    const applied = hosted?.raft.status().appliedIndex ?? 0;
    if (hosted === undefined || applied === 0 || this.#imaging.has(group)) {
      return done(
        new RegistryError("overloaded", `${groupName(group)} makes no image now`, {
          retryAfterMs: COMPACTION_POLL_MS,
        }),
      );
    }
    this.#imaging.add(group);
    hosted.raft.writeImage((error) => {
      this.#imaging.delete(group);
      if (error === undefined) this.#images.set(group, applied);
      done(error);
    });
  }

  /** Returns how many entries of a group a start would replay at most; 0 if it is not hosted. */
  replayedOf(group: GroupId): number {
    const applied = this.#hosted.get(group)?.raft.status().appliedIndex ?? 0;
    return Math.max(0, applied - (this.#images.get(group) ?? 0));
  }

  /** Answers what is in progress and closes log and groups; resolves when the folder is free. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#compactor.stop();
    for (const retry of this.#retries.values()) retry.cancel();
    await new Promise<void>((resolve) => this.log.close(() => resolve()));
    this.set.close();
  }

  /** Retires a former replica that is in the log, and records the new owner. */
  #arrives({ group, replica }: ReplicaPlace, done: LogDone): void {
    assert(!this.#hosted.has(group), `Group ${group} exists on this node already`);
    assert(
      !this.isPast({ group, replica }),
      `Replica ${replica} of group ${group} was removed here`,
    );
    assert(!this.#arriving.has(group), `A replica of group ${group} is on its way already`);
    this.#arriving.add(group);
    const recorded: LogDone = (error) => {
      this.#arriving.delete(group);
      if (error === undefined) {
        this.#recovery.owners.set(group, replica);
        this.#recovery.retired.delete(group);
      }
      done(error);
    };
    if (this.ownerOf(group) === replica) return this.#later(() => recorded(undefined));
    const record = () => this.#record({ group, replica }, recorded);
    if (!this.#recovery.groups.has(group)) return record();
    // Its end is recorded first: after a crash in between, its missing log must not look like a loss.
    this.#retire(group, (error) => error === undefined ? record() : recorded(error));
  }

  /** Records the owner of a group's content; retries while the log takes no writes for now. */
  #record(place: ReplicaPlace, done: LogDone, { isRetired = false } = {}): void {
    const { group, replica } = place;
    const answered: LogDone = (error) => {
      const again = () => this.#record(place, done, { isRetired });
      if (error === undefined || !this.#repeats(group, again)) done(error);
    };
    const owner = encodeOwner(replica, { isRetired });
    const refused = this.log.saveHardState(ownerRecordOf(group), owner, answered);
    if (refused !== undefined) this.#later(() => answered(refused));
  }

  /** Repeats later what the log refused for a group; returns false if the log takes no writes any more. */
  #repeats(group: GroupId, write: () => void): boolean {
    if (this.#isClosed || this.log.stats().poisoned) return false;
    const repeat = () => {
      this.#retries.delete(group);
      write();
    };
    this.#retries.set(group, this.#world.scheduler.after(WAL_PROBE_MS, repeat));
    return true;
  }

  #later(run: () => void): void {
    this.#world.scheduler.nextTurn(run);
  }

  #host(place: ReplicaPlace, machine: Machine, raft: RaftGroup<unknown>): HostedReplica<Machine> {
    const { group, replica } = place;
    // From now on the group has the state.
    this.#recovery.groups.delete(group);
    const hosted = { group, replica, machine, raft: raft as RaftGroup<OutcomeOf<Machine>> };
    this.#hosted.set(group, hosted);
    return hosted;
  }
}

/** The receivers of the log's events, once there are any. */
interface LogWatch {
  set: GroupSet | undefined;
  compactor: Compactor | undefined;
}

/** Returns handlers of the log's events that notify the groups and the compactor first. */
function notifying(events: LogEvents, watch: LogWatch): LogEvents {
  return {
    ...events,
    poisoned: (error) => {
      watch.set?.logPoisoned(error);
      events.poisoned(error);
    },
    writable: (writable) => {
      watch.set?.logWritable(writable);
      events.writable(writable);
    },
    synced: (durationMs) => {
      watch.compactor?.logWritten();
      events.synced(durationMs);
    },
  };
}

function missing({ group, replica }: ReplicaPlace, owner: number): RegistryError {
  const found = owner === replica ? "nothing of it" : `replica ${owner} only`;
  return new RegistryError(
    "corrupt",
    `The log must hold replica ${replica} of group ${group}: it holds ${found}. ` +
      "Restore the data folder from a copy",
  );
}
