/**
 * The steps of one group: carries out the orders of the Raft core and delivers their results to it,
 * follows the replica's role, and ends the group when an invariant is broken.
 *
 * The order of a step is given by `src/raft/DESIGN.md` (duties of the owner); see group.ts.
 */
import type { RegistryError } from "../base/errors.ts";
import { GROUP_ROUNDS_MAX } from "../base/limits.ts";
import type { Entry, Message, Ready, Snapshot, StepResult } from "../raft/mod.ts";
import type { ImagePoint, LogDone } from "../storage/shared_log.ts";
import { GroupApplier } from "./group_applier.ts";
import {
  endedError,
  type GroupEnd,
  notLeaderError,
  openProposalError,
  overloadedError,
} from "./group_errors.ts";
import type { HostedGroup } from "./group_host.ts";
import { GroupImages } from "./group_images.ts";
import type { ReadPoint } from "./group_interface.ts";
import type { GroupParts, GroupSteps } from "./group_parts.ts";
import { GroupReads } from "./group_reads.ts";
import { encodeConfiguration } from "./log_entry.ts";

/** A group as its loop calls it. */
export interface LoopedGroup extends HostedGroup {
  /** Whether this replica may read now; see `Group.readPoint`. */
  readPoint(maxStalenessMs: number): ReadPoint | undefined;
}

/** Runs the steps of one group. */
export class GroupLoop implements GroupSteps {
  readonly #group: LoopedGroup;
  readonly #parts: GroupParts;
  readonly #applier: GroupApplier;
  /** Created when a read first waits. */
  #reads: GroupReads | undefined;
  /** Created when an image is first sent or received. */
  #images: GroupImages | undefined;
  #end: GroupEnd | undefined;
  #isWorking = false;
  /** Whether the set sweeps this group for passed deadlines. */
  #isSwept = false;

  constructor(group: LoopedGroup, parts: GroupParts) {
    this.#group = group;
    this.#parts = parts;
    this.#applier = new GroupApplier(parts, this);
  }

  get end(): GroupEnd | undefined {
    return this.#end;
  }

  /** The waiting reads; undefined if none ever waited. */
  get reads(): GroupReads | undefined {
    return this.#reads;
  }

  // Turns.

