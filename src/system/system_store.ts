/**
 * Group 0's state machine: applies each command by the part of the state that it belongs to
 * (`system_state.ts`), and makes the ring map that follows from the parts. Pure and deterministic, like
 * a partition's.
 *
 * A command that no part knows was logged by a later version. It stops this replica instead of being
 * skipped, because replicas that apply it and replicas that do not would diverge.
 */
import { assert } from "../base/assert.ts";
import { RegistryError } from "../base/errors.ts";
import { GROUP_TIME_MS_MAX } from "../base/limits.ts";
import { CommandView } from "../../schemas/gen/command.ts";
import { COMMAND_KINDS, laterProgram, PARTITION_COMMAND_KIND_MAX } from "../record/command.ts";
import { PEER_TRANSPORT, type RingMap, type RingNode } from "../ring/ring_map.ts";
import type { Genesis } from "./founding/founding_state.ts";
import type { IdentityState, RevocationSink } from "./identity_state.ts";
import type { Member } from "./members/member_state.ts";
import type { EntryPoint, SubMachine } from "./sub_machine.ts";
import { SystemImageReader, writeSystemImage } from "./system_image.ts";
import { SystemState } from "./system_state.ts";

export type { Genesis } from "./founding/founding_state.ts";
export type { Member } from "./members/member_state.ts";

/** The reply to an entry. */
export type SystemReply =
  | {
    readonly code: "ok";
    /** The number that the command assigned, or the first of them. */
    readonly assigned?: number;
  }
  | { readonly code: RegistryError["code"]; readonly message: string };

/** An entry of group 0's log. */
export interface SystemEntry {
  readonly index: number;
  readonly term: number;
  readonly data: Uint8Array;
}

const OK: SystemReply = Object.freeze({ code: "ok" });

/** The state of group 0. */
export class SystemStore {
  #state = new SystemState();
  #byKind = partsByKind(this.#state);
  #timeMs = 0;
  #appliedIndex = 0;
  /** Index of the last entry that changed the ring map: the second part of its epoch. */
  #ringNumber = 0;
  /** Group time at which this replica began to lead, ms. Not part of the state. */
  ledFromMs = 0;
  /** Called when stale records were released; must not change the state. */
  onReleased: () => void = () => {};

  /** The parts of the state. Replaced as a whole by an image. */
  get state(): SystemState {
    return this.#state;
  }

  /** Parameters of the cluster; `undefined` before the genesis. */
  get genesis(): Genesis | undefined {
    return this.#state.founding.genesis;
  }

  /** Join tokens, lineages, bans, documents, and the audit log of all their changes. */
  get identities(): IdentityState {
    return this.#state.identities;
  }

  /** Sets `sink` as the receiver of revocations, and passes it the current state at once. */
  watchRevocations(sink: RevocationSink): void {
    this.identities.sink = sink;
    sink.replaced(this.identities);
  }

  /** Last applied group time, ms. */
  get timeMs(): number {
    return this.#timeMs;
  }

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  /** Index of the last entry that changed members or placements. */
  get ringNumber(): number {
    return this.#ringNumber;
  }

  /** Members, ordered by node id. */
  get members(): Member[] {
    return this.#state.members.all;
  }

  /**
   * Applies the next entry.
   *
   * @throws RegistryError `unsupported_version` if only a later program knows the command; the replica
   * must stop then.
   */
  apply({ index, term, data }: SystemEntry): SystemReply {
    assert(
      index > this.#appliedIndex,
      `Entry to apply must be above ${this.#appliedIndex}: its index is ${index}`,
    );
    this.#appliedIndex = index;
    try {
      const command = commandOf(data);
      if (command.timeMs > GROUP_TIME_MS_MAX) {
        return refusal("malformed", `Time must be at most ${GROUP_TIME_MS_MAX}`);
      }
      this.#timeMs = Math.max(this.#timeMs, command.timeMs);
      return this.#dispatch(command, { index, term });
    } catch (error) {
      if (!(error instanceof RegistryError) || error.code === "unsupported_version") throw error;
      return refusal(error.code, error.message);
    }
  }

  #dispatch(command: CommandView, at: EntryPoint): SystemReply {
    const { kind } = command;
    if (kind === COMMAND_KINDS.tick) return OK;
    const part = this.#byKind.get(kind);
    if (part === undefined && kind > PARTITION_COMMAND_KIND_MAX) {
      throw laterProgram(`command kind ${kind} of group 0`);
    }
    if (part === undefined) {
      return refusal("malformed", `Command must be the system's: found kind ${kind}`);
    }
    const { releases } = this.#state.expiry;
    const effect = part.apply(command, at);
    if (this.#state.expiry.releases !== releases) this.onReleased();
    if (effect?.changesRing === true) this.#ringNumber = at.index;
    return effect?.assigned === undefined ? OK : { code: "ok", assigned: effect.assigned };
  }

  /**
   * Returns the ring map, in which every member holds every partition.
   *
   * @param leader node id of the leader of all of them; 0 if unknown.
   * @returns `undefined` before the genesis.
   */
  ringMap(leader: number): RingMap | undefined {
    const genesis = this.genesis;
    if (genesis === undefined) return undefined;
    const nodes: RingNode[] = this.members.map((member) => ({
      nodeId: member.nodeId,
      addresses: member.addresses.filter(({ transport }) => transport !== PEER_TRANSPORT),
      currentPin: pinOf(member.pin),
      nextPin: pinOf(member.nextPin),
      zone: this.#state.members.admission(member.nodeId)?.zone ?? "",
    }));
    return {
      epoch: { generation: this.#state.versions.generation, number: this.#ringNumber },
      partitionCount: genesis.partitionCount,
      hashKey: genesis.hashKey,
      nodes,
      placements: [{ leader, replicas: nodes.map((node) => node.nodeId) }],
    };
  }

  /** Returns the state as chunks of an image. Equal states give equal bytes. */
  writeImage(): Generator<Uint8Array, void, undefined> {
    const header = { timeMs: this.#timeMs, unixS: 0, writer: 0 };
    const point = {
      timeMs: this.#timeMs,
      appliedIndex: this.#appliedIndex,
      ringNumber: this.#ringNumber,
    };
    const parts = this.#state.parts.filter(({ isEmpty }) => isEmpty !== true);
    const sections = parts.map((part) => ({
      section: part.section,
      segments: part.segments(header),
    }));
    return writeSystemImage(point, sections);
  }

  /**
   * Loads a whole image of any version, given as chunks of any sizes, into this state, which must be
   * empty.
   *
   * @throws RegistryError `corrupt`, `unsupported_version`.
   */
  loadImage(chunks: Iterable<Uint8Array>): void {
    assert(this.#appliedIndex === 0, "A system state that takes an image must be empty");
    const reader = new SystemImageReader(chunks);
    this.#state.audit.loading();
    try {
      this.#loadSections(reader);
      for (const part of this.#state.parts) part.loaded();
    } catch (error) {
      const isTold = error instanceof RegistryError &&
        error.code !== "corrupt" && error.code !== "unsupported_version";
      throw isTold ? corrupt(error.message) : error;
    }
    this.#timeMs = Math.max(this.#timeMs, reader.point.timeMs);
    this.#appliedIndex = reader.point.appliedIndex;
    this.#ringNumber = reader.point.ringNumber;
  }

  #loadSections(reader: SystemImageReader): void {
    if (reader.version === 1) return this.#loadCommands(reader, undefined);
    const parts = new Map(this.#state.parts.map((part) => [part.section, part]));
    for (const section of reader.sections()) {
      const part = parts.get(section);
      if (part === undefined) throw laterProgram(`section ${section} of an image of group 0`);
      this.#loadCommands(reader, part);
    }
  }

  /** Loads the commands of a section, or with `undefined` all those of version 1. */
  #loadCommands(reader: SystemImageReader, section: SubMachine | undefined): void {
    for (const segment of reader.segments()) {
      const command = commandOf(segment);
      const part = this.#byKind.get(command.kind);
      if (part === undefined || (section !== undefined && part !== section)) {
        throw corrupt(`a command of kind ${command.kind} is out of its place`);
      }
      if (command.timeMs > GROUP_TIME_MS_MAX) throw corrupt("a time is too great");
      this.#timeMs = Math.max(this.#timeMs, command.timeMs);
      part.load(command);
    }
  }

  /** Replaces this state by that of `other`, which must not be used afterwards. */
  replaceBy(other: SystemStore): void {
    const { sink } = this.identities;
    const { releases } = this.#state.expiry;
    this.#state = other.#state;
    this.#byKind = other.#byKind;
    this.identities.sink = sink;
    sink?.replaced(this.identities);
    this.#timeMs = other.#timeMs;
    this.#appliedIndex = other.#appliedIndex;
    this.#ringNumber = other.#ringNumber;
    if (this.#state.expiry.releases !== releases) this.onReleased();
  }
}

function partsByKind({ parts }: SystemState): ReadonlyMap<number, SubMachine> {
  const byKind = new Map<number, SubMachine>();
  for (const part of parts) {
    for (const kind of part.kinds) {
      assert(!byKind.has(kind), `Command kind ${kind} belongs to two parts of group 0`);
      byKind.set(kind, part);
    }
  }
  return byKind;
}

/** Returns a view of a command of group 0. @throws RegistryError `malformed`. */
export function commandOf(data: Uint8Array): CommandView {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return new CommandView().wrap(view, data, 0, data.length);
}

/** Returns the pin, or no bytes when it is all zero, which means none. */
function pinOf(pin: Uint8Array): Uint8Array {
  return pin.some((byte) => byte !== 0) ? pin : new Uint8Array(0);
}

function refusal(code: RegistryError["code"], message: string): SystemReply {
  return { code, message };
}

function corrupt(what: string): RegistryError {
  return new RegistryError("corrupt", `System image must hold valid commands: ${what}`);
}