  /** Does all work that is due, in one turn. */
  work(): void {
    if (this.#end !== undefined) return;
    this.#isWorking = true;
    try {
      this.#work();
    } catch (error) {
      this.#quarantine(error);
    }
    this.#isWorking = false;
  }

  wantsWork(): void {
    if (this.#parts.members.isAlone && !this.#isWorking) this.work();
    else this.wantsTurn();
  }

  wantsTurn(): void {
    this.#parts.host.wantsTurn(this.#group);
  }

  hasWaiters(): void {
    if (this.#isSwept) return;
    this.#isSwept = true;
    this.#parts.host.hasWaiters(this.#group);
  }

  /** Answers what is past its deadline, and asks again for reads; see `HostedGroup.sweep`. */
  sweep(nowMs: number, askAnewBeforeMs: number): boolean {
    const { proposals, leadership } = this.#parts;
    if (this.#end !== undefined) return false;
    proposals.expire(nowMs);
    const reads = this.#reads;
    if (reads !== undefined) {
      reads.expire(nowMs);
      // A leader's own requests are confirmed by the next heartbeats, or dropped.
      if (leadership.term === 0) reads.askAnew(askAnewBeforeMs);
      if (reads.areWanted) this.wantsWork();
    }
    this.#isSwept = proposals.count + (reads?.count ?? 0) > 0;
    return this.#isSwept;
  }

  #work(): void {
    const { node, storage } = this.#parts;
    if (this.#reads !== undefined) this.#askReads(this.#reads);
    for (let round = 0; round < GROUP_ROUNDS_MAX && node.hasReady(); round++) {
      this.#do(node.ready());
      storage.release();
      if (this.#end !== undefined) return;
    }
    this.#images?.discardRead();
    if (node.hasReady()) this.wantsTurn();
  }

  #do(ready: Ready): void {
    const { host, storage, applied } = this.#parts;
    for (const { sequence } of ready.readsDropped) {
      this.#reads?.dropped(sequence, this.notLeader());
    }
    for (const { token, index } of ready.readStates) this.#reads?.confirmed(token.sequence, index);
    if (ready.snapshot !== undefined) this.#images?.beginInstall(ready.snapshot);
    for (const message of ready.messages) {
      switch (message.type) {
        case "storage_append":
          storage.order(message);
          break;
        case "storage_apply":
          this.#applier.apply(message);
          break;
        case "snapshot":
          this.#sendSnapshot(message);
          break;
        default:
          host.send(this.#group, message);
      }
    }
    this.#reads?.permit(applied.point);
  }

  /** Steps a message of another replica. */
  step(message: Message): StepResult | "closed" {
    if (this.#end !== undefined) return "closed";
    try {
      const result = this.#parts.node.step(message);
      this.noticeRole();
      this.#stepped();
      return result;
    } catch (error) {
      this.#quarantine(error);
      return "closed";
    }
  }

  /** Advances the clock of the core by one tick. */
  tick(): void {
    const { node, support } = this.#parts;
    this.guarded(() => {
      node.tick();
      if (node.role === "leader") support.tickLeader(node);
    });
    this.#stepped();
  }

  /** Asks for a turn after a step, if there is anything to do in it: most acknowledgements need none. */
  #stepped(): void {
    const { host, members, node } = this.#parts;
    const isDue = members.isAlone || node.hasReady() || this.#reads?.areWanted === true;
    if (isDue) this.wantsWork();
    else host.settled(this.#group);
  }

  // Results of the log.

  /** Delivers the responses of a durable order, to this core and to other replicas. */
  stored({ responses }: Message): void {
    const { host, node, replica } = this.#parts;
    if (this.#end !== undefined) return;
    try {
      for (const response of responses) {
        if (response.to === replica) node.stepOwn(response);
        else host.send(this.#group, response);
      }
      this.noticeRole();
    } catch (error) {
      return this.#quarantine(error);
    }
    if (!this.#isWorking) this.#stepped();
  }

  /** Applies an entry of the fast path, which is durable and so committed, unless the core changed. */
  storedAlone(entry: Entry): void {
    const { node, applied } = this.#parts;
    if (this.#end !== undefined) return;
    try {
      if (node.wroteAlone(entry)) {
        this.#applier.applyEntry(entry);
        node.appliedAlone(entry);
        this.#applier.letGo();
        this.#reads?.permit(applied.point);
      }
    } catch (error) {
      return this.#quarantine(error);
    }
    if (!this.#isWorking && node.hasReady()) this.wantsWork();
  }

  /** Handles a refusal of the log. */
  storageFailed(error: RegistryError): void {
    const { host, members, proposals } = this.#parts;
    // No other replica can make these durable; their outcome is unknown until the log takes writes.
    if (members.isSole) proposals.answerAll(error);
    host.isBlocked(this.#group);
  }

  // Leading.

  noticeRole(): void {
    const { host, leadership, members, node, proposals, support } = this.#parts;
    if (!leadership.follow(node)) return;
    // A group that works in the calling turn still needs a turn, in which the set checks its ticks.
    if (members.isAlone) this.wantsTurn();
    support.leads(leadership.term);
    proposals.leadershipLost(host.clock.nowMs());
    // It may never hear of the next leader, nor apply what it was waiting for if its disk is full.
    if (leadership.term === 0) this.#reads?.refuseAll(this.notLeader());
    // What was asked of the leader before may never be answered.
    else this.#reads?.askAnew(Infinity);
    leadership.retire();
  }

  serve(): void {
    const { applied, leadership, members } = this.#parts;
    leadership.serve();
    if (members.isSole) this.#reads?.permitAll(applied.point);
  }

  notLeader(): RegistryError {
    const { host, id, node } = this.#parts;
    const leader = host.directory.nodeOf(node.lead);
    const known = leader === host.nodeId ? undefined : leader;
    return notLeaderError(id, known, node.term);
  }

  // Reading.

  /** Adds a read that waits for permission. */
  addRead(timeoutMs: number): Promise<ReadPoint | RegistryError> {
    const { host, id } = this.#parts;
    const reads = this.#reads ??= new GroupReads(id);
    const permitted = reads.add(host.clock.nowMs() + timeoutMs);
    this.hasWaiters();
    this.wantsWork();
    return permitted;
  }

  #askReads(reads: GroupReads): void {
    const { host, leadership, node, support } = this.#parts;
    if (!reads.areWanted) return;
    const point = this.#group.readPoint(0);
    if (point !== undefined) return reads.permitAll(point);
    const isCovered = leadership.isServing && support.hasLease(node);
    if (isCovered) return reads.covered(node.committed);
    const asked = node.readIndex();
    // Without a leader, or with too many waiting, the next sweep asks for them again.
    if (asked.result === "accepted") reads.asked(asked.token.sequence, host.clock.nowMs());
  }

  // Images.

  /** Replaces the log up to the applied index by an image of the state, then calls `done`. */
  writeImage(done: LogDone): void {
    const { applied, host, id, machine, members } = this.#parts;
    // A broken invariant may have left half a change, which must not become durable; and an older
    // image must not overtake one from a leader that is being installed.
    if (this.#end !== undefined) return done(endedError(id, this.#end));
    if (this.#images?.isInstalling) {
      return done(overloadedError(`Group ${id} is installing an image`));
    }
    const point: ImagePoint = {
      index: applied.index,
      term: applied.term,
      configuration: encodeConfiguration(members.configuration),
    };
    const image = machine.writeImage();
    const refusal = host.log.writeImage(id, point, image, done);
    if (refusal === undefined) return;
    image.return();
    done(refusal);
  }

  /** Reads an image that arrived, then steps its message; see `HostedGroup.stepSnapshot`. */
  stepSnapshot(
    message: Message,
    snapshot: Snapshot,
    done: (result: StepResult | "closed" | RegistryError) => void,
  ): void {
    const { machine, node } = this.#parts;
    const step = () => {
      const result = this.step(message);
      // The turn lets go of an image that the core did not want.
      this.wantsWork();
      done(result);
    };
    if (this.#end !== undefined) return done("closed");
    if (snapshot.index <= node.committed) return step();
    const images = this.#imagesOf();
    // Once the other image is durable, the leader learns what this replica lacks and sends again.
    if (images.isTaking) return done("overloaded");
    images.read(snapshot, machine, (error) => error === undefined ? step() : done(error));
  }

  #imagesOf(): GroupImages {
    const failed = (error: unknown) => this.#quarantine(error);
    return this.#images ??= new GroupImages(this.#parts.host, this.#group, failed);
  }

  /** Makes an image of the state for a member; undefined if there is none to send now. */
  makeSnapshot(): Snapshot | undefined {
    const { applied, machine, members: { configuration }, node } = this.#parts;
    const { index, term } = applied;
    // The step of the core in which the group failed may go on to another member.
    if (index === 0 || this.#end !== undefined) return undefined;
    return this.#imagesOf().make(machine, { index, term, configuration }, () => {
      this.guarded(() => node.snapshotMade());
      this.#stepped();
    });
  }

  /** Makes a durable snapshot, which replaced the whole log, the state. */
  installed({ index, term, configuration }: Snapshot): void {
    const { applied, proposals } = this.#parts;
    this.#images?.install();
    applied.advance(index, term);
    this.#applier.configured(configuration);
    proposals.overtaken(index);
  }

  #sendSnapshot(message: Message): void {
    const { node } = this.#parts;
    this.#images?.send(message, (delivered) => {
      if (node.term !== message.term) return;
      this.guarded(() => node.reportSnapshot(message.to, delivered ? "arrived" : "failed"));
      this.wantsWork();
    });
  }

  // Ends.

  guarded(run: () => void): void {
    if (this.#end !== undefined) return;
    try {
      run();
      this.noticeRole();
    } catch (error) {
      this.#quarantine(error);
    }
  }

  #quarantine(error: unknown): void {
    const { applied, host, id, node } = this.#parts;
    const replica = node.status();
    this.ends("failed");
    host.logger.error("A group broke an invariant and was stopped", {
      group: id,
      error,
      replica,
      appliedIndex: applied.index,
    });
    host.failed(this.#group, error);
  }

  /** Ends the group, unless it has ended; one that was given up may still fail or be closed. */
  ends(end: GroupEnd): void {
    const { host, id, leadership, proposals, storage, support } = this.#parts;
    if (this.#end === "closed" || this.#end === "failed") return;
    this.#end = end;
    leadership.end();
    storage.close();
    support.close();
    const ended = endedError(id, end);
    host.freshness.removeGroup(this.#group, ended);
    proposals.answerAll(openProposalError(id, end));
    this.#reads?.refuseAll(ended);
    this.#images?.close();
  }
}
